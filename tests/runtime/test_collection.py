"""`repx gc` as its users meet it: beside runs, after kills, on a full disk; and what `repx run` makes of it."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from repx.agent.base.layout import COLLECTED
from tests.runtime.test_disk import a_small_disk, fill
from tests.runtime.world import World, a_world

__all__ = ["a_small_disk", "a_world"]

CHAIN = """
@bash
def make(data: Output = out("d.txt"), *, n: int = 0):
    return 'echo "make $n" >> DIARY; echo "$n" > "$data"'

@bash
def double(data: Input, result: Output = out("r.txt")):
    return 'echo "double" >> DIARY; echo "$(( 2 * $(< "$data") ))" > "$result"'

def work():
    double(data=make().data)

lab = Lab(runs=[Run("work", work, params={"n": [1, 2]})])
"""
LATER = CHAIN.replace("2 *", "3 *")


def test_what_was_collected_is_done_and_is_made_again_for_a_job_that_runs(world: World) -> None:
    world.realize(CHAIN)
    assert world.run().status == 0
    (world.root / "result").unlink()
    assert world.repx("gc", "--yes", "--keep-last", "0").status == 0
    assert not list(world.store.glob("outputs/*/out"))
    assert len(list(world.store.glob("outputs/*/collected.jsonl"))) == 4
    world.realize(CHAIN)
    world.diary.write_text("")
    for _ in range(2):
        done = world.run()
        assert (done.status, done.answer["found"], done.answer["collected"]) == (0, 4, 4)
    assert not world.entries()
    assert [row["status"] for row in world.repx("list", "jobs", "--json").answer] == ["succeeded"] * 4
    shown = world.repx("show", "output", "double[n=1]")
    assert shown.status == 2
    assert "were collected" in shown.stderr
    assert "repx run --outputs" in shown.stderr
    assert world.run("--outputs", "double[n=1]").answer["collected"] == 0
    assert sorted(world.entries()) == ["double", "make 1"]
    assert world.repx("show", "output", "double[n=1]", "result").stdout == "2\n"
    world.realize(LATER)
    assert world.run().status == 0
    assert sorted(world.entries().elements()) == ["double", "double", "double", "make 1", "make 2"]
    assert sorted(path.read_text() for path in world.store.glob("outputs/*-double-1/out/r.txt")) == [
        "2\n",
        "3\n",
        "6\n",
    ]
    assert not list(world.store.glob(f"outputs/*-make-1/{COLLECTED}"))


def test_a_notebook_gets_outputs_that_are_there(world: World) -> None:
    program = """
import repx
from experiment import make, double
print(repx.realize(double(data=make(n=4).data)).outputs["result"].read_text())
"""
    world.write(CHAIN)
    (world.root / "notebook.py").write_text(program)
    import sys

    for _ in range(2):
        done = world.start_program(
            sys.executable,
            str(world.root / "notebook.py"),
            env={"PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(world.root)])},
        ).end()
        assert done.stdout == "8\n\n", done.stderr
        assert world.repx("gc", "--yes", "--pinned-only").status == 0
    assert world.entries()["double"] == 2


WAITING = """
@bash
def make(data: Output = out("d.txt")):
    return 'echo make >> DIARY; echo one > "$data"'

@bash
def wait(data: Input, result: Output = out("r.txt")):
    return 'echo waits >> DIARY; until [ -e DIARY.go ]; do sleep 0.02; done; cat "$data" > "$result"'

@bash
def end(data: Input, more: Input, result: Output = out("r.txt")):
    return 'cat "$data" "$more" > "$result"'

def work():
    made = make()
    end(data=made.data, more=wait(data=made.data).result)

lab = Lab(runs=[Run("work", work)])
"""


def test_beside_a_run_nothing_goes_that_it_needs(world: World) -> None:
    world.realize(WAITING)
    run = world.start("run")
    world.wait_for_entry("waits")
    (world.root / "result").unlink()
    done = world.repx("gc", "--yes", "--pinned-only", "--json")
    assert done.status == 0, done.stderr
    assert done.answer["kinds"]["outputs"]["gone"] == 0
    assert done.answer["kinds"]["labs"]["gone"] == 0
    world.root.joinpath("diary.go").touch()
    assert run.end().status == 0
    assert world.entries()["make"] == 1
    assert world.repx("gc", "--yes", "--json").answer["kinds"]["outputs"]["gone"] == 3


def test_killed_at_any_moment_a_collection_loses_nothing_that_is_needed(world: World) -> None:
    world.realize(CHAIN)
    assert world.run().status == 0
    for round_number in range(6):
        world.realize(CHAIN.replace("2 *", f"{round_number + 3} *"))
        assert world.run().status == 0
        collecting = world.start("gc", "--yes", "--keep-last", "0")
        time.sleep(random.random() * 0.4)
        collecting.send(signal.SIGKILL)
        collecting.end()
        shown = world.repx("show", "output", "double[n=1]", "result")
        assert shown.stdout == f"{round_number + 3}\n", shown.stderr
    assert world.repx("gc", "--yes", "--keep-last", "0").status == 0
    assert len(list(world.store.glob("outputs/*/out"))) == 4
    assert list((world.store / "tmp").iterdir()) == []
    assert world.entries()["make 1"] == 1


LARGE = """
@bash
def large(result: Output = out("r.txt"), *, n: int = 0):
    return 'head -c 400000 /dev/zero > "$result"'

lab = Lab(runs=[Run("work", large, params={"n": [1, 2, 3]})])
"""


@pytest.mark.parametrize("room", [0, 4096])
def test_a_full_disk_is_what_a_collection_is_for(small: World, room: int) -> None:
    small.realize(LARGE)
    assert small.run().status == 0
    small.realize(CHAIN)
    ballast = fill(small.store, but=room)
    done = small.repx("gc", "--yes", "--keep-last", "0", "--json")
    assert done.status == 0, done.stderr
    assert done.answer["kinds"]["outputs"]["gone"] == 3
    assert not list(small.store.glob("outputs/*-large-1/out"))
    assert small.run().status == 0
    ballast.unlink()


def test_a_pin_of_what_is_not_there_is_refused(world: World) -> None:
    world.realize(CHAIN)
    for what in ("nothing", "zzzzzzzz", "double", "double[n=1]", "./no/such/lab"):
        done = world.repx("pin", what)
        assert done.status == 2, what
        assert "Traceback" not in done.stderr
    assert world.repx("unpin", "nothing").status == 2
    assert world.repx("pin", "--name", "a/b").status == 2
    assert not list((world.store / "gcroots" / "pinned").iterdir())
    assert world.run().status == 0
    assert world.repx("pin", "double[n=1]", "--name", "best").status == 0
    assert world.repx("pin").status == 0
    kinds = [row["kind"] for row in world.repx("gc", "list", "--json", "--kind", "pinned").answer]
    assert kinds == ["pin", "pin"]


def test_nobody_is_asked_where_there_is_nobody(world: World) -> None:
    world.realize(CHAIN)
    done = world.repx("gc")
    assert done.status == 2
    assert "--dry-run" in done.stderr
    missing = world.repx("gc", "--yes", store=world.root / "nowhere")
    assert missing.status == 2
    assert "there is no store" in missing.stderr
    assert not (world.root / "nowhere").exists()
    assert world.repx("gc", "--yes", "--older-than", "soon").status == 2


def test_a_dry_run_changes_nothing(world: World) -> None:
    from tests.runtime.world import tree

    world.realize(CHAIN)
    assert world.run().status == 0
    (world.root / "result").unlink()
    before = tree(world.store)
    for argv in (["gc", "--dry-run", "--pinned-only", "--forget"], ["gc", "status"], ["gc", "list", "--sizes"], ["du"]):
        done = world.repx(*argv)
        assert done.status == 0, done.stderr
    assert {name: seen for name, seen in tree(world.store).items() if name != "tmp"} == {
        name: seen for name, seen in before.items() if name != "tmp"
    }


def test_what_takes_room_is_told_by_stage_and_part(world: World) -> None:
    world.realize(CHAIN)
    parts = {row["name"]: row for row in json.loads(world.repx("du", "--json").stdout)}
    assert parts["outputs"]["files"] == 0
    assert parts["labs"]["bytes"] > 0
    assert world.run().status == 0
    made = {row["name"]: row for row in json.loads(world.repx("du", "--json").stdout)}
    assert made["outputs"]["files"] > 0
    assert made["all"]["bytes"] > parts["all"]["bytes"]
    assert {row["name"] for row in json.loads(world.repx("du", "--stages", "--json").stdout)} >= {"make", "double"}

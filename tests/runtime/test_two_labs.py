"""Several Labs in one store: none touches the files of another, and equal jobs are done once for all."""

from __future__ import annotations

import shutil

import pytest

import repx
from repx.lab.directory import LabDirectory
from repx.store.location import store_of
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

COUNT = """
@bash
def shared(result: Output = out("r.txt"), *, number: int):
    return 'echo shared >> DIARY; echo "$number" > "$result"'

@bash
def own(before: Input, result: Output = out("r.txt")):
    return 'echo OWN >> DIARY; cat "$before" > "$result"'

def work():
    own(before=shared())

lab = Lab(runs=[Run("work", work, params={"number": [1, 2]})], version="OWN")
"""


def test_a_second_lab_leaves_the_first_as_it_was(world: World) -> None:
    world.realize(COUNT.replace("OWN", "first"))
    first = str((world.root / "result").resolve())
    assert world.run().answer["succeeded"] == 4
    listed = world.repx("list", "jobs", "--lab", first).stdout
    world.realize(COUNT.replace("OWN", "second"))
    second = str((world.root / "result").resolve())
    assert first != second
    assert world.run().answer["found"] == 2, "the two shared jobs were done already"
    assert world.entries() == {"shared": 2, "first": 2, "second": 2}
    assert world.repx("list", "jobs", "--lab", first).stdout == listed
    again = world.repx("run", "--lab", first, "--json")
    assert (again.status, again.answer["found"]) == (0, 4)


def test_two_runs_of_a_lab_share_a_job(world: World) -> None:
    text = COUNT.replace("OWN", "own").replace(
        'runs=[Run("work"', 'runs=[Run("more", work, params={"number": [2, 3]}), Run("work"'
    )
    world.realize(text)
    assert world.run().status == 0
    assert world.entries() == {"shared": 3, "own": 3}
    assert world.repx("run", "more", "--json").answer["found"] == 4


def test_the_store_that_a_lab_lies_in_is_where_its_results_are_looked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.realize(COUNT.replace("OWN", "own"))
    assert world.run().status == 0
    monkeypatch.delenv("REPX_STORE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(world.root / "elsewhere"))
    lab = LabDirectory(world.root / "result")
    assert store_of(lab).root == str(world.store)
    assert store_of(lab, world.root / "given").root == str(world.root / "given")
    assert [job.status for job in repx.Experiment(world.root / "result").jobs()] == ["succeeded"] * 4
    shutil.copytree(lab.path, world.root / "moved", symlinks=True)
    assert store_of(LabDirectory(world.root / "moved")).root == str(world.root / "elsewhere" / "repx")


SHARED = """
@bash
def fail(result: Output = out("r.txt")):
    return 'exit 1'

@bash
def work(result: Output = out("r.txt")):
    return 'echo work >> DIARY; echo ok > "$result"'

bad = Run("bad", fail)
lab = Lab(runs=[bad, Run("careful", work, after=[bad]), Run("patient", work, after=[soft(bad)])])
"""


def test_a_job_of_two_runs_runs_when_one_of_them_lets_it(world: World) -> None:
    world.realize(SHARED)
    assert world.run("--continue-on-failure").status == 1
    assert world.entries() == {"work": 1}

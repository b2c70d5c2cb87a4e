"""`repx push` and `repx pull`: bytes and digests arrive as they were, and what is damaged never counts."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from repx.agent.base.digest import tree_digest
from repx.agent.base.files import remove_tree
from repx.agent.base.record import decode_attempts, decode_outcome, decode_way
from repx.store.sharing import receiver
from tests.runtime.world import tree
from tests.store.sharing.neighbours import (
    EXPERIMENT,
    RESULTS,
    Neighbours,
    a_pair_of_neighbours,
    contents,
    is_tidy,
    ok,
    the_first_world,
)

__all__ = ["a_pair_of_neighbours", "the_first_world"]


def test_what_is_pushed_and_pulled_is_what_was_made(neighbours: Neighbours) -> None:
    here, there, shared = neighbours.here, neighbours.there, neighbours.root / "shared"
    pushed = ok(here.repx("push", str(shared), "--json")).answer
    assert (pushed["taken"], pushed["new_lab"], pushed["missing"]) == (RESULTS, True, 0)
    pulled = ok(there.repx("pull", str(shared), "--json")).answer
    assert (pulled["taken"], pulled["new_lab"]) == (RESULTS, True)
    assert contents(here.store) == contents(shared) == contents(there.store)
    assert neighbours.nothing_runs(there)
    assert is_tidy(shared)
    assert is_tidy(there.store)


def test_a_second_push_brings_nothing_and_one_after_more_work_brings_the_rest(neighbours: Neighbours) -> None:
    here, shared = neighbours.here, neighbours.root / "shared"
    first = ok(here.repx("push", "sweep", str(shared), "--json")).answer
    assert first["taken"] == 4
    before = tree(shared / "outputs")
    again = ok(here.repx("push", "sweep", str(shared), "--json")).answer
    assert (again["taken"], again["there"], again["new_lab"]) == (0, 4, False)
    assert tree(shared / "outputs") == before
    rest = ok(here.repx("push", str(shared), "--json")).answer
    assert (rest["taken"], rest["there"]) == (RESULTS - 4, 4)
    assert contents(shared) == contents(here.store)


def test_records_are_the_receivers_and_say_where_they_come_from(neighbours: Neighbours) -> None:
    here, there, shared = neighbours.here, neighbours.there, neighbours.root / "shared"
    ok(here.repx("push", str(shared)))
    ok(there.repx("pull", str(shared)))
    for directory in there.job_directories("make"):
        record = (directory / "record.jsonl").read_bytes()
        original = (here.store / "outputs" / directory.name / "record.jsonl").read_bytes()
        assert decode_outcome(record) == decode_outcome(original)
        assert decode_attempts(record) == decode_attempts(original)
        way = [(one.how, one.place) for one in decode_way(record)]
        assert way == [("push", str(here.store)), ("pull", str(shared))]
        assert not os.access(directory / "out" / "data.txt", os.W_OK) or os.geteuid() == 0
        assert not (directory / "out").stat().st_mode & 0o222
    shown = ok(there.repx("show", "job", "make[seed=2]")).stdout
    assert f"came from  {here.store} on" in shown
    assert "x" * 70000 in ok(there.repx("log", "make[seed=1]", "--stderr")).stdout, "a long log travels in its file"
    assert (there.store / "keys").is_dir()
    assert len(list((there.store / "keys").iterdir())) == RESULTS
    stages = {path.name for path in (there.store / "stages").iterdir()}
    assert stages == {path.name for path in (here.store / "stages").iterdir()}


def test_who_has_realized_the_same_experiment_pulls_into_it(neighbours: Neighbours) -> None:
    here, there = neighbours.here, neighbours.there
    neighbours.realize_there()
    pulled = ok(there.repx("pull", "double", str(here.store), "--json")).answer
    assert (pulled["taken"], pulled["new_lab"]) == (4, False), "what a job takes comes with it"
    assert ok(there.repx("pull", str(here.store), "--json")).answer["taken"] == RESULTS - 4
    assert neighbours.nothing_runs(there)


def test_a_lab_that_was_brought_speaks_for_itself_alone(neighbours: Neighbours) -> None:
    """Its results stand under keys of its own, so that no honest experiment takes them for its jobs'."""
    here, there, shared = neighbours.here, neighbours.there, neighbours.root / "shared"
    ok(here.repx("push", str(shared)))
    # As if somebody else had realized it.
    (lab,) = (shared / "labs").iterdir()
    lab.rename(shared / "foreign" / lab.name)
    ok(there.repx("pull", str(shared)))
    assert [path.name for path in (there.store / "foreign").iterdir()] == [lab.name]
    assert not list((there.store / "labs").iterdir())
    assert neighbours.nothing_runs(there)
    keys = {path.name for path in (there.store / "keys").iterdir()}
    assert not keys & {path.name for path in (here.store / "keys").iterdir()}
    neighbours.realize_there()
    assert "succeeded" not in {job["status"] for job in ok(there.repx("list", "jobs", "--json")).answer}


def test_a_damaged_result_is_not_taken_and_all_else_is(neighbours: Neighbours) -> None:
    here, there = neighbours.here, neighbours.there
    damaged = next(path for path in here.job_directories("make") if (path / "out/data.txt").read_text() == "2\n")
    (damaged / "out").chmod(0o755)
    (damaged / "out/data.txt").chmod(0o644)
    (damaged / "out/data.txt").write_text("3\n")
    pulled = there.repx("pull", str(here.store))
    assert pulled.status == 2
    assert "1 result is damaged where it comes from, and was not taken" in pulled.stderr
    assert f"make[seed=2] {damaged.name[:12]}  its output data has not the digest that its record says" in pulled.stderr
    assert "2 not taken: they were made of other inputs, or of some that could not be taken" in pulled.stdout
    assert set(contents(there.store)) == set(contents(here.store)) - {damaged.name} - {
        path.name for path in here.job_directories("report")
    } - {path.name for path in here.job_directories("double") if (path / "out/sub/table.csv").read_text() == "4\n"}
    assert is_tidy(there.store)


@pytest.mark.parametrize("kind", ["pipe", "link", "socket", "record", "gone"])
def test_a_store_that_somebody_has_meddled_with_hurts_nobody(neighbours: Neighbours, kind: str) -> None:
    here, there = neighbours.here, neighbours.there
    (split,) = here.job_directories("split")
    out = split / "out"
    out.chmod(0o755)
    if kind == "pipe":
        os.mkfifo(out / "pipe")
    elif kind == "link":
        (out / "leaves").symlink_to("/etc/passwd")
    elif kind == "socket":
        os.mknod(out / "zero", 0o20666, os.makedev(1, 5))
    elif kind == "record":
        record = (split / "record.jsonl").read_text()
        (split / "record.jsonl").unlink()
        (split / "record.jsonl").write_text(record.replace("items.json", "../../../x", 1))
    else:
        remove_tree(str(out))
    pulled = there.repx("pull", str(here.store), "--json")
    assert pulled.status == (0 if kind in ("record", "gone") else 2), pulled.stderr
    assert not there.job_directories("split")
    assert len(contents(there.store)) == RESULTS - 4, "the steps and the gather are what takes from it"
    assert is_tidy(there.store)


def test_results_of_other_inputs_are_left(neighbours: Neighbours) -> None:
    """The same job may have made other bytes here, and then what takes these is not what stands there."""
    here, there = neighbours.here, neighbours.there
    neighbours.realize_there()
    assert there.run("make").status == 0
    made = next(path for path in there.job_directories("make") if (path / "out/data.txt").read_text() == "2\n")
    (made / "out").chmod(0o755)
    (made / "out/data.txt").unlink()
    (made / "out/data.txt").write_text("2\n\n")
    record = (made / "record.jsonl").read_text()
    old, new = (tree_digest(str(path / "out/data.txt")) for path in (here.store / "outputs" / made.name, made))
    (made / "record.jsonl").write_text(record.replace(old, new).replace('"size":2', '"size":3'))
    pulled = ok(there.repx("pull", str(here.store), "--json")).answer
    assert (pulled["taken"], pulled["there"], pulled["other_inputs"]) == (RESULTS - 4, 2, 2)


def test_what_was_collected_arrives_as_collected_and_is_filled_where_it_is_whole(neighbours: Neighbours) -> None:
    here, there, shared = neighbours.here, neighbours.there, neighbours.root / "shared"
    ok(here.repx("push", str(shared)))
    for stage in ("split", "work", "make"):
        for directory in here.job_directories(stage):
            if stage == "split":
                os.link(directory / "out/items.json", directory / "items")
            (directory / "record.jsonl").rename(directory / "collected.jsonl")
            remove_tree(str(directory / "out"))
    pulled = ok(there.repx("pull", str(here.store), "--json")).answer
    assert (pulled["taken"], pulled["collected"], pulled["missing"]) == (RESULTS - 5, 5, 0)
    assert neighbours.nothing_runs(there)
    assert "5 only as records" in ok(here.repx("push", str(neighbours.root / "more"))).stdout
    assert ok(there.repx("list", "jobs", "parts", "--steps", "--json")).stdout.count('"step": "work"') == 2
    filled = ok(there.repx("pull", str(shared), "--json")).answer
    assert (filled["taken"], filled["there"]) == (5, RESULTS - 5)
    assert contents(there.store) == contents(shared)
    ok(here.repx("pack", "-o", "collected.tar", "--results"))
    unpacked = ok(
        there.repx("unpack", str(here.root / "collected.tar"), "--store", str(neighbours.root / "u"), "--json")
    )
    assert (unpacked.answer["taken"], unpacked.answer["collected"]) == (RESULTS - 5, 5)


def test_a_choice_is_told_in_the_record_that_arrives(neighbours: Neighbours) -> None:
    here, there = neighbours.here, neighbours.there
    ok(there.repx("pull", str(here.store)))
    assert there.outcome("pick") == here.outcome("pick")
    assert there.outcome("pick").chosen == {"best": [1], "noises": [0, 1]}
    assert there.outcome("report").is_private, "others do not adopt it there either"


def test_two_pushes_at_once_bring_everything_once(neighbours: Neighbours) -> None:
    here, shared = neighbours.here, neighbours.root / "shared"
    commands = [here.start("push", str(shared), "--json") for _ in range(3)]
    answers = [ok(command.end()).answer for command in commands]
    assert sum(answer["taken"] for answer in answers) == RESULTS
    assert all(answer["taken"] + answer["there"] == RESULTS for answer in answers)
    assert contents(shared) == contents(here.store)
    assert is_tidy(shared)


def test_a_result_that_somebody_is_making_there_is_left_to_them(
    neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "_PATIENCE_S", 0.2)
    here, there = neighbours.here, neighbours.there
    neighbours.realize_there(EXPERIMENT.replace("echo split", "sleep 60; echo split"))
    runner = there.start("run", "scatter")
    there.wait_until(lambda: any((path / "claim").exists() for path in there.job_directories("split")))
    there.wait_until(lambda: all((path / "record.jsonl").exists() for path in there.job_directories("make")))
    (directory,) = there.job_directories("split")
    # The one that takes its time is another job, whose claim stands in the other's place.
    (there.store / "outputs" / here.job_directories("split")[0].name).mkdir()
    os.link(directory / "claim", there.store / "outputs" / here.job_directories("split")[0].name / "claim")
    pulled = ok(there.repx("pull", "--lab", str(here.root / "result"), str(here.store), "--store", str(there.store)))
    assert "1 not taken: somebody works on split" in pulled.stdout
    runner.send(signal.SIGINT)
    runner.end()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["push", "FILE"], "is not a store: it is not a directory"),
        (["push", "HOME"], "is not a store, and something else is in it"),
        (["push", "HOME/no/store"], "none can be made"),
        (["push", "OWN"], "is the store itself"),
        (["push", "me@host:/store"], "is on another host"),
        (["push", ""], "the other store's path is empty"),
        (["push", "nothing", "NEW"], "there is no run, group, stage or job 'nothing'"),
        (["push", "--lab", "HOME", "NEW"], "is not a Lab"),
        (["pull", "NEW"], "there is no store at"),
        (["pull", "HOME"], "is not a store"),
        (["pull", "OWN"], "is the store itself"),
        (["push"], "missing argument"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(neighbours: Neighbours, argv: list[str], said: str) -> None:
    here = neighbours.here
    new = neighbours.root / "new"
    names = {"FILE": "experiment.py", "HOME": str(here.root), "OWN": str(here.store), "NEW": str(new)}
    words = []
    for word in argv:
        for name, path in names.items():
            word = word.replace(name, path)
        words.append(word)
    done = here.repx(*words)
    assert done.status == 2
    assert said in done.stderr.lower() if said == "missing argument" else said in done.stderr
    assert "Traceback" not in done.stderr
    assert not new.exists()


def test_without_a_lab_here_one_is_named_or_is_the_only_one(neighbours: Neighbours, tmp_path: Path) -> None:
    here, there = neighbours.here, neighbours.there
    first = (here.root / "result").resolve().name
    here.realize(EXPERIMENT.replace('"sweep"', '"sweep"').replace("lab = Lab(", 'lab = Lab(version="2", '))
    refused = there.repx("pull", str(here.store))
    assert refused.status == 2
    assert first in refused.stderr
    assert "name one by the start of its id" in refused.stderr
    assert "there is no Lab 'nothing'" in there.repx("pull", "nothing", str(here.store)).stderr
    ok(there.repx("pull", first[:6], "sweep", str(here.store), "-o", "mine"))
    assert (there.root / "mine").resolve().name == first
    assert len(contents(there.store)) == 4


def test_a_lab_with_a_damaged_object_there_is_brought_whole(neighbours: Neighbours) -> None:
    here, shared = neighbours.here, neighbours.root / "shared"
    ok(here.repx("push", "repeat", str(shared)))
    (stored,) = (shared / "objects").glob("*-notes.txt")
    remove_tree(str(shared / "labs"))
    (shared / "labs").mkdir()
    stored.chmod(0o644)
    stored.write_text("other\n")
    pushed = ok(here.repx("push", str(shared), "--json")).answer
    assert pushed["new_lab"]
    (lab,) = (shared / "labs").iterdir()
    assert [path.read_text() for path in (lab / "store").glob("*-notes.txt")] == ["some notes\n"]

"""Results whose outputs were collected: done until a job that runs takes from them; then made again, and no more."""

from __future__ import annotations

from pathlib import Path

from repx import Run, hard
from repx.agent.base.state import State
from tests.runtime.graphs import Driven
from tests.small_labs import make, parts, report, take


def chain() -> None:
    take(data=take(data=make().data, n=1).more, n=2)


def done_chain(root: Path) -> Driven:
    driven = Driven(root, [Run("run", chain)])
    driven.begin()
    for name in ("make", "take 1", "take 2"):
        driven.end(name, name)
    return driven


def test_what_was_collected_is_done(tmp_path: Path) -> None:
    driven = done_chain(tmp_path)
    driven.collect("make", "take")
    driven.begin().settle()
    assert sorted(driven.told) == ["found make", "found take 1", "found take 2"]
    assert driven.graph.found == 3


def test_a_job_that_runs_has_what_it_needs_made_again_up_to_what_is_there(tmp_path: Path) -> None:
    driven = done_chain(tmp_path)
    driven.collect("make", "take")
    driven.forced = {"take"}
    driven.begin()
    assert driven.told == ["ready make"]
    driven.end("make", "make")
    assert driven.told[-1] == "ready take 1"
    driven.end("take 1", "take 1")
    assert driven.told[-1] == "ready take 2"
    driven.end("take 2", "take 2")
    assert driven.graph.found == 0


def test_what_nobody_needs_is_not_made_again(tmp_path: Path) -> None:
    def both() -> None:
        first = make(n=3)
        take(data=first.data, n=3)
        take(data=make(n=4).data, n=4)

    driven = Driven(tmp_path, [Run("run", both)])
    driven.begin()
    for name in ("make 3", "make 4", "take 3"):
        driven.end(name, name)
    driven.collect("make")
    driven.begin()
    assert sorted(driven.told) == ["found take 3", "ready make 4"]
    driven.end("make 4", "make 4")
    driven.end("take 4", "take 4")
    driven.graph.settle()
    assert driven.told[2:] == ["succeeded make 4", "ready take 4", "succeeded take 4", "found make 3"]


def test_a_job_whose_outputs_are_wanted_is_made_again(tmp_path: Path) -> None:
    driven = done_chain(tmp_path)
    driven.collect("make", "take")
    driven.wanted = {job.id for job in driven.lab.jobs() if job.params.get("n") == 1}
    driven.begin()
    assert driven.told == ["ready make"]
    driven.end("make", "make")
    driven.end("take 1", "take 1")
    driven.graph.settle()
    assert driven.told == ["ready make", "succeeded make", "ready take 1", "succeeded take 1", "found take 2"]


def test_what_comes_out_otherwise_is_what_its_consumer_takes(tmp_path: Path) -> None:
    driven = done_chain(tmp_path)
    driven.collect("make")
    driven.forced = {"take"}
    driven.begin()
    driven.end("make", "other")
    unit = driven.unit("take 1")
    assert unit.resolved is not None
    made = driven.unit("make").outcome
    assert made is not None
    assert {"data": made.outputs["data"].digest} == {
        name: getattr(value, "digest", "") for name, value in unit.resolved.inputs.items()
    }


def test_what_cannot_be_made_again_blocks_who_needs_it(tmp_path: Path) -> None:
    driven = done_chain(tmp_path)
    driven.collect("make")
    driven.forced = {"take"}
    driven.begin()
    driven.end("make", state=State.FAILED)
    assert driven.states() == {"make": "failed", "take 1": "blocked", "take 2": "blocked"}


def test_the_results_of_a_run_are_made_again_for_whoever_takes_them(tmp_path: Path) -> None:
    first = Run("first", make, params={"n": [1, 2]})
    driven = Driven(tmp_path, [first, Run("second", report, after=[hard(first)])])
    driven.begin()
    driven.end("make 1", "one")
    driven.end("make 2", "two")
    driven.collect("make")
    driven.begin()
    assert sorted(driven.told) == ["ready make 1", "ready make 2"]
    driven.end("make 2", "two")
    assert "ready report" not in driven.told
    driven.end("make 1", "one")
    assert driven.told[-1] == "ready report"
    driven.end("report", "report")
    driven.collect("make")
    driven.begin().settle()
    assert {one.split()[0] for one in driven.told} == {"found"}


def test_a_run_that_cannot_be_made_again_blocks_who_takes_its_results(tmp_path: Path) -> None:
    first = Run("first", make, params={"n": [1, 2]})
    driven = Driven(tmp_path, [first, Run("second", report, after=[hard(first)])])
    driven.begin()
    driven.end("make 1", "one")
    driven.end("make 2", "two")
    driven.collect("make")
    driven.begin()
    driven.end("make 1", state=State.FAILED)
    driven.end("make 2", "two")
    assert driven.states()["report"] == "blocked"


def test_a_collected_scatter_gather_is_done_with_all_its_steps(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", lambda: take(data=parts().whole))])
    driven.begin()
    driven.finish()
    driven.collect("split", "work", "finish", "collect", "parts", "take")
    driven.begin().settle()
    assert {one.split()[0] for one in driven.told if one != "grown"} == {"found"}


def test_a_collected_gather_has_only_its_steps_made_again(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", lambda: take(data=parts().whole))])
    driven.begin()
    driven.finish()
    driven.collect("split", "work", "finish", "parts", "take")
    driven.forced = {"take"}
    driven.begin()
    assert sorted(one for one in driven.told if one.startswith("ready")) == ["ready work 1", "ready work 2"]
    driven.finish()
    made = [one for one in driven.told if one.startswith("succeeded")]
    assert len(made) == len({"work 1", "work 2", "finish 1", "finish 2", "collect", "take"})


def test_without_its_items_a_scatter_runs_once_and_nothing_else(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", lambda: take(data=parts().whole))])
    driven.begin()
    driven.finish()
    driven.collect("split", "work", "finish", "parts", "take")
    for items in (tmp_path / "store" / "outputs").glob("*/items"):
        items.unlink()
    driven.begin()
    driven.finish()
    driven.graph.settle()
    assert [one for one in driven.told if one.startswith("succeeded")] == ["succeeded split"]


def test_a_dry_run_says_what_would_be_made_again(tmp_path: Path) -> None:
    driven = done_chain(tmp_path)
    driven.collect("make", "take")
    driven.forced = {"take"}
    driven.begin(dry=True)
    reasons = [str(driven.unit(name).reason) for name in ("make", "take 1", "take 2")]
    assert reasons == ["outputs were collected", "forced", "after others"]
    driven.forced = ()
    driven.begin(dry=True).settle()
    assert [unit.found for unit in driven.graph.units] == [True] * 3

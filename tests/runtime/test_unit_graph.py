"""The graph of units: what becomes ready when, what is found, what blocks, and what a dry run says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from repx import Run, first, hard, soft
from repx.agent.base.layout import RECORD
from repx.agent.base.state import ENDED, MOVES, State
from repx.runtime.units import Unit
from tests.runtime.graphs import Driven
from tests.runtime.world import tree
from tests.small_labs import make, report, take, twice


def chain() -> None:
    take(data=take(data=make().data, n=1).more, n=2)


def test_a_job_is_ready_when_what_it_takes_from_has_succeeded(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", chain)])
    driven.begin()
    assert driven.told == ["ready make"]
    driven.end("make", "one")
    driven.end("take 1", "two")
    driven.end("take 2", "three")
    assert driven.told == [
        "ready make", "succeeded make", "ready take 1", "succeeded take 1", "ready take 2", "succeeded take 2",
    ]  # fmt: skip


def test_what_is_done_is_found(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", chain)])
    driven.begin()
    driven.end("make", "one")
    driven.end("take 1", "two")
    driven.begin()
    assert driven.told == ["found make", "found take 1", "ready take 2"]
    driven.forced = {"make"}
    driven.begin()
    assert driven.told == ["ready make"]
    driven.end("make", "one")
    assert driven.told[1:] == ["succeeded make", "found take 1", "ready take 2"]
    driven.begin()
    driven.end("make", "other")
    assert driven.told == ["ready make", "succeeded make", "ready take 1"]


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_what_fails_blocks_all_that_needs_it_and_is_named(tmp_path: Path, state: State) -> None:
    driven = Driven(tmp_path, [Run("run", chain)])
    driven.begin()
    driven.end("make", state=state)
    assert driven.states() == {"make": state.value, "take 1": "blocked", "take 2": "blocked"}
    assert driven.unit("take 1").blocked_by is driven.unit("make")
    assert driven.unit("take 2").blocked_by is driven.unit("make")


@pytest.mark.parametrize(("kind", "told"), [(hard, "blocked report"), (soft, "ready report")])
def test_after_a_failure_a_soft_run_goes_on_and_a_hard_one_does_not(tmp_path: Path, kind: type, told: str) -> None:
    first = Run("first", make, params={"n": [1, 2]})
    driven = Driven(tmp_path, [first, Run("second", report, after=[kind(first)])])
    driven.begin()
    driven.end("make 1", state=State.FAILED)
    assert "report" not in " ".join(driven.told)
    driven.end("make 2", "two")
    assert driven.told[-1] == told


def test_a_shared_job_goes_on_where_one_of_its_runs_lets_it(tmp_path: Path) -> None:
    first = Run("first", make, params={"n": 1})
    late = Run("late", make, params={"n": 2}, after=[first])
    driven = Driven(tmp_path, [first, late, Run("open", make, params={"n": 2})])
    driven.begin("late")
    driven.end("make 1", state=State.FAILED)
    assert driven.told[-1] == "blocked make 2"
    driven.begin()
    assert sorted(driven.told) == ["ready make 1", "ready make 2"]


def test_each_realization_is_a_unit_and_who_takes_some_waits_for_all(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", lambda: take(data=first(twice()).data))])
    driven.begin()
    assert driven.told == ["ready twice", "ready twice#1"]
    driven.end("twice", "one")
    assert driven.told[-1] != "ready take"
    driven.end("twice#1", state=State.FAILED)
    assert driven.told[-1] == "ready take"
    assert driven.states() == {"twice": "succeeded", "twice#1": "failed", "take": "ready"}


def test_when_it_is_stopped_nothing_more_becomes_ready(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", chain)])
    driven.begin()
    driven.is_over = True
    driven.end("make", "one")
    assert driven.states() == {"make": "succeeded", "take 1": "cancelled", "take 2": "cancelled"}


def test_a_dry_run_says_why_each_job_would_run_and_writes_nothing(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", chain), Run("other", make, params={"n": [5, 6]})])
    driven.begin()
    driven.end("make", "one")
    driven.end("take 1", "two")
    driven.end("make 5", "five")
    make_5 = driven.unit("make 5")
    assert make_5.outcome is not None
    (Path(make_5.outcome.directory) / "out" / "data.txt").unlink()
    before = tree(tmp_path)
    driven.begin(dry=True)
    assert reasons(driven) == {"take 2": "never ran", "make 5": "outputs are gone", "make 6": "never ran"}
    driven.forced = {"make"}
    driven.begin(dry=True)
    assert reasons(driven) == {
        "make": "forced", "take 1": "after others", "take 2": "after others", "make 5": "forced", "make 6": "forced",
    }  # fmt: skip
    assert driven.told == []
    assert tree(tmp_path) == before


def test_a_dry_run_says_that_inputs_have_changed(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", chain)])
    driven.begin()
    driven.end("make", "one")
    driven.end("take 1", "two")
    make_unit = driven.unit("make")
    assert make_unit.outcome is not None
    (Path(make_unit.outcome.directory) / RECORD).unlink()
    driven.begin()
    driven.end("make", "other")
    driven.begin(dry=True)
    assert reasons(driven) == {"take 1": "inputs changed", "take 2": "after others"}


def reasons(driven: Driven) -> dict[str, str]:
    """Why each unit that would run would."""
    return {
        name: str(driven.unit(name).reason) for name, state in driven.states().items() if state == State.READY.value
    }


@pytest.mark.parametrize("state", list(State))
def test_a_state_is_left_only_as_the_table_says(state: State) -> None:
    for other in State:
        unit = Unit(0, 0, None, 0)
        unit.state = state
        if other in MOVES[state]:
            unit.move(other)
        else:
            with pytest.raises(AssertionError, match=f"{state.value} to {other.value}"):
                unit.move(other)
    assert (state in ENDED) == (not MOVES[state])

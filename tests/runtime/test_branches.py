"""Scatter-gathers in a graph of units: opened step by step, equal work done once, failures passed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from repx import Run
from repx.agent.base.state import State
from repx.agent.resolve import FileInput
from tests.runtime.graphs import Driven
from tests.small_labs import make, parts


def test_steps_are_known_when_the_scatter_has_ended_and_follow_each_other(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", parts)])
    driven.begin()
    assert driven.told == ["ready split"]
    driven.end("split", "[1, 2]")
    assert driven.told[1:] == ["succeeded split", "grown", "ready work 1", "ready work 2"]
    driven.end("work 2", "two")
    assert driven.told[-1] == "ready finish"
    driven.end("finish", "end of two")
    driven.end("work 1", "one")
    assert driven.told[-1] == "ready finish"
    driven.end("finish", "end of one")
    assert driven.told[-1] == "ready collect"
    driven.end("collect", "all")
    assert set(driven.states().values()) == {"succeeded"}
    driven.begin()
    assert {line.partition(" ")[0] for line in driven.told} == {"found", "grown"}


def test_what_the_gather_takes_is_in_the_order_of_the_items(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", parts)])
    driven.begin()
    driven.end("split", "[1, 2]")
    for name in ("2", "1"):
        driven.end(f"work {name}", name)
        driven.end("finish", f"end {name}")
    resolved = driven.unit("collect").resolved
    assert resolved is not None
    (value,) = resolved.inputs.values()
    assert isinstance(value, list)
    assert [Path(one.path).read_text() for one in value if isinstance(one, FileInput)] == ["end 1", "end 2"]


def test_equal_items_are_worked_on_once(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", parts)])
    driven.begin()
    driven.end("split", "[7, 7, 7]")
    assert driven.told[-2:] == ["grown", "ready work 7"]
    driven.end("work 7", "seven")
    assert sorted(driven.told[-3:]) == ["found work", "found work", "ready finish"]
    driven.end("finish", "end of seven")
    assert driven.told[-1] == "ready collect"


def test_no_items_leave_the_gather_alone(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", parts)])
    driven.begin()
    driven.end("split", "[]")
    assert driven.told[-2:] == ["grown", "ready collect"]


@pytest.mark.parametrize(
    ("text", "detail"),
    [("{}", "is not a JSON list but dict"), ("[1", "is not JSON"), ("[NaN]", "cannot be items")],
)
def test_a_scatter_that_lists_no_items_fails_the_whole(tmp_path: Path, text: str, detail: str) -> None:
    driven = Driven(tmp_path, [Run("run", parts)])
    driven.begin()
    driven.end("split", text)
    assert driven.states() == {"split": "succeeded", "parts": "failed"}
    attempt = driven.unit("parts").attempt
    assert attempt is not None
    assert (attempt.cause, detail in attempt.detail) == ("output", True)


def test_a_scatter_that_fails_blocks_the_whole(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", parts)])
    driven.begin()
    driven.end("split", state=State.FAILED)
    assert driven.states() == {"split": "failed", "parts": "blocked"}
    assert driven.unit("parts").blocked_by is driven.unit("split")


def test_a_step_that_fails_blocks_its_branch_and_the_whole_and_no_other_branch(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", parts)])
    driven.begin()
    driven.end("split", "[1, 2]")
    driven.end("work 1", state=State.FAILED)
    driven.end("work 2", "two")
    driven.end("finish", "end of two")
    told = [line for line in driven.told if line.startswith(("failed", "blocked"))]
    assert told == ["failed work 1", "blocked step", "blocked parts"]
    assert driven.unit("parts").state is State.BLOCKED


def test_what_is_blocked_opens_no_scatter(tmp_path: Path) -> None:
    first = Run("first", make)
    driven = Driven(tmp_path, [first, Run("second", parts, after=[first])])
    driven.begin()
    driven.end("make", state=State.FAILED)
    assert driven.states() == {"make": "failed", "parts": "blocked"}


def test_a_dry_run_goes_as_far_as_is_known(tmp_path: Path) -> None:
    driven = Driven(tmp_path, [Run("run", parts)])
    driven.begin(dry=True)
    assert driven.states() == {"split": "ready", "parts": "ready"}
    assert [str(unit.reason) for unit in driven.graph.units] == ["after others", "never ran"]
    driven.begin()
    driven.end("split", "[1, 1, 2]")
    driven.end("work 1", "one")
    driven.begin(dry=True)
    assert sorted(str(unit.reason) for unit in driven.graph.units if unit.state is State.READY) == [
        "after others", "after others", "after others", "never ran", "never ran",
    ]  # fmt: skip

"""Values are compared by identity, what is asked for is taken as a person means it, and any value can be written."""

from __future__ import annotations

import enum
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.errors import UsageError
from repx.lab.params import (
    NAME,
    NOT,
    NUMBER,
    SAME,
    asked_for,
    closeness,
    closeness_to_text,
    closest,
    condition,
    read_conditions,
    shown,
)

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
STORED = "store/" + "0" * 32 + "-alice"


class Size(enum.IntEnum):
    SMALL = 1


@pytest.mark.parametrize(
    ("value", "wanted", "close"),
    [
        (1, 1, SAME),
        (1, 1.0, NUMBER),
        (1, True, NOT),
        (True, 1, NOT),
        (1, "1", NOT),
        ("1", 1, NOT),
        (None, None, SAME),
        (None, 0, NOT),
        (0.0, -0.0, NUMBER),
        (9007199254740993, 9007199254740992, NOT),
        (9007199254740993, 9007199254740992.0, NOT),
        (STORED, "alice", NAME),
        (STORED, PurePosixPath("alice"), NAME),
        (1, Size.SMALL, SAME),
        ([64, 64], (64, 64), SAME),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}, SAME),
        ({"a": [1]}, {"a": (Size.SMALL,)}, SAME),
        ([1], [True], NOT),
        ([0.0], [-0.0], NOT),
        ({"a": 1}, {"a": 1.0}, NOT),
        ({"a": 1}, ["a", 1], NOT),
    ],
)
def test_a_value_is_asked_for_by_its_identity(value: Any, wanted: Any, close: int) -> None:
    assert closeness(value, asked_for(wanted)) == close


@pytest.mark.parametrize("value", [{1}, object(), [b"x"], {"a": {1}}, 1j])
def test_what_no_param_can_be_is_not_asked_for(value: Any) -> None:
    with pytest.raises(UsageError, match="no param can be"):
        asked_for(value)


def test_scalars_and_arrays_of_numpy_are_what_they_hold() -> None:
    numpy = pytest.importorskip("numpy")
    assert closeness(3, asked_for(numpy.int64(3))) == SAME
    assert closeness(0.5, asked_for(numpy.float64(0.5))) == SAME
    assert closeness(True, asked_for(numpy.bool_(True))) == SAME
    assert closeness([1, 2], asked_for(numpy.array([1, 2]))) == SAME
    assert closeness({"a": 1}, asked_for({"a": numpy.int64(1)})) == SAME


@pytest.mark.parametrize(
    ("value", "text", "close"),
    [
        (1, "1", SAME),
        ("1", "1", NAME),
        ("1", '"1"', SAME),
        (1.0, "1", NUMBER),
        (1, "01", SAME),
        (True, "true", SAME),
        (True, "True", NAME),
        (None, "None", NAME),
        (True, "1", NOT),
        (STORED, "alice", NAME),
        ([1, 2], "[1, 2]", SAME),
        (9007199254740993, "9007199254740993", SAME),
        (9007199254740993, "9007199254740992.0", NOT),
    ],
)
def test_a_value_is_found_by_what_is_typed(value: Any, text: str, close: int) -> None:
    assert closeness_to_text(value, text) == close


def test_a_stage_is_asked_for_what_it_has_most_exactly() -> None:
    jobs = [(1, "a"), (1.0, "a"), (1.0, "b"), (True, "b")]
    assert closest((job, job[1], [closeness(job[0], 1)]) for job in jobs) == [(1, "a"), (1.0, "b")]


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,4}(\.[a-z]{1,3})?", fullmatch=True), SCALARS))
def test_any_value_can_be_written(params: dict[str, Any]) -> None:
    read = read_conditions(",".join(condition(name, value) for name, value in params.items()))
    assert list(read) == list(params)
    for name, value in params.items():
        assert closeness_to_text(value, read[name]) >= NAME, (value, read[name])


def test_a_comma_within_a_value_parts_nothing() -> None:
    assert read_conditions("a=x,y,b=1") == {"a": "x,y", "b": "1"}
    assert read_conditions('a="x,b=2", b=[1, 2]') == {"a": '"x,b=2"', "b": "[1, 2]"}


@given(SCALARS, SCALARS)
def test_different_values_are_shown_differently(one: Any, other: Any) -> None:
    assert (shown(one) == shown(other)) == (closeness(one, other) == SAME)

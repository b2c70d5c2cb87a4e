"""Selectors as text: what is written is read again, and nothing else is a selector."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.agent.base.selector import Selector, number_in, parse_selector, ranges

INDEXES = st.lists(st.integers(0, 999_999_999), min_size=1, max_size=4, unique=True).map(tuple)
OUTPUTS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]*", fullmatch=True)
SELECTORS = st.one_of(
    st.booleans().map(lambda as_list: Selector("latest", as_list=as_list)),
    st.just(Selector("every")),
    st.tuples(st.integers(1, 10_000), st.booleans()).map(lambda one: Selector("first", number=one[0], as_list=one[1])),
    st.tuples(INDEXES, st.booleans()).map(lambda one: Selector("exact", indexes=one[0], as_list=one[1])),
    st.tuples(st.sampled_from(["largest", "smallest"]), OUTPUTS, st.booleans()).map(
        lambda one: Selector(one[0], output=one[1], as_list=one[2])
    ),
)


@given(SELECTORS)
def test_what_is_written_is_read_again(selector: Selector) -> None:
    assert parse_selector(selector.text) == selector


@given(SELECTORS, SELECTORS)
def test_different_selectors_have_different_texts(one: Selector, other: Selector) -> None:
    assert (one.text == other.text) == (one == other)


@pytest.mark.parametrize(
    "text",
    ["", "every 3", "every as list", "first", "first 0", "first -1", "first 99999999", "exact", "exact 1,", "exact 01",
     "largest", "largest a b", "latest ", " latest", "any", None, 3, ["latest"], "first ١"],
)  # fmt: skip
def test_nothing_else_is_a_selector(text: object) -> None:
    assert parse_selector(text) is None


@pytest.mark.parametrize(
    ("data", "number"), [(b"0.5\n", 0.5), (b" 3 ", 3.0), (b"-1e3", -1000.0), (b"inf", float("inf"))]
)
def test_a_number_is_read(data: bytes, number: float) -> None:
    assert number_in(data, "it") == number


def test_indexes_are_told_in_ranges() -> None:
    assert ranges([7, 0, 1, 2, 9, 10]) == "0-2, 7, 9-10"

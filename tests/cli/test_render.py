"""Tables, facts and JSON as text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.cli.render import print_facts, print_json_array, print_table, size_text


def test_columns_are_aligned_and_numbers_stand_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["run", "jobs"], [["a", "1"], ["longer", "100"]], numbers=["jobs"])
    assert capsys.readouterr().out == "run     jobs\na          1\nlonger   100\n"


def test_a_table_without_rows_is_talk(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["run"], [], empty="no runs")
    assert capsys.readouterr() == ("", "no runs\n")


def test_rows_come_as_they_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["n"], ([str(number)] for number in range(1000)))
    assert len(capsys.readouterr().out.splitlines()) == 1001


def test_facts_leave_out_what_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts([("a", "1"), ("nothing", ""), ("long", "2\n3")])
    assert capsys.readouterr().out == "a     1\nlong  2\n      3\n"


@given(st.lists(st.dictionaries(st.text(), st.integers())))
def test_an_array_is_json(values: list[dict[str, int]]) -> None:
    import contextlib
    import io

    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        print_json_array(values)
    assert json.loads(stream.getvalue()) == values


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0"), (1023, "1023"), (1024, "1.0K"), (1536, "1.5K"), (3 << 40, "3.0T")]
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text

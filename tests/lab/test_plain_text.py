"""What a terminal would show in the end is kept of a log, and nothing that would move its cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.lab.plain_text import last_words, plain_line, plain_lines, plain_stream


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one\ntwo\n", ["one", "two"]),
        ("one\n\ntwo", ["one", "", "two"]),
        ("", []),
        ("\x1b[31mred\x1b[0m", ["red"]),
        ("\x1b]0;title\x07after\x1b]8;;http://a\x1b\\link", ["afterlink"]),
        ("\x9b31mred", ["red"]),
        ("\x1bP a picture \x1b\\after", ["after"]),
        ("\rstep 1\rstep 2\rstep 3", ["step 3"]),
        ("step 1\r\x1b[2Kerror\n", ["error"]),
        ("dos\r\nlines\r\n", ["dos", "lines"]),
        ("10%\b\b\b20%", ["20%"]),
        ("bell\a\0", ["bell"]),
        ("tab\tstays", ["tab\tstays"]),
        ("cut in a title \x1b]0;ti", ["cut in a title "]),
        ("\u202eturned", ["turned"]),
    ],
)
def test_only_what_is_seen_in_the_end_is_kept(text: str, lines: list[str]) -> None:
    assert plain_lines(text) == lines


@given(st.text(alphabet="a\x1b[]0;m\x07\r\n\b\t\x9b\x9d\u202e\\P?h "))
def test_nothing_that_moves_a_cursor_comes_through(text: str) -> None:
    shown = ["".join(plain_lines(text)), plain_line(text), "".join(plain_stream(text)).replace("\n", "")]
    assert all(one.replace("\t", "").isprintable() for one in shown)


def test_a_stream_gives_each_state_of_a_bar() -> None:
    assert list(plain_stream(["1%\r2", "%\r3%\n\x1b[3", "1mend"])) == ["1%\n", "2%\n", "3%\n", "end"]


def test_the_last_words_are_the_last_that_say_something() -> None:
    assert last_words("first\nthe cause\n\x1b[0m\n  \n") == "the cause"
    assert last_words("\n") == ""

"""Text that a job has made, as plain text: without what moves a terminal's cursor; does not know where it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_SEQUENCE = re.compile(
    # ECMA-48: control strings (title, hyperlink, image) up to their end; control sequences; other escapes. An escape
    # that the text ends in the middle of is taken whole too.
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c|\x1b?\Z)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
_HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tab and line end, what reorders or breaks lines, and halves of characters."""


def plain_lines(text: str) -> list[str]:
    """The lines that a terminal would show in the end: what a carriage return has written over is gone."""
    return [_overwritten(line) for line in _SEQUENCE.sub("", text).removesuffix("\n").split("\n")] if text else []


def plain_stream(texts: Iterable[str]) -> Iterator[str]:
    """Lines as they come; each state of a progress bar is one."""
    rest = ""
    for text in texts:
        *whole, rest = (rest + text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
        yield from (line + "\n" for one in whole for line in plain_lines(one) or [""])
    yield from plain_lines(rest)


def plain_line(text: str) -> str:
    """One line: escape sequences go, other control characters are written as Python writes them."""
    if text.isascii() and text.isprintable():
        return text
    return _escaped(_SEQUENCE.sub("", text))


def last_words(text: str) -> str:
    """The last line that says something; empty when none does."""
    return next((line.strip() for line in reversed(plain_lines(text)) if line.strip()), "")


def _overwritten(line: str) -> str:
    parts = [part for part in line.split("\r") if part]
    line = parts[-1] if parts else ""
    if "\b" in line:
        kept: list[str] = []
        for letter in line:
            if letter != "\b":
                kept.append(letter)
            elif kept:
                kept.pop()
        line = "".join(kept)
    return _HARMFUL.sub("", line)


def _escaped(text: str) -> str:
    return _HARMFUL.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\n", " "))

"""How two outputs differ: in which file, from which byte on, in which words; does not know why."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from repx.agent.base.files import walk

_CHUNK = 1 << 20
_WINDOW = 2048
"""Bytes around the first difference that are looked at for words."""

_SHOWN_LINES = 4
_SHOWN_LETTERS = 160


class Difference(NamedTuple):
    """The first file in which two outputs differ, and how many more do.

    `file` is its path below the output, empty where that is a file itself. `offset` is the first byte that differs,
    None where something else than bytes does. `before` and `after` are lines from there on, where both are text, and
    `line` is the number of the first of them.
    """

    file: str
    what: str
    offset: int | None = None
    line: int | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    more: int = 0


def find_difference(old: str, new: str) -> Difference | None:
    """The first difference between two files or trees; None where there is none. Raises OSError."""
    first = None
    more = 0
    for name in sorted(_entries(old) | _entries(new)):
        found = _entry_difference(name, _joined(old, name), _joined(new, name))
        if found is None:
            continue
        if first is None:
            first = found
        else:
            more += 1
    return None if first is None else first._replace(more=more)


def files_of(path: str) -> Sequence[str]:
    """The plain files of an output, as paths below it; "" for the output itself."""
    return [name for name in sorted(_entries(path)) if stat.S_ISREG(os.lstat(_joined(path, name)).st_mode)]


def _entries(top: str) -> set[str]:
    return {path[len(top) + 1 :] for path in walk(top)}


def _joined(top: str, name: str) -> str:
    return f"{top}/{name}" if name else top


def _entry_difference(name: str, old: str, new: str) -> Difference | None:
    try:
        before = os.lstat(old)
    except FileNotFoundError:
        return Difference(name, "it was not there")
    try:
        after = os.lstat(new)
    except FileNotFoundError:
        return Difference(name, "it is not there any more")
    if stat.S_IFMT(before.st_mode) != stat.S_IFMT(after.st_mode):
        return Difference(name, f"it was {_kind(before.st_mode)} and is {_kind(after.st_mode)}")
    if stat.S_ISLNK(before.st_mode):
        was, leads = os.readlink(old), os.readlink(new)
        return None if was == leads else Difference(name, f"the link led to {was} and leads to {leads}")
    if not stat.S_ISREG(before.st_mode):
        return None
    place = _first_byte(old, new)
    if place is not None:
        return _at(name, place, old, new)
    if (before.st_mode ^ after.st_mode) & stat.S_IXUSR:
        now = "can" if after.st_mode & stat.S_IXUSR else "cannot"
        return Difference(name, f"its bytes are the same, and it {now} be executed now")
    return None


def _kind(mode: int) -> str:
    return "a directory" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "a file"


def _first_byte(old: str, new: str) -> tuple[int, int] | None:
    """The first byte at which two files differ, and the line that it is in; from 0 and from 1."""
    offset, line = 0, 1
    with open(old, "rb") as one, open(new, "rb") as other:
        while True:
            was, now = one.read(_CHUNK), other.read(_CHUNK)
            if was != now:
                length = _common(was, now)
                return offset + length, line + was.count(b"\n", 0, length)
            if not was:
                return None
            offset += len(was)
            line += was.count(b"\n")


def _common(one: bytes, other: bytes) -> int:
    """How many bytes are the same at the beginning of both."""
    same, least = 0, min(len(one), len(other)) + 1
    while least - same > 1:
        middle = (same + least) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            least = middle
    return same


def _at(name: str, place: tuple[int, int], old: str, new: str) -> Difference:
    offset, line = place
    before, after = _lines_at(old, offset), _lines_at(new, offset)
    if before is None or after is None:
        return Difference(name, f"byte {offset} differs", offset)
    while len(before) > 1 and len(after) > 1 and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    return Difference(name, f"line {line} differs", offset, line, tuple(before), tuple(after))


def _lines_at(path: str, offset: int) -> list[str] | None:
    """The lines of a text from that of a byte on, a few of them, cut where they are long; None for what is not text."""
    start = max(0, offset - _WINDOW)
    with open(path, "rb") as file:
        file.seek(start)
        data = file.read(2 * _WINDOW)
    # Of a window in the middle of a text, a letter may be cut at either end.
    text = data.decode("utf-8", "replace")
    inner = text[3:-3] if len(text) > 6 else ""
    if "\0" in text or "\ufffd" in (inner if start or len(data) == 2 * _WINDOW else text):
        return None
    ahead = data[: offset - start]
    begin = ahead.rfind(b"\n") + 1
    # A long line is shown from shortly before the place where it differs.
    begin = max(begin, offset - start - _SHOWN_LETTERS // 2)
    lines = data[begin:].decode("utf-8", "replace").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [line[:_SHOWN_LETTERS] for line in lines[:_SHOWN_LINES]]

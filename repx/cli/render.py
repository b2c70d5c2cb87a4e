"""Prints answers on standard output: aligned columns, facts, JSON; does not know what they are about."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import click

from repx.cli.streams import say, silence, wants_color
from repx.errors import RepxError
from repx.lab.plain_text import plain_line

_MEASURED_ROWS = 100
"""The first rows set the width of the columns, so that a long table starts at once."""

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON leaves as it is though a terminal may obey it, or no file can hold it."""

_COLORS = {"succeeded": "green", "failed": "red", "running": "cyan", "blocked": "yellow"}


def print_lines(lines: Iterable[str]) -> None:
    """Print lines as they come and as they are."""
    with answer_may_be_cut():
        for line in lines:
            sys.stdout.write(line + "\n")
        sys.stdout.flush()


@contextmanager
def answer_may_be_cut() -> Iterator[None]:
    """A context in which the reader of our output may close it: the command then ends with status 0.

    Raises RepxError where the answer cannot be written otherwise: half of it is none.
    """
    try:
        yield
    except BrokenPipeError:
        silence(sys.stdout)
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        if error.filename is not None:
            # Not the answer's: of a file that was read for it.
            raise
        silence(sys.stdout)
        raise RepxError(f"the answer cannot be written: {error.strerror}") from None


def print_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = (), empty: str = ""
) -> None:
    """Print columns under titles, those of `numbers` to the right; without rows, print `empty` on standard error."""
    remaining = ([plain_line(cell) for cell in row] for row in rows)
    first = list(islice(remaining, _MEASURED_ROWS))
    if not first:
        note(empty)
        return
    widths = [max(map(len, column)) for column in zip(titles, *first, strict=True)]
    right = [title in numbers for title in titles]
    colored = is_terminal()

    def lines() -> Iterator[str]:
        head = _line(titles, widths, right)
        yield click.style(head, bold=True) if colored else head
        for row in chain(first, remaining):
            yield _line([_colored(cell) for cell in row] if colored else row, widths, right)

    print_lines(lines())


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print labels and values in two aligned columns; the further lines of a value stand below its first."""
    pairs = [(label, value) for label, value in facts if value]
    width = max((len(label) for label, _ in pairs), default=0)
    lines = []
    for label, value in pairs:
        one, *more = map(plain_line, value.split("\n"))
        lines.append(f"{label:<{width}}  {one}")
        lines.extend(f"{'':<{width}}  {line}" for line in more)
    print_lines(lines)


def print_json(value: Any) -> None:
    """Print one value as indented JSON."""
    print_lines([_json(value, indent=2)])


def print_json_array(values: Iterable[Mapping[str, Any]]) -> None:
    """Print a JSON array, one value a line, as the values come."""

    def lines() -> Iterator[str]:
        before = None
        for value in values:
            yield "[" if before is None else before + ","
            before = _json(value)
        yield "[]" if before is None else before + "\n]"

    print_lines(lines())


def note(text: str) -> None:
    """Print a remark on standard error."""
    say(text)


def size_text(size: int) -> str:
    """A number of bytes as people read it: `734`, `12.3K`, `1.0G`."""
    amount = float(size)
    for unit in ("", "K", "M", "G", "T"):
        if amount < 1024 or unit == "T":
            break
        amount /= 1024
    return f"{size}" if not unit else f"{amount:.1f}{unit}"


def duration_text(seconds: float | None) -> str:
    """A time as people read it: `0.31 s`, `42 s`, `3.5 min`, `2.0 h`; `-` where there is none."""
    if seconds is None:
        return "-"
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def is_terminal() -> bool:
    """Whether the answer goes to a terminal that wants colors."""
    return wants_color(sys.stdout)


def _json(value: Any, indent: int | None = None) -> str:
    """JSON in the letters of the answer's encoding; what is not printable is escaped."""
    if not (sys.stdout.encoding or "utf-8").lower().startswith("utf"):
        return json.dumps(value, indent=indent)
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text if text.isprintable() else _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for cell, width, to_right in zip(cells, widths, right, strict=True):
        blanks = " " * (width - len(click.unstyle(cell) if "\x1b" in cell else cell))
        padded.append(blanks + cell if to_right else cell + blanks)
    return "  ".join(padded).rstrip()


def _colored(cell: str) -> str:
    return click.style(cell, fg=_COLORS[cell]) if cell in _COLORS else cell

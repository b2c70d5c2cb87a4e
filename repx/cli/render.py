"""Prints answers on standard output: aligned columns, facts, JSON; does not know what they are about."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import click

_MEASURED_ROWS = 100
"""The first rows set the width of the columns, so that a long table starts at once."""

_COLORS = {"succeeded": "green", "failed": "red", "running": "cyan", "blocked": "yellow"}


def print_lines(lines: Iterable[str]) -> None:
    """Print lines as they come; characters that the terminal cannot encode are escaped."""
    stream = sys.stdout
    if stream is None:
        return
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    with answer_may_be_cut():
        for line in lines:
            stream.write(line + "\n")
        stream.flush()


@contextmanager
def answer_may_be_cut() -> Iterator[None]:
    """A context in which the reader of our output may close it: the command then ends with status 0."""
    try:
        yield
    except BrokenPipeError:
        # Python flushes its buffer at exit, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None


def print_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = (), empty: str = ""
) -> None:
    """Print columns under titles, those of `numbers` to the right; without rows, print `empty` on standard error."""
    remaining = iter(rows)
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
        one, *more = value.split("\n")
        lines.append(f"{label:<{width}}  {one}")
        lines.extend(f"{'':<{width}}  {line}" for line in more)
    print_lines(lines)


def print_json(value: Any) -> None:
    """Print one value as indented JSON."""
    print_lines([json.dumps(value, indent=2, ensure_ascii=False)])


def print_json_array(values: Iterable[Mapping[str, Any]]) -> None:
    """Print a JSON array, one value a line, as the values come."""

    def lines() -> Iterator[str]:
        before = None
        for value in values:
            yield "[" if before is None else before + ","
            before = json.dumps(value, ensure_ascii=False)
        yield "[]" if before is None else before + "\n]"

    print_lines(lines())


def note(text: str) -> None:
    """Print a remark on standard error."""
    click.echo(text, err=True)


def size_text(size: int) -> str:
    """A number of bytes as people read it: `734`, `12.3K`, `1.0G`."""
    amount = float(size)
    for unit in ("", "K", "M", "G", "T"):
        if amount < 1024 or unit == "T":
            break
        amount /= 1024
    return f"{size}" if not unit else f"{amount:.1f}{unit}"


def is_terminal() -> bool:
    """Whether the answer goes to a terminal that wants colors."""
    return sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for cell, width, to_right in zip(cells, widths, right, strict=True):
        blanks = " " * (width - len(click.unstyle(cell) if "\x1b" in cell else cell))
        padded.append(blanks + cell if to_right else cell + blanks)
    return "  ".join(padded).rstrip()


def _colored(cell: str) -> str:
    return click.style(cell, fg=_COLORS[cell]) if cell in _COLORS else cell

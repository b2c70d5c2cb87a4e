"""Answers on standard output: aligned columns, facts, JSON, as they come; knows nothing of Labs."""

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
"""Columns are as wide as the first rows need: the answer to a large question starts at once."""

_COLORS = {"succeeded": "green", "failed": "red", "running": "cyan", "blocked": "yellow"}


def print_lines(lines: Iterable[str]) -> None:
    """Lines as they come; what cannot be encoded is escaped."""
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
    """Whoever reads our output may stop when they have seen enough: that is no failure."""
    try:
        yield
    except BrokenPipeError:
        # What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None


def print_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = (), empty: str = ""
) -> None:
    """Columns under titles, those of `numbers` to the right. Without rows, `empty` is said on standard error."""
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
    """Labels and what belongs to them, aligned; a value of several lines stands below itself."""
    pairs = [(label, value) for label, value in facts if value]
    width = max((len(label) for label, _ in pairs), default=0)
    lines = []
    for label, value in pairs:
        one, *more = value.split("\n")
        lines.append(f"{label:<{width}}  {one}")
        lines.extend(f"{'':<{width}}  {line}" for line in more)
    print_lines(lines)


def print_json(value: Any) -> None:
    """One value, indented."""
    print_lines([json.dumps(value, indent=2, ensure_ascii=False)])


def print_json_array(values: Iterable[Mapping[str, Any]]) -> None:
    """An array, one value a line, as they come."""

    def lines() -> Iterator[str]:
        before = None
        for value in values:
            yield "[" if before is None else before + ","
            before = json.dumps(value, ensure_ascii=False)
        yield "[]" if before is None else before + "\n]"

    print_lines(lines())


def note(text: str) -> None:
    """Talk, for standard error."""
    click.echo(text, err=True)


def size_text(size: int) -> str:
    """Bytes as people read them: `734`, `12.3K`, `1.0G`."""
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

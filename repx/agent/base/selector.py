"""Which realizations of a job a consumer takes: the selectors, their one text, and the choice that each makes.

A selector chooses among the realizations that succeeded, when all have ended; it opens no file itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Callable, NamedTuple

MOST_INDEXES = 10_000
"""Indexes that one selector may name."""

READ_BYTES = 64
"""Bytes that an output may have that is to hold a number."""


class SelectionError(Exception):
    """A selector cannot choose: what it asks for is not there, or an output does not hold a number."""


class Selector(NamedTuple):
    """`latest`, `every`, `first` (`number`), `exact` (`indexes`), `largest` and `smallest` (by `output`).

    `latest` and `first` go by the index, `largest` and `smallest` by the number that an output holds.
    """

    kind: str
    number: int = 0
    indexes: tuple[int, ...] = ()
    output: str = ""
    as_list: bool = False
    """Whether it gives a list where what it chooses is one anyway."""

    @property
    def is_list(self) -> bool:
        """Whether it gives a list, however many that has; else it gives one."""
        return self.as_list or self.kind == "every" or self.number > 1 or len(self.indexes) > 1

    @property
    def text(self) -> str:
        """As it is hashed, and as a Lab says it."""
        if self.kind == "first":
            said = "first %d" % self.number
        elif self.kind == "exact":
            said = "exact " + ",".join(map(str, self.indexes))
        elif self.output:
            said = "%s %s" % (self.kind, self.output)
        else:
            said = self.kind
        return said + (" as list" if self.as_list else "")

    def choose(self, made: Sequence[int], missing: Sequence[int], number_of: Callable[[int, str], float]) -> list[int]:
        """The chosen indexes, among those of the realizations that were `made`; `missing` have failed or are not there.

        `number_of` reads the number in an output of a realization. Raises SelectionError.
        """
        if self.kind in ("every", "exact"):
            wanted = self.indexes if self.kind == "exact" else sorted([*made, *missing])
            absent = [index for index in wanted if index not in set(made)]
            if absent:
                raise SelectionError("realization %s has no result" % ", ".join(map(str, absent)))
            return list(wanted)
        if not made:
            raise SelectionError("no realization has a result")
        if self.kind == "latest":
            return [max(made)]
        if self.kind == "first":
            if len(made) < self.number:
                raise SelectionError("%d of %d realizations have results" % (len(made), self.number))
            return sorted(made)[: self.number]
        numbers = [(number_of(index, self.output), index) for index in sorted(made)]
        usable = [(number, index) for number, index in numbers if not math.isnan(number)]
        if not usable:
            raise SelectionError("output %s of no realization holds a number" % self.output)
        sign = -1.0 if self.kind == "largest" else 1.0
        # Of equal ones the lowest index.
        return [min(usable, key=lambda one: (sign * one[0], one[1]))[1]]


def parse_selector(text: object) -> Selector | None:
    """What `Selector.text` has written; None for anything else."""
    if type(text) is not str:
        return None
    is_list = text.endswith(" as list")
    kind, _, rest = (text[: -len(" as list")] if is_list else text).partition(" ")
    selector = None
    if (kind == "latest" and not rest) or text == "every":
        selector = Selector(kind, as_list=is_list)
    elif kind == "first" and _is_number(rest) and 0 < int(rest) <= MOST_INDEXES:
        selector = Selector(kind, number=int(rest), as_list=is_list)
    elif kind == "exact" and all(map(_is_number, rest.split(","))):
        selector = Selector(kind, indexes=tuple(map(int, rest.split(","))), as_list=is_list)
    elif kind in ("largest", "smallest") and rest and " " not in rest:
        selector = Selector(kind, output=rest, as_list=is_list)
    return selector if selector is not None and selector.text == text else None


def number_in(data: bytes, what: str) -> float:
    """The number that a file holds: a text, or JSON, of one number. Raises SelectionError, which calls it `what`."""
    try:
        if len(data) <= READ_BYTES:
            return float(data.decode("ascii").strip())
    except ValueError:
        pass
    raise SelectionError("%s is not a number: %r" % (what, data[:40].decode("utf-8", "replace").strip()))


def ranges(indexes: Iterable[int]) -> str:
    """Indexes as people read them: `0-3, 7`."""
    found: list[list[int]] = []
    for index in sorted(indexes):
        if found and found[-1][1] == index - 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return ", ".join(str(low) if low == high else "%d-%d" % (low, high) for low, high in found)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9

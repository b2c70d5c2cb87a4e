"""Assignments of values to axes, row by row; does not know who takes which value.

Identity is never Python's `==` (1 == True == 1.0): an axis keeps its values once, a row refers to them by their place.
Rows come in the order of the axes' names, the last one changing fastest, in whatever order the axes were declared. Axes
that vary in lockstep move as one factor, which keeps its own order and stands where its first axis would.
"""

from __future__ import annotations

import enum
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from repx.dsl.caller import caller
from repx.errors import DefinitionError, nearest, plural
from repx.model.values import Value, identity

Row = tuple[int, ...]


class Absent(enum.Enum):
    """What stands on an axis for the assignments that do not have it: nothing was given, which None is not."""

    ABSENT = "absent"


ABSENT: Literal[Absent.ABSENT] = Absent.ABSENT

OnAxis = Value | Literal[Absent.ABSENT]
"""What may stand on an axis."""


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """A param and its values, each once, in the order they were given."""

    name: str
    values: tuple[OnAxis, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """Axes that move as one: `rows` holds, for each of its assignments, the place of the value on each axis."""

    axes: tuple[Axis, ...]
    rows: Sequence[Row]


class Sweep:
    """Assignments of values to axes. `axes` are sorted by name; made by `product`, `zip`, `concat` and `where`."""

    __slots__ = ("axes", "factors")

    def __init__(self, factors: Iterable[Factor]) -> None:
        # A factor without axes has one empty row; `where` leaves such a factor of an empty sweep.
        self.factors = tuple(sorted((one for one in factors if one.axes), key=lambda one: one.axes[0].name))
        self.axes = tuple(sorted((axis for one in self.factors for axis in one.axes), key=lambda axis: axis.name))

    def rows(self) -> Iterator[Row]:
        """Each assignment as the places of its values, in the order of `axes`; made one at a time."""
        combined = itertools.product(*(factor.rows for factor in self.factors))
        names = [axis.name for factor in self.factors for axis in factor.axes]
        flat = map(tuple, map(itertools.chain.from_iterable, combined))
        if names == sorted(names):
            return flat
        # There are two axes or more here, so that itemgetter makes tuples.
        return map(operator.itemgetter(*(names.index(axis.name) for axis in self.axes)), flat)

    def assignments(self) -> Iterator[dict[str, Value]]:
        """Each assignment as a dict, in the order of `rows`; what is absent is None there."""
        for row in self.rows():
            yield {axis.name: _shown_value(axis.values[code]) for axis, code in zip(self.axes, row, strict=True)}

    def where(self, predicate: Callable[[Any], object]) -> Sweep:
        """The assignments for which `predicate` is true. It gets an object with the values as attributes.

        The values of `"stage.param"` are read as `p["stage.param"]`. Raises DefinitionError when nothing is left.
        """
        if not callable(predicate):
            raise DefinitionError(
                f"where takes a function, not {predicate!r}",
                location=caller(),
                hint='write sweep.where(lambda p: p.model == "large")',
            )
        columns = {axis.name: (place, axis.values) for place, axis in enumerate(self.axes)}
        kept = [row for row in self.rows() if predicate(_Assignment(columns, row))]
        if not kept:
            count = len(self)
            raise DefinitionError(
                f"where leaves none of {count} {plural('assignment', count)}",
                location=caller(),
                facts=[("axes", _shown_axes(self.axes))],
            )
        return Sweep([_only_used(Factor(self.axes, kept))])

    def __len__(self) -> int:
        return math.prod(len(factor.rows) for factor in self.factors)

    def __repr__(self) -> str:
        count = len(self)
        return f"<Sweep of {count} {plural('assignment', count)}: {_shown_axes(self.axes)}>"


class Column:
    """The values of an axis as they come; equal ones (same type, same value) share one code."""

    def __init__(self) -> None:
        self.values: list[OnAxis] = []
        self._codes: dict[str, int] = {}

    def code(self, value: OnAxis) -> int:
        """The code of a value, a new one if it was not seen before."""
        code = self._codes.setdefault("absent" if value is ABSENT else identity(value), len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code


class _Assignment:
    """What a predicate gets: the values of one assignment as attributes."""

    __slots__ = ("_repx_columns", "_repx_row")

    def __init__(self, columns: Mapping[str, tuple[int, tuple[OnAxis, ...]]], row: Row) -> None:
        self._repx_columns = columns
        self._repx_row = row

    def __getitem__(self, name: str) -> Value:
        if name not in self._repx_columns:
            parts = [one for one in self._repx_columns if one.startswith(f"{name}.")]
            raise DefinitionError(
                f"the sweep has no axis {name!r}",
                location=caller(),
                hint=f"write p[{parts[0]!r}]" if parts else nearest(name, self._repx_columns),
            )
        place, values = self._repx_columns[name]
        return _shown_value(values[self._repx_row[place]])

    def __getattr__(self, name: str) -> Value:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]


def _shown_value(value: OnAxis) -> Value:
    return None if value is ABSENT else value


def _only_used(factor: Factor) -> Factor:
    """The factor without the values that no row refers to, so that `axes` says what there is."""
    axes, recodes = [], []
    for place, axis in enumerate(factor.axes):
        used = sorted({row[place] for row in factor.rows})
        axes.append(Axis(axis.name, tuple(axis.values[code] for code in used)))
        recodes.append({code: new for new, code in enumerate(used)})
    if all(len(new.values) == len(old.values) for new, old in zip(axes, factor.axes, strict=True)):
        return factor
    rows = [tuple(recode[code] for recode, code in zip(recodes, row, strict=True)) for row in factor.rows]
    return Factor(tuple(axes), rows)


def _shown_axes(axes: Sequence[Axis]) -> str:
    return ", ".join(f"{axis.name} ({len(axis.values)})" for axis in axes) or "no axes"

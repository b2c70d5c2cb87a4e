"""The sweep algebra: axes of values combined into assignments, row by row; does not know which stage takes what.

Identity is never Python's `==` (1 == True == 1.0): an axis keeps its values once, a row refers to them by their place.
Rows come in the order of the axes' names, the last one changing fastest, whatever order they were declared in; what
varies in lockstep moves as one, keeps its own order, and stands where its first axis would.

A value that stands twice on an axis, or an assignment twice in a zip, is refused: it would make one job where two were
meant. `concat` is where parts may overlap: equal assignments become one.
"""

from __future__ import annotations

import builtins
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repx.dsl.caller import caller
from repx.errors import DefinitionError, nearest, plural
from repx.model.values import Value, check_value, identity

Row = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """A param and its values, each once, in the order they were given."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Factor:
    """Axes that move as one: `rows` holds, for each of its assignments, the place of the value on each axis."""

    axes: tuple[Axis, ...]
    rows: Sequence[Row]


class Sweep:
    """Assignments of values to axes. `axes` are sorted by name; made by `product`, `zip`, `concat` and `where`."""

    __slots__ = ("_factors", "axes")

    def __init__(self, factors: Iterable[_Factor]) -> None:
        # A factor without axes has one row that says nothing; it is what `where` leaves of an empty sweep.
        self._factors = tuple(sorted((one for one in factors if one.axes), key=lambda one: one.axes[0].name))
        self.axes = tuple(sorted((axis for one in self._factors for axis in one.axes), key=lambda axis: axis.name))

    def rows(self) -> Iterator[Row]:
        """Each assignment as the places of its values, in the order of `axes`; made one at a time."""
        combined = itertools.product(*(factor.rows for factor in self._factors))
        names = [axis.name for factor in self._factors for axis in factor.axes]
        flat = map(tuple, map(itertools.chain.from_iterable, combined))
        if names == sorted(names):
            return flat
        # There are two axes or more here, so that itemgetter makes tuples.
        return map(operator.itemgetter(*(names.index(axis.name) for axis in self.axes)), flat)

    def assignments(self) -> Iterator[dict[str, Value]]:
        """Each assignment as a dict, in the order of `rows`."""
        for row in self.rows():
            yield {axis.name: axis.values[code] for axis, code in builtins.zip(self.axes, row, strict=True)}

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
        return Sweep([_only_used(_Factor(self.axes, kept))])

    def __len__(self) -> int:
        return math.prod(len(factor.rows) for factor in self._factors)

    def __repr__(self) -> str:
        count = len(self)
        return f"<Sweep of {count} {plural('assignment', count)}: {_shown_axes(self.axes)}>"


def product(*parts: Mapping[str, Any] | Sweep, **axes: Any) -> Sweep:
    """Every assignment of one part with every assignment of the others.

    A part is a sweep or a mapping of names to lists; a mapping's value may itself be a sweep, whose key then is only
    a label. Raises DefinitionError for an axis that is given twice.
    """
    reader = _Reader("product")
    factors = [factor for part in _parts(parts, axes) for _, group in reader.read(part) for factor in group._factors]
    reader.finish()
    return Sweep(factors)


def zip(*parts: Mapping[str, Any] | Sweep, **axes: Any) -> Sweep:  # noqa: A001 - reads as repx.zip
    """Lists, or whole sweeps, in lockstep: the first with the first, the second with the second.

    Raises DefinitionError for different lengths, naming each, and for an assignment that comes twice.
    """
    reader = _Reader("zip")
    members = [member for part in _parts(parts, axes) for member in reader.read(part, lockstep=True)]
    if not members:
        reader.complain("zip of nothing")
    reader.finish()
    if len({len(sweep) for _, sweep in members}) > 1:
        raise DefinitionError(
            "zip of different lengths",
            location=caller(),
            facts=[(label, len(sweep)) for label, sweep in members],
            hint="what stays the same stands beside it: repx.product(repx.zip(…), lr=0.1)",
        )
    combined = tuple(axis for _, sweep in members for axis in sweep.axes)
    rows = [
        tuple(itertools.chain.from_iterable(row))
        for row in builtins.zip(*(sweep.rows() for _, sweep in members), strict=True)
    ]
    twice = _first_twice(rows)
    if twice is not None:
        raise DefinitionError(
            f"zip has the same assignment twice, at {twice[0]} and {twice[1]}",
            location=caller(),
            facts=[
                (axis.name, repr(axis.values[code]))
                for axis, code in builtins.zip(combined, rows[twice[0]], strict=True)
            ],
            hint="positions count from 0; leave one of them out",
        )
    return Sweep([_sorted_factor(combined, rows)])


def concat(*parts: Mapping[str, Any] | Sweep) -> Sweep:
    """The assignments of each part after those of the parts before it; equal ones become one, the first.

    An axis that a part does not have is None there, which means the default of whoever takes the param.
    """
    reader = _Reader("concat")
    sweeps = [product(part) for part in parts if reader.is_part(part)]
    if not parts:
        reader.complain("concat of nothing")
    reader.finish()
    names = sorted({axis.name for sweep in sweeps for axis in sweep.axes})
    columns = {name: _Column() for name in names}
    rows: dict[Row, None] = {}
    for sweep in sweeps:
        places = {axis.name: place for place, axis in enumerate(sweep.axes)}
        # Each value is looked up once, not once per row.
        codes = [
            [columns[name].code(value) for value in (sweep.axes[places[name]].values if name in places else (None,))]
            for name in names
        ]
        sources = [places.get(name) for name in names]
        for row in sweep.rows():
            rows[tuple(codes[at][0 if of is None else row[of]] for at, of in enumerate(sources))] = None
    axes = tuple(Axis(name, tuple(columns[name].values)) for name in names)
    return Sweep([_Factor(axes, list(rows))])


def as_sweep(params: Mapping[str, Any] | Sweep | None) -> Sweep:
    """The params of a run as a sweep: a mapping of lists is a Cartesian product, nothing is one empty assignment.

    Raises DefinitionError with all that is wrong.
    """
    if params is None:
        return Sweep([])
    if not isinstance(params, Mapping | Sweep):
        raise DefinitionError(
            f"params: {params!r} is neither a mapping of names to lists nor a sweep",
            location=caller(),
            hint='write params={"lr": [0.1, 0.2]}, repx.zip(…) or repx.concat(…)',
        )
    return params if isinstance(params, Sweep) else product(params)


class _Reader:
    """Reads the parts of one call and keeps every complaint, so that all of them are told at once."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._complaints: list[tuple[str, str]] = []
        self._axes: set[str] = set()
        self._labels: list[str] = []

    def read(self, part: object, *, lockstep: bool = False) -> list[tuple[str, Sweep]]:
        """The members of a part, each with a name for messages. In lockstep a value may come again on an axis."""
        if not self.is_part(part):
            return []
        if isinstance(part, Sweep):
            return [self._sweep(part)]
        members = []
        assert isinstance(part, Mapping)
        for name, value in part.items():
            if isinstance(value, Sweep):
                self._labels.append(name)
                members.append(self._sweep(value))
            elif not isinstance(name, str) or not _AXIS_NAME.match(name):
                self.complain(
                    'an axis is called like a param, "lr", or like one of a stage, "train.lr"', f"axis {name!r}"
                )
            else:
                self._take(name)
                values = self._values(name, value)
                members.append((name, Sweep([self._axis(name, values, lockstep=lockstep)])))
        return members

    def is_part(self, part: object) -> bool:
        """Whether it is something to combine; if not, that is a complaint."""
        if isinstance(part, Mapping | Sweep):
            return True
        self.complain(f"{part!r} is neither a mapping of names to lists nor a sweep")
        return False

    def complain(self, reason: str, where: str = "") -> None:
        """Keep a complaint for `finish`."""
        self._complaints.append((where, reason))

    def finish(self) -> None:
        """Raise DefinitionError if there was a complaint."""
        for label in self._labels:
            if label in self._axes:
                self.complain(
                    "the key of a sweep is only a label and no param, and this one is an axis too: rename the key",
                    f"axis {label!r}",
                )
        if not self._complaints:
            return
        if len(self._complaints) == 1:
            where, reason = self._complaints[0]
            raise DefinitionError(f"{where}: {reason}" if where else reason, location=caller())
        count = len(self._complaints)
        more = [("…", f"and {count - _COMPLAINTS_SHOWN} more")] if count > _COMPLAINTS_SHOWN else []
        raise DefinitionError(
            f"{count} mistakes in a {self._verb}",
            location=caller(),
            facts=[*self._complaints[:_COMPLAINTS_SHOWN], *more],
        )

    def _sweep(self, sweep: Sweep) -> tuple[str, Sweep]:
        for axis in sweep.axes:
            self._take(axis.name)
        return ", ".join(axis.name for axis in sweep.axes) or "an empty sweep", sweep

    def _take(self, name: str) -> None:
        if name in self._axes:
            self.complain("given twice; each axis has one place in a sweep", f"axis {name!r}")
        self._axes.add(name)

    def _values(self, name: str, given: object) -> list[Value]:
        if isinstance(given, Mapping):
            self.complain("a mapping is no list of values; repx.product(…) and repx.zip(…) nest", f"axis {name!r}")
            return [None]
        if isinstance(given, set | frozenset):
            self.complain("a set has no order; write sorted(…)", f"axis {name!r}")
            return [None]
        items = _listed(given)
        if not items:
            self.complain("has no values", f"axis {name!r}")
            return [None]
        values: list[Value] = []
        for place, item in enumerate(items):
            try:
                values.append(check_value(item))
            except ValueError as error:
                self.complain(str(error), f"axis {name!r}, value {place}")
        return values or [None]

    def _axis(self, name: str, values: Sequence[Value], *, lockstep: bool) -> _Factor:
        column = _Column()
        first: list[int] = []
        rows: list[Row] = []
        for place, value in enumerate(values):
            code = column.code(value)
            if code == len(first):
                first.append(place)
            elif not lockstep:
                self.complain(
                    f"{value!r} stands twice, at {first[code]} and {place} (counted from 0)", f"axis {name!r}"
                )
            rows.append((code,))
        return _Factor((Axis(name, tuple(column.values)),), rows)


class _Column:
    """The values of an axis as they come; equal ones (same type, same value) share one code."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._codes: dict[str, int] = {}

    def code(self, value: Value) -> int:
        """The code of a value, a new one if it was not seen before."""
        code = self._codes.setdefault(identity(value), len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code


class _Assignment:
    """What a predicate gets: the values of one assignment as attributes."""

    __slots__ = ("_repx_columns", "_repx_row")

    def __init__(self, columns: Mapping[str, tuple[int, tuple[Value, ...]]], row: Row) -> None:
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
        return values[self._repx_row[place]]

    def __getattr__(self, name: str) -> Value:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]


_COMPLAINTS_SHOWN = 12

# The stage part is what `repx.model.names.check_name` allows; the param is the last part.
_AXIS_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+-]*\.)?[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)


def _parts(parts: Sequence[Mapping[str, Any] | Sweep], axes: Mapping[str, Any]) -> list[Mapping[str, Any] | Sweep]:
    return [*parts, axes] if axes else list(parts)


def _listed(given: object) -> list[object]:
    """A list, range, array or generator as a list; anything that is one value as a list of it."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        return [given]
    try:
        return list(given)
    except TypeError:  # NumPy's arrays without dimension say that they are iterable
        return [given]


def _sorted_factor(axes: Sequence[Axis], rows: Sequence[Row]) -> _Factor:
    order = sorted(range(len(axes)), key=lambda place: axes[place].name)
    return _Factor(tuple(axes[place] for place in order), [tuple(row[place] for place in order) for row in rows])


def _only_used(factor: _Factor) -> _Factor:
    """The factor without the values that no row refers to, so that `axes` says what there is."""
    axes, recodes = [], []
    for place, axis in enumerate(factor.axes):
        used = sorted({row[place] for row in factor.rows})
        axes.append(Axis(axis.name, tuple(axis.values[code] for code in used)))
        recodes.append({code: new for new, code in enumerate(used)})
    if all(len(new.values) == len(old.values) for new, old in builtins.zip(axes, factor.axes, strict=True)):
        return factor
    rows = [tuple(recode[code] for recode, code in builtins.zip(recodes, row, strict=True)) for row in factor.rows]
    return _Factor(tuple(axes), rows)


def _first_twice(rows: Sequence[Row]) -> tuple[int, int] | None:
    seen: dict[Row, int] = {}
    for place, row in enumerate(rows):
        if seen.setdefault(row, place) != place:
            return seen[row], place
    return None


def _shown_axes(axes: Sequence[Axis]) -> str:
    return ", ".join(f"{axis.name} ({len(axis.values)})" for axis in axes) or "no axes"

"""The sweep algebra: product, zip and concat make assignments out of axes and of other sweeps.

A value that stands twice on an axis, or an assignment twice in a zip, is refused: it would make one job where two were
meant. In `concat` parts may overlap: equal assignments become one.
"""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from repx.dsl.assignments import ABSENT, Axis, Column, Factor, Row, Sweep
from repx.dsl.caller import caller
from repx.dsl.sweep_reader import SweepReader
from repx.errors import DefinitionError


def product(*parts: Mapping[str, Any] | Sweep, **axes: Any) -> Sweep:
    """Every assignment of one part with every assignment of the others.

    A part is a sweep or a mapping of names to lists; a mapping's value may itself be a sweep, whose key then is only
    a label. Raises DefinitionError for an axis that is given twice.
    """
    reader = SweepReader("product")
    factors = [factor for part in _parts(parts, axes) for _, group in reader.read(part) for factor in group.factors]
    reader.finish()
    return Sweep(factors)


def zip(*parts: Mapping[str, Any] | Sweep, **axes: Any) -> Sweep:  # noqa: A001 - reads as repx.zip
    """Lists, or whole sweeps, in lockstep: the first with the first, the second with the second.

    Raises DefinitionError for different lengths, naming each, and for an assignment that comes twice.
    """
    if parts and all(isinstance(part, Iterable) and not isinstance(part, Mapping | str) for part in parts):
        raise DefinitionError(
            "this zip is that of repx, and it got lists without names",
            location=caller(),
            hint="for a sweep, write repx.zip(lr=[…], seed=[…]); Python's own is builtins.zip",
        )
    reader = SweepReader("zip")
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

    An axis that a part does not have means the default of whoever takes the param there; `where` sees None for it.
    """
    reader = SweepReader("concat")
    sweeps = [product(part) for part in parts if reader.is_part(part)]
    if not parts:
        reader.complain("concat of nothing")
    reader.finish()
    names = sorted({axis.name for sweep in sweeps for axis in sweep.axes})
    columns = {name: Column() for name in names}
    rows: dict[Row, None] = {}
    for sweep in sweeps:
        places = {axis.name: place for place, axis in enumerate(sweep.axes)}
        # Each value is looked up once, not once per row.
        codes = [
            [columns[name].code(value) for value in (sweep.axes[places[name]].values if name in places else (ABSENT,))]
            for name in names
        ]
        sources = [places.get(name) for name in names]
        for row in sweep.rows():
            rows[tuple(codes[at][0 if of is None else row[of]] for at, of in enumerate(sources))] = None
    axes = tuple(Axis(name, tuple(columns[name].values)) for name in names)
    return Sweep([Factor(axes, list(rows))])


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


def _parts(parts: Sequence[Mapping[str, Any] | Sweep], axes: Mapping[str, Any]) -> list[Mapping[str, Any] | Sweep]:
    return [*parts, axes] if axes else list(parts)


def _sorted_factor(axes: Sequence[Axis], rows: Sequence[Row]) -> Factor:
    order = sorted(range(len(axes)), key=lambda place: axes[place].name)
    return Factor(tuple(axes[place] for place in order), [tuple(row[place] for place in order) for row in rows])


def _first_twice(rows: Sequence[Row]) -> tuple[int, int] | None:
    seen: dict[Row, int] = {}
    for place, row in enumerate(rows):
        if seen.setdefault(row, place) != place:
            return seen[row], place
    return None

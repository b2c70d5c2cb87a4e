"""Reads the sweeps, mappings and lists that a user combines, and keeps every complaint; combines nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence

from repx.dsl.assignments import Axis, Column, Factor, Row, Sweep
from repx.dsl.caller import caller
from repx.errors import DefinitionError
from repx.model.values import Value, check_value

_COMPLAINTS_SHOWN = 12

# The stage part is what `repx.model.names.check_name` allows; the param is the last part.
_AXIS_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+-]*\.)?[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)


class SweepReader:
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
            self.complain("a mapping is not a list of values; repx.product(…) and repx.zip(…) nest", f"axis {name!r}")
            return [None]
        if isinstance(given, set | frozenset):
            self.complain("a set has no order; write sorted(…)", f"axis {name!r}")
            return [None]
        if (what := _not_a_list(given)) is not None:
            self.complain(what, f"axis {name!r}")
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

    def _axis(self, name: str, values: Sequence[Value], *, lockstep: bool) -> Factor:
        column = Column()
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
        return Factor((Axis(name, tuple(column.values)),), rows)


def _not_a_list(given: object) -> str | None:
    """Why something that can be iterated over is not a list of values: a table would give the names of its columns."""
    kind = type(given).__name__
    is_table = any(hasattr(given, name) for name in ("columns", "column_names", "colnames", "data_vars"))
    if is_table or getattr(getattr(given, "dtype", None), "names", None):
        return f"a {kind} is a table, not a list of values; give one of its columns, or repx.zip(…) of several"
    if isinstance(given, io.IOBase):
        return "an open file is not a list of values; write its lines as a list, such as text.splitlines()"
    return None


def _listed(given: object) -> list[object]:
    """A list, range, array or generator as a list; anything that is one value as a list of it."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        return [given]
    try:
        return list(given)
    except TypeError:  # NumPy's arrays without dimension say that they are iterable
        return [given]

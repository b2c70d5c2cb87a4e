"""Writes plain data as Python that makes the same value again; does not know which names of a module hold it.

Plain are None, bool, int, float, complex, str, bytes, paths, dates, members of enums, containers and data classes of
these, and arrays of NumPy that are not large. What is not plain, or too much, has no such text.
"""

from __future__ import annotations

import argparse
import builtins
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import keyword
import math
import pathlib
import sys
import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

LARGEST = 50_000
"""Values inside one value, above which it is not written out."""

LARGEST_TEXT = 1 << 18
"""Characters of a string, and bytes of an array, above which it is not written out."""

DEEPEST = 60
"""Containers inside each other: what reads the text counts them too."""

MAKE = "_repx_made"
"""The function that scripts make instances of data classes with."""

MAKER = f"""\
def {MAKE}(kind, /, **fields):
    made = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made"""

Spell = Callable[[type], str | None]
"""How the script can name a class, or None where it cannot."""


class NotPlain(Exception):
    """The value cannot be written as text."""


class Shape(NamedTuple):
    """A value as text around its parts: each part comes after its prefix. `is_set`: the parts have no order."""

    start: str
    parts: tuple[tuple[str, object], ...] = ()
    end: str = ""
    is_shared: bool = False
    """Whether another name of the same object would show: it can change."""
    is_set: bool = False


class PlainData:
    """Plain values of one module. `spell` names classes; `shadowed` are built-in names with another meaning there."""

    def __init__(self, spell: Spell, shadowed: Iterable[str] = ()) -> None:
        self._spell = spell
        self._shadowed = frozenset(shadowed)

    def parts(self, value: object) -> list[tuple[object, bool]]:
        """All objects in `value`, itself first, each with whether it can change. Raises NotPlain."""
        found: list[tuple[object, bool]] = []
        waiting: list[tuple[object, tuple[int, ...]]] = [(value, ())]
        while waiting:
            one, above = waiting.pop()
            shape = self._shape(one)
            if len(found) > LARGEST or len(above) > DEEPEST or id(one) in above:
                raise NotPlain
            found.append((one, shape.is_shared))
            if shape.parts:
                inside = (*above, id(one))
                waiting.extend((part, inside) for _, part in reversed(shape.parts))
        return found

    def text(self, value: object, names: Mapping[int, str], *, outermost: bool = True) -> str:
        """The value as an expression; objects in `names` (by identity) are called by their names, but for itself."""
        if not outermost and id(value) in names:
            return names[id(value)]
        shape = self._shape(value)
        written = [(prefix, self.text(part, names, outermost=False)) for prefix, part in shape.parts]
        if shape.is_set:
            inner = ", ".join(sorted(text for _, text in written))
        else:
            inner = "".join(prefix + text for prefix, text in written)
        return shape.start + inner + shape.end

    def _shape(self, value: object) -> Shape:
        kind = type(value)
        if (write := _ATOMS.get(kind)) is not None:
            return Shape(write(value))
        if (shape := self._container(kind, value)) is not None:
            return shape
        if isinstance(value, enum.Enum):
            return self._member(kind, value)
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return Shape(f"tuple.__new__({self._named(kind)}, (", _listed(value), ",))" if value else "))")
        if dataclasses.is_dataclass(kind):
            return self._record(kind, value)
        if kind in (types.SimpleNamespace, argparse.Namespace):
            fields = vars(value)
            _check_fields(fields)
            return Shape(f"{_imported(kind)}(", tuple(_keywords(fields)), ")", is_shared=True)
        return _array(value)

    def _container(self, kind: type, value: Any) -> Shape | None:
        shape: Shape | None = None
        if kind is list:
            shape = Shape("[", _listed(value), "]", is_shared=True)
        elif kind is tuple:
            shape = Shape("(", _listed(value), ",)" if len(value) == 1 else ")")
        elif kind is dict:
            shape = Shape("{", _pairs(value), "}", is_shared=True)
        elif kind in (set, frozenset):
            start = f"{self._builtin(kind.__name__)}(["
            shape = Shape(start, tuple(("", one) for one in value), "])", is_shared=kind is set, is_set=True)
        elif kind is bytearray:
            shape = Shape(f"{self._builtin('bytearray')}({_text(bytes(value))})", is_shared=True)
        elif kind in (range, slice):
            parts = (value.start, value.stop, value.step)
            shape = Shape(f"{self._builtin(kind.__name__)}(", _listed(parts), ")")
        elif kind in (collections.OrderedDict, collections.Counter):
            shape = Shape(f"{_imported(kind)}({{", _pairs(value), "})", is_shared=True)
        elif kind is collections.deque:
            shape = Shape(f"{_imported(kind)}([", _listed(value), f"], {value.maxlen})", is_shared=True)
        elif kind is collections.defaultdict and (made := self._factory(value.default_factory)) is not None:
            shape = Shape(f"{_imported(kind)}({made}, {{", _pairs(value), "})", is_shared=True)
        return shape

    def _factory(self, factory: object) -> str | None:
        if factory is None:
            return "None"
        plain = isinstance(factory, type) and getattr(builtins, factory.__name__, None) is factory
        return self._builtin(factory.__name__) if plain and isinstance(factory, type) else None

    def _member(self, kind: type, value: enum.Enum) -> Shape:
        name = value.name
        if isinstance(name, str) and name.isidentifier() and getattr(kind, name, None) is value:
            return Shape(f"{self._named(kind)}.{name}")
        return Shape(f"{self._named(kind)}(", (("", value.value),), ")")

    def _record(self, kind: type, value: object) -> Shape:
        fields = {name: getattr(value, name) for name in _slots(kind) if hasattr(value, name)}
        fields.update(getattr(value, "__dict__", {}))
        _check_fields(fields)
        if issubclass(kind, dict | list | set | str | int | float | tuple | BaseException):
            raise NotPlain
        parts = tuple((f", {name}=", one) for name, one in fields.items())
        return Shape(f"{MAKE}({self._named(kind)}", parts, ")", is_shared=True)

    def _named(self, kind: type) -> str:
        name = self._spell(kind)
        if name is None:
            raise NotPlain
        return name

    def _builtin(self, name: str) -> str:
        return f"__import__('builtins').{name}" if name in self._shadowed else name


def _slots(kind: type) -> Iterator[str]:
    for base in reversed(kind.__mro__):
        slots = base.__dict__.get("__slots__", ())
        yield from (one for one in ([slots] if isinstance(slots, str) else slots) if not one.startswith("__"))


def _check_fields(fields: Mapping[str, object]) -> None:
    if not all(isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name) for name in fields):
        raise NotPlain


def _listed(values: Iterable[object]) -> tuple[tuple[str, object], ...]:
    return tuple((", " if place else "", one) for place, one in enumerate(values))


def _keywords(fields: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for place, (name, one) in enumerate(fields.items()):
        yield (", " if place else "") + f"{name}=", one


def _pairs(values: Mapping[object, object]) -> tuple[tuple[str, object], ...]:
    parts: list[tuple[str, object]] = []
    for key, value in values.items():
        parts += [(", " if parts else "", key), (": ", value)]
    return tuple(parts)


def _imported(kind: type) -> str:
    return f"__import__({kind.__module__!r}).{kind.__name__}"


def _text(value: Any) -> str:
    if len(value) > LARGEST_TEXT:
        raise NotPlain
    return ascii(value)


def _int(value: Any) -> str:
    return str(value) if abs(value) < 1 << 64 else hex(value)  # a huge int in decimal digits is refused by Python


def _float(value: Any) -> str:
    if math.isnan(value):
        return "-__import__('math').nan" if math.copysign(1, value) < 0 else "__import__('math').nan"
    if math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    return repr(value)


def _complex(value: Any) -> str:
    return f"__import__('builtins').complex({_float(value.real)}, {_float(value.imag)})"


def _dated(value: Any) -> str:
    zone = getattr(value, "tzinfo", None)
    if zone is not None and type(zone) is not datetime.timezone:
        raise NotPlain
    return repr(value).replace("datetime.", "__import__('datetime').")


def _path(value: Any) -> str:
    return f"__import__('pathlib').{type(value).__name__}({_text(str(value))})"


_PATHS = (pathlib.PosixPath, pathlib.PurePosixPath, pathlib.WindowsPath, pathlib.PureWindowsPath)
_DATES = (datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone)

_ATOMS: dict[type, Callable[[Any], str]] = {
    type(None): repr,
    bool: repr,
    type(...): lambda value: "...",
    type(NotImplemented): repr,
    int: _int,
    float: _float,
    complex: _complex,
    str: _text,
    bytes: _text,
    decimal.Decimal: lambda value: f"__import__('decimal').Decimal({str(value)!r})",
    fractions.Fraction: lambda value: f"__import__('fractions').Fraction({str(value)!r})",
    uuid.UUID: lambda value: f"__import__('uuid').UUID({str(value)!r})",
    **dict.fromkeys(_PATHS, _path),
    **dict.fromkeys(_DATES, _dated),
}


def _array(value: object) -> Shape:
    """An array or a scalar of NumPy, from its bytes: exact, whatever its type."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray | numpy.generic):
        raise NotPlain
    array: Any = value
    is_scalar = isinstance(value, numpy.generic)
    is_known = is_scalar or type(value) is numpy.ndarray
    if not is_known or array.dtype.kind not in "biufcSUmM" or array.nbytes > LARGEST_TEXT:
        raise NotPlain
    start = "__import__('numpy')"
    if is_scalar and array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
        return Shape(f"{start}.dtype({array.dtype.str!r}).type(", (("", array.item()),), ")")
    order = "F" if not is_scalar and array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    content = f"bytearray.fromhex({array.tobytes(order).hex()!r})"
    start += f".ndarray({array.shape!r}, {array.dtype.str!r}, {content}, order={order!r})"
    if is_scalar:
        return Shape(f"{start}[()]")
    if not array.flags.writeable:
        start = f"(lambda made: (made.setflags(write=False), made)[1])({start})"
    return Shape(start, is_shared=True)

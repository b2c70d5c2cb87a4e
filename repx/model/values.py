"""What a param may be: a scalar, a path whose content is known, or a package; does not know where values come from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

from repx.agent.base.digest import short_digest
from repx.agent.base.left_out import LeftOut
from repx.agent.base.value import PACKAGE, PATH, SCALAR, STORE, ParamValue, scalar_identity
from repx.errors import DefinitionError, SourceLocation
from repx.model.sources import FoundBy


@dataclass(frozen=True, slots=True)
class Download:
    """Where a file can be had: the first of `urls` that gives the bytes with this SHA-256 (lowercase hex) will do."""

    urls: tuple[str, ...]
    sha256: str
    location: SourceLocation
    """Where in the user's code it is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredPath:
    """A file or directory that goes into the Lab: identified by its name and its content, wherever it lies.

    A text is equal to it when it is its name; a longer path is refused, since it would never be equal.
    """

    name: str
    digest: str
    """The tree digest of the content, hex (`repx.agent.base.digest.tree_digest`)."""
    source: str = field(compare=False, repr=False)
    """The absolute path it was read from, or the URL it will be: not part of its identity."""
    kind: Literal["file", "directory"]
    download: Download | None = field(default=None, compare=False, repr=False)
    """How to get it when it lies nowhere on this machine: not part of its identity either."""
    looks: str = field(default="", compare=False, repr=False)
    """What it looked like when its digest was taken (`repx.agent.base.looks`); empty where that must not be trusted."""
    found_by: FoundBy | None = field(default=None, compare=False, repr=False)
    """The scan that found it."""
    left_out: LeftOut | None = field(default=None, compare=False, repr=False)
    """What of the tree at `source` is not part of it."""

    @property
    def stored(self) -> str:
        """Its name below `store/`, which says its content and its name: what identifies it."""
        return f"{short_digest(bytes.fromhex(self.digest))}-{self.name}"

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        if isinstance(other, StoredPath):
            return (self.name, self.digest, self.kind) == (other.name, other.digest, other.kind)
        if isinstance(other, PurePath) or (isinstance(other, str) and "/" in other):
            raise DefinitionError(
                f"the path {self.name!r} was compared with {str(other)!r}, and is known by its name alone",
                hint=f"compare it with {self.name!r}",
            )
        return self.name == other

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True, slots=True, eq=False)
class PackageRef:
    """A package as the value of a param; its closure travels in the Lab. A text is equal to it when it is its name."""

    name: str
    digest: str = ""
    """What identifies its software; empty until the package set has been asked."""

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackageRef):
            return (self.name, self.digest) == (other.name, other.digest)
        return self.name == other

    def __hash__(self) -> int:
        return hash(self.name)


Value = None | bool | int | float | str | StoredPath | PackageRef
"""One value of a param. Never compare two with `==`: 1 == True == 1.0 in Python, and all three are different params."""


def param_value(value: Value) -> ParamValue:
    """A value in the type that spells it: as text that is hashed, as JSON, as people read it."""
    if isinstance(value, StoredPath):
        return ParamValue(PATH, value.stored)
    if isinstance(value, PackageRef):
        return ParamValue(PACKAGE, value.name, value.digest)
    return ParamValue(SCALAR, value)


def identity(value: Value) -> str:
    """The text that tells a value from every other one: what is compared instead of the values."""
    if isinstance(value, StoredPath | PackageRef):
        return param_value(value).identity()
    # Without the detour: every value of an axis is asked, twice.
    return scalar_identity(value)


def place_in_lab(path: StoredPath) -> str:
    """Where a stored path stands in a Lab."""
    return STORE + path.stored


def check_value(value: object) -> Value:
    """`value` as a value of a param; a scalar of NumPy becomes Python's. Raises ValueError with the reason."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        scalar: Any = value
        value = scalar.item()
    if type(value) is float and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    if type(value) is str and not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{_shown(value)} holds half a character (a surrogate), which no file can hold")
    if value is None or type(value) in _SCALARS:
        return value  # type: ignore[return-value]  # mypy does not follow `type(…) in`
    raise ValueError(f"{_shown(value)} is a {type(value).__name__}, and {_remedy(value)}")


def package(name: str) -> PackageRef:
    """A package of the Lab's set as the value of a param. Raises DefinitionError when `name` cannot be one."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise DefinitionError(f"{name!r} is not the name of a package", hint='write package("jq")')
    return PackageRef(name)


# Exact types: a subclass (an IntEnum, a str with habits) would not be the same value when it comes back from JSON.
_SCALARS = frozenset({bool, int, float, str, StoredPath, PackageRef})


def _remedy(value: object) -> str:
    if hasattr(value, "__fspath__"):
        return 'a path is given as repx.path("…"), so that its content is known, or as text'
    if isinstance(value, bool | int | float | str):
        return "only plain bool, int, float and str keep their type in JSON: convert it"
    return 'a param is a scalar: None, bool, int, float, str, repx.path("…") or package("…")'


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"

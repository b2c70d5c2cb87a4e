"""What a param may be: a scalar, a path whose content is known, or a package; does not know where values come from."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

from repx.agent.base.digest import short_digest
from repx.agent.base.left_out import LeftOut
from repx.agent.base.value import DEEPEST, PACKAGE, PATH, SCALAR, STORE, ParamValue, plain_identity
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


Value = (
    None | bool | int | float | str | StoredPath | PackageRef | enum.Enum | list[Any] | tuple[Any, ...] | dict[str, Any]
)
"""One value of a param. Never compare two with `==`: 1 == True == 1.0 in Python, and all three are different params.

Lists, tuples and dicts hold scalars, or more of these. A member of an enum becomes its value when a stage takes it.
"""


def param_value(value: Value) -> ParamValue:
    """A value in the type that spells it: as text that is hashed, as JSON, as people read it."""
    if isinstance(value, StoredPath):
        return ParamValue(PATH, value.stored)
    if isinstance(value, PackageRef):
        return ParamValue(PACKAGE, value.name, value.digest)
    return ParamValue(SCALAR, as_json(value))


def identity(value: Value) -> str:
    """The text that tells a value from every other one: what is compared instead of the values."""
    if isinstance(value, StoredPath | PackageRef):
        return param_value(value).identity()
    # Without the detour: every value of an axis is asked, twice.
    return plain_identity(as_json(value))


def as_json(value: Any) -> Any:
    """What JSON says of it: a member of an enum is its value, and a tuple is a list."""
    if isinstance(value, enum.Enum):
        return value.value
    if type(value) in (list, tuple):
        return [as_json(one) for one in value]
    return {key: as_json(one) for key, one in value.items()} if type(value) is dict else value


def place_in_lab(path: StoredPath) -> str:
    """Where a stored path stands in a Lab."""
    return STORE + path.stored


def check_value(value: object, depth: int = 0) -> Value:
    """`value` as a value of a param; a scalar of NumPy becomes Python's, names in dicts are sorted as in identities.

    Raises ValueError with the reason.
    """
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        scalar: Any = value
        value = scalar.item()
    if type(value) is float and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    if type(value) is str and not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{_shown(value)} holds half a character (a surrogate), which no file can hold")
    if isinstance(value, enum.Enum) and type(value.value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple, dict):
        return _checked_container(value, depth)
    if depth and isinstance(value, StoredPath | PackageRef):
        raise ValueError(f"{value.name!r} stands inside a list or a dict, where no path or package can be")
    if value is None or type(value) in _SCALARS:
        return value  # type: ignore[return-value]  # mypy does not follow `type(…) in`
    raise ValueError(f"{_shown(value)} is a {type(value).__name__}, and {_remedy(value)}")


def _checked_container(value: Any, depth: int) -> Value:
    if depth >= DEEPEST:
        raise ValueError(f"lists and dicts stand more than {DEEPEST} deep in each other")
    if type(value) is not dict:
        made: list[Any] | tuple[Any, ...] = type(value)(check_value(one, depth + 1) for one in value)
        return made
    for key in value:
        if type(key) is not str:
            raise ValueError(f"a dict of a param has texts as names, not {_shown(key)}")
        check_value(key)
    return {key: check_value(value[key], depth + 1) for key in sorted(value)}


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
    if hasattr(value, "tolist"):
        return "a param holds lists: write .tolist()"
    if isinstance(value, bool | int | float | str):
        return "only plain bool, int, float and str keep their type in JSON: convert it"
    scalars = 'None, bool, int, float, str, repx.path("…") or package("…")'
    return f"a param is a scalar ({scalars}), a member of an Enum, or a list, tuple or dict of scalars"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"

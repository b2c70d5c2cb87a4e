"""The value of a param in each of its spellings: identity, a Lab's JSON, what a job gets, a table; opens no file.

A value is a scalar, a stored path (known by its name below `store/`, which begins with the digest of its content), or a
package (known by its name and the digest of its software). A Lab writes all three as scalars, which RepX's own readers
expect, and says beside them which ones are references.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, Union

from repx.agent.base.digest import ID_LENGTH, canonical_json
from repx.agent.base.names import is_digest, is_stored_place

Plain = Union[None, bool, int, float, str, list[Any], dict[str, Any]]
"""What JSON can say: a scalar, or lists and objects of these."""

DEEPEST = 50
"""Lists and objects inside each other."""

SCALAR = "scalar"
PATH = "path"
PACKAGE = "package"
STORE = "store/"
"""Where stored paths stand in a Lab."""

_dump = json.JSONEncoder(allow_nan=False).encode


class ParamValue(NamedTuple):
    """One value. Two are equal when their identities are: 1, 1.0 and True are three values, and so is `"1"`.

    `value` is the scalar, the name of a stored path below `store/`, or the name of a package; `digest` is a package's.
    """

    kind: str
    value: Plain
    digest: str = ""

    @classmethod
    def from_lab(cls, value: Any, reference: Any = "") -> ParamValue:
        """The value that `lab_json` and `reference` have written. Raises ValueError for anything else."""
        if reference == "":
            return cls(SCALAR, plain(value))
        if not isinstance(value, str) or not isinstance(reference, str):
            raise ValueError("%r cannot be a reference to %r" % (value, reference))
        if reference == PATH:
            if not is_stored_place(value):
                raise ValueError("%r is outside the Lab's %s" % (value, STORE))
            return cls(PATH, value[len(STORE) :])
        kind, _, digest = reference.partition(" ")
        if kind != PACKAGE or not is_digest(digest):
            raise ValueError("%r is not a kind of reference" % reference)
        return cls(PACKAGE, value, digest)

    def identity(self) -> str:
        """The text that is hashed; it has no line end. It tells apart whatever is not the same value."""
        if self.kind == SCALAR:
            return plain_identity(self.value)
        return " ".join([self.kind, canonical_json(self.value), *([self.digest] if self.digest else [])])

    def lab_json(self) -> Plain:
        """What a Lab's JSON says: a stored path by its place in the Lab, a package by its name."""
        return "%s%s" % (STORE, self.value) if self.kind == PATH else self.value

    def reference(self) -> str:
        """What a Lab says beside `lab_json` so that `from_lab` can tell a reference from a text; empty for a scalar."""
        return "" if self.kind == SCALAR else " ".join([self.kind, *([self.digest] if self.digest else [])])

    def placed(self, place: str) -> ParamValue:
        """What a job gets for a reference: the text of an absolute path."""
        return ParamValue(SCALAR, place)

    def name(self) -> Plain:
        """What people call it: a stored path by the name it had before it was stored."""
        return parse_stored(str(self.value))[1] if self.kind == PATH else self.value

    def shell(self) -> str:
        """The text of its shell variable; the same as jq's `tostring`, and nothing at all for null."""
        return shell_text(self.value)

    def shown(self) -> str:
        """One word of a table: a text that would break the line is shown as JSON."""
        name = self.name()
        if isinstance(name, (list, dict)):
            return canonical_json(name)
        if not isinstance(name, str):
            return str(name)
        return name if name.isprintable() and name == name.strip() and name else _dump(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamValue) and self.identity() == other.identity()

    def __hash__(self) -> int:
        return hash(self.identity())


def plain_identity(value: Plain) -> str:
    """The identity of what is no reference: its JSON."""
    return canonical_json(value)


def parse_stored(text: str) -> tuple[str, str]:
    """Digest and name of what stands below `store/` as `<digest>-<name>`. Raises ValueError."""
    if not is_stored_place(STORE + text):
        raise ValueError("%r is not the name of a stored path" % text)
    return text[:ID_LENGTH], text[ID_LENGTH + 1 :]


def shell_text(value: Plain) -> str:
    """A value as Bash sees it: a text as it is, everything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple, dict)):
        return canonical_json(value)
    return value if isinstance(value, str) else _dump(value)


def plain(value: Any) -> Plain:
    """What JSON has read, looked at. Raises ValueError for what no param can be."""
    waiting = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValueError("lists and objects stand more than %d deep in each other" % DEEPEST)
        if type(one) is list:
            waiting.extend((inner, depth + 1) for inner in one)
        elif type(one) is dict:
            waiting.extend((inner, depth + 1) for inner in one.values())
        elif type(one) is float and not math.isfinite(one):
            raise ValueError("%r is not a finite number" % one)
        elif one is not None and type(one) not in (bool, int, float, str):
            raise ValueError("a %s is not a value of a param" % type(one).__name__)
    return value  # type: ignore[no-any-return]

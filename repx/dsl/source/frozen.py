"""Which names of a function's module hold plain data, and the assignments that give a script the same values.

Knows the module as it is now; does not know how each value was computed.
"""

from __future__ import annotations

import ast
import builtins
import collections
import os
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple

from repx.dsl.source.plain import MAKE, MAKER, NotPlain, PlainData
from repx.dsl.source.text import SourceText


class Held(NamedTuple):
    """A plain value: the names of the module that its text uses for classes, other modules that its text imports, and
    a place in the experiment's folder that it names, or an empty string; whether any of it can change."""

    roots: tuple[str, ...]
    modules: tuple[str, ...]
    place: str
    can_change: bool


@dataclass(frozen=True, slots=True)
class FrozenName:
    """A name with its value. `literal` is the expression that makes it where the source says so by a literal."""

    name: str
    literal: ast.expr | None
    source: SourceText


class Assignment(NamedTuple):
    """What gives a name its value in the script: the user's own text where that can be; `names` are those of other
    names that hold the same objects."""

    text: str
    names: tuple[str, ...]


class ModuleValues:
    """The plain values of one module, which lies below `root`."""

    def __init__(self, scope: dict[str, object], root: str) -> None:
        self._globals = scope
        self._root = root
        self._roots: set[str] = set()
        self._modules: set[str] = set()
        self._spelled: dict[type, tuple[str, str, str]] = {}
        shadowed = [name for name in vars(builtins) if name in self._globals and not name.startswith("__")]
        self._plain = PlainData(self._spell, shadowed)

    def held(self, name: str) -> Held | None:
        """What a name holds, when that is plain data."""
        self._roots, self._modules = set(), set()
        try:
            parts = self._plain.parts(self._globals[name])
        except (KeyError, NotPlain):
            return None
        if any(type(one).__module__ == "numpy" for one, _ in parts):
            self._modules.add("numpy")
        places = (str(one) for one, _ in parts if isinstance(one, str | PurePath))
        place = next(filter(self._is_in_folder, places), "")
        can_change = any(found for _, found in parts)
        return Held(tuple(sorted(self._roots)), tuple(sorted(self._modules)), place, can_change)

    def assignments(self, names: Sequence[FrozenName]) -> list[Assignment]:
        """One for each name, in order: what one object is in the module is one object in the script."""
        parts = [self._plain.parts(self._globals[one.name]) for one in names]
        shared = collections.Counter(id(one) for found in parts for one, can_change in found if can_change)
        known: dict[int, str] = {}
        users: dict[int, str] = {}
        made = []
        for name, found in zip(names, parts, strict=True):
            lines = []
            for one, can_change in reversed(found[1:]):
                if can_change and shared[id(one)] > 1 and id(one) not in known:
                    called = f"_repx_shared_{len(known)}"
                    lines.append(f"{called} = {self._plain.text(one, known)}")
                    known[id(one)] = called
            value, can_change = found[0]
            text = known.get(id(value)) or self._plain.text(value, known)
            if can_change:
                known.setdefault(id(value), name.name)
            form = "\n".join([*lines, f"{name.name} = {text}"])
            own = None if lines else self._own_text(name, text)
            own_parts = {id(one) for one, can_change in found if can_change}
            others = tuple(users[one] for one in own_parts if one in users)
            users.update(dict.fromkeys(own_parts, name.name) | users)
            made.append(Assignment(form if own is None else f"{name.name} = {own}", tuple(sorted(set(others)))))
        return made

    def _own_text(self, name: FrozenName, text: str) -> str | None:
        """The literal in the user's words, where it says what the name holds."""
        if name.literal is None or _has_set(name.literal):
            return None
        try:
            if self._plain.text(ast.literal_eval(name.literal), {}) != text:
                return None
        except NotPlain:
            return None
        own = name.source.of(name.literal)
        try:
            ast.parse(f"{name.name} = {own}")
        except SyntaxError:
            return f"({own})"  # the parentheses around strings in several lines are not part of them
        return own

    def _spell(self, kind: type) -> str | None:
        """How the module names a class: by a name of its own, as part of a module it has, or by importing it."""
        if kind not in self._spelled:
            self._spelled[kind] = self._way_to(kind)
        text, root, module = self._spelled[kind]
        self._roots.update([root] if root else [])
        self._modules.update([module] if module else [])
        return text or None

    def _way_to(self, kind: type) -> tuple[str, str, str]:
        """Text, the name of the module that it begins with, and the module that it imports."""
        name = kind.__name__
        for called in (name, *self._globals):
            if self._globals.get(called) is kind:
                return called, called, ""
        for called, module in self._globals.items():
            if isinstance(module, types.ModuleType) and getattr(module, name, None) is kind:
                return f"{called}.{name}", called, ""
        if kind.__module__ != "__main__" and getattr(sys.modules.get(kind.__module__), name, None) is kind:
            return f"__import__({kind.__module__!r}, fromlist=['']).{name}", "", kind.__module__
        return "", "", ""

    def _is_in_folder(self, place: str) -> bool:
        inside = place == self._root or place.startswith(self._root.rstrip("/") + "/")
        return inside and "\0" not in place and os.path.lexists(place)


def literal_of(node: ast.stmt) -> ast.expr | None:
    """The literal that a plain assignment gives its one name."""
    match node:
        case ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(value=ast.expr() as value):
            return value if _is_literal(value) else None
        case _:
            return None


def maker_if_used(texts: Sequence[str]) -> list[str]:
    """The helper of assignments, where one of them needs it."""
    return [MAKER] if any(f"{MAKE}(" in text for text in texts) else []


def _has_set(literal: ast.expr) -> bool:
    return any(isinstance(node, ast.Set) for node in ast.walk(literal))


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True

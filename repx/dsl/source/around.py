"""What a function has from the functions around it, and how a script comes by modules, functions and classes of these.

Plain values among them are written out like those of the module (`repx.dsl.source.frozen`).
"""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Mapping
from typing import NamedTuple

_MISSING = object()


class Taken(NamedTuple):
    """A statement that gives a script a name; what module it imports, and what name of the user's module it reads."""

    text: str
    module: str = ""
    root: str = ""


def values_around(function: types.FunctionType) -> dict[str, object]:
    """What the closure of a function holds, by name, but for what the module has under the same name."""
    scope = function.__globals__
    found: dict[str, object] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:
            continue  # nothing has been assigned yet
        if scope.get(name, _MISSING) is not value:
            found[name] = value
    return found


def names_around(function: types.FunctionType) -> frozenset[str]:
    """The names that a function does not look for in its module."""
    scope = function.__globals__
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    return frozenset(name for name, cell in cells.items() if not _is_of_module(cell, scope.get(name, _MISSING)))


def taken(name: str, value: object, scope: Mapping[str, object]) -> Taken | None:
    """How a script gives `name` a module, or what some module has at its top level; None where it cannot."""
    if isinstance(value, types.ModuleType):
        called = value.__name__
        is_there = sys.modules.get(called) is value and called != "__main__"
        return Taken(f"import {called} as {name}", module=called) if is_there else None
    if not isinstance(value, types.FunctionType | types.BuiltinFunctionType | type):
        return None
    root = next((other for other, one in scope.items() if one is value and other.isidentifier()), "")
    if root:
        return Taken(f"{name} = {root}", root=root)
    module, called = getattr(value, "__module__", None), value.__name__
    if module == scope.get("__name__") or getattr(sys.modules.get(module or ""), called, _MISSING) is not value:
        return None
    if module == builtins.__name__:
        return None if called in scope else Taken(f"{name} = {called}")
    return None if module == "__main__" else Taken(f"from {module} import {called} as {name}", module=str(module))


def _is_of_module(cell: types.CellType, value: object) -> bool:
    try:
        return cell.cell_contents is value
    except ValueError:
        return False

"""Where in the user's code something was called; knows nothing of what was called."""

from __future__ import annotations

import linecache
import sys
import types
from collections.abc import Mapping
from typing import Any

from repx.errors import SourceLocation


def caller() -> SourceLocation:
    """The innermost place of the user's code that led here: outside this package and outside the standard library."""
    frame = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith("repx.") and module not in ("contextlib", "functools"):
            return place_of(frame.f_code, frame.f_lineno, frame.f_globals)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return SourceLocation("<unknown>", 0)


def place_of(code: types.CodeType, line: int, scope: Mapping[str, Any]) -> SourceLocation:
    """A line of some code as people know it: a cell of a notebook by its number, not by the kernel's file."""
    cells = scope.get("In")
    if isinstance(cells, list) and scope.get("__name__") == "__main__":
        text = "".join(linecache.getlines(code.co_filename)).rstrip("\n")
        for number in range(len(cells) - 1, -1, -1):
            if text and isinstance(cells[number], str) and cells[number].rstrip("\n") == text:
                return SourceLocation(f"In[{number}]", line)
    return SourceLocation(code.co_filename, line)


def place_of_function(function: types.FunctionType) -> SourceLocation:
    """Where a function begins, its decorators included."""
    return place_of(function.__code__, function.__code__.co_firstlineno, function.__globals__)

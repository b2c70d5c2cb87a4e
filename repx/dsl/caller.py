"""Where in the user's code something was called; knows nothing of what was called."""

from __future__ import annotations

import sys

from repx.errors import SourceLocation


def caller() -> SourceLocation:
    """The innermost place of the user's code that led here: outside this package and outside the standard library."""
    frame = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith("repx.") and module not in ("contextlib", "functools"):
            return SourceLocation(frame.f_code.co_filename, frame.f_lineno)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return SourceLocation("<unknown>", 0)

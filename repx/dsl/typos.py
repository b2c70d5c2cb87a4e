"""Names and keywords of repx that a user's file spells wrongly: what Python says of them, with the nearest."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any

from repx.errors import nearest

# "Run.__init__() got an unexpected keyword argument 'param'", and what Python 3.13 adds behind it.
_KEYWORD = re.compile(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")

# "'lr' is an invalid keyword argument for zip()", and what Python 3.13 makes of it.
_BUILT_IN_ZIP = re.compile(r"'\w+' is an invalid keyword argument for zip\(\)|zip\(\) got an unexpected keyword")

_IMPORTED = re.compile(r"cannot import name '(\w+)' from 'repx'")


def unknown_name(error: Exception) -> tuple[str, str] | None:
    """Headline and hint for a keyword or a name that repx does not have; None for every other error."""
    # The public names belong to a higher layer, which this one must not import; that module is loaded already.
    repx = sys.modules["repx"]
    # Python refuses such a call before it makes it, so only the error's text names what was called.
    keyword = _KEYWORD.match(str(error)) if isinstance(error, TypeError) else None
    if keyword is not None and keyword[1] in dir(repx):
        called = getattr(repx, keyword[1])
        return f"{keyword[1]} has no keyword {keyword[2]!r}", nearest(keyword[2], _keywords(called))
    if isinstance(error, TypeError) and _BUILT_IN_ZIP.match(str(error)):
        return "this zip is Python's own", "a sweep is made by repx.zip(…), which `from repx import *` leaves out"
    imported = _IMPORTED.match(str(error)) if isinstance(error, ImportError) else None
    if imported is not None:
        return f"repx has no name {imported[1]!r}", nearest(imported[1], dir(repx))
    if isinstance(error, AttributeError) and error.obj is repx and error.name:
        return f"repx has no name {error.name!r}", nearest(error.name, dir(repx))
    return None


def _keywords(called: Any) -> list[str]:
    parameters = inspect.signature(called).parameters.values()
    return [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]

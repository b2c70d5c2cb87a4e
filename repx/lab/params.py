"""Params as people read and write them: shown in a word, compared with what was typed; knows no jobs."""

from __future__ import annotations

import json
from typing import Any

from repx.agent.base.names import shown_name
from repx.errors import UsageError


def shown(value: Any) -> str:
    """A param in a table: a stored path by its name, a text that would break the line as JSON."""
    if isinstance(value, str):
        name = shown_name(value)
        return name if name.isprintable() and name == name.strip() and name else json.dumps(name)
    return str(value)


def is_same(value: Any, wanted: Any) -> bool:
    """Whether a param is what was asked for: 1 is 1.0 but not True; a stored path is also its name."""
    if isinstance(value, bool) or isinstance(wanted, bool) or value is None or wanted is None:
        return value is wanted
    if isinstance(value, str):
        return str(wanted) in (value, shown_name(value)) if not isinstance(wanted, int | float) else False
    return bool(value == wanted)


def is_typed(value: Any, text: str) -> bool:
    """Whether a param is what somebody typed for it: `1`, `1.0` and `1e0` are one number, `true` is True."""
    if isinstance(value, str):
        return text in (value, shown_name(value))
    if isinstance(value, bool) or value is None:
        return text.lower() in (str(value).lower(), json.dumps(value))
    try:
        return bool(value == (int(text) if text.lstrip("+-").isdigit() else float(text)))
    except ValueError:
        return False


def read_condition(text: str) -> tuple[str, str]:
    """`NAME=VALUE`. Raises UsageError."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise UsageError(f"{text!r} is no condition on a param", hint="write NAME=VALUE, such as slope=1.5")
    return name.strip(), value

"""Params as people read and write them: shown in a word, compared with what is asked for; knows no jobs.

There is one comparison, that of identity: 1, 1.0, True and "1" are four values. Who asks for a value that no job of a
stage has gets what is called so: a number that is written otherwise, a stored path by its name.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from repx.agent.base.digest import canonical_json
from repx.agent.base.names import shown_name
from repx.errors import UsageError
from repx.model.values import StoredPath, place_in_lab

T = TypeVar("T")

NOT, NUMBER, NAME, SAME = range(4)
"""How close a value is to what is asked for: not at all, the number written otherwise, by its name, itself."""

_BEGINNING = re.compile(r"\s*([A-Za-z_][\w.]*)\s*=\s*")
_NEXT = re.compile(r",(?=\s*[A-Za-z_][\w.]*\s*=)")


def shown(value: Any) -> str:
    """A param in a table: a stored path by its name, a text that could be taken for something else as JSON."""
    if isinstance(value, str):
        name = shown_name(value)
        plain = name.isprintable() and name == name.strip() and name and not name.startswith('"')
        return name if plain and name not in _WORDS and not _is_number(name) else json.dumps(name)
    return canonical_json(value) if isinstance(value, list | dict) else str(value)


def named(value: Any) -> Any:
    """A param as an analysis gets it: a stored path by its name."""
    return shown_name(value) if isinstance(value, str) else value


def asked_for(value: Any) -> Any:
    """What a caller asks for, as a Lab would say it: what is of NumPy, members of an Enum, paths as what they hold.

    Raises UsageError for what no param can be.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, enum.Enum):
        return asked_for(value.value)
    if isinstance(value, StoredPath):
        return place_in_lab(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [asked_for(one) for one in value]
    if isinstance(value, dict):
        return {name: asked_for(one) for name, one in value.items()}
    if value is not None and not isinstance(value, bool | int | float | str):
        raise UsageError(f"no param can be {value!r}, which is of type {type(value).__name__}")
    return value


def closeness(value: Any, wanted: Any) -> int:
    """How close a param is to a value by `asked_for`."""
    if isinstance(value, str):
        return SAME if value == wanted else NAME if isinstance(wanted, str) and shown_name(value) == wanted else NOT
    try:
        if canonical_json(value) == canonical_json(wanted):
            return SAME
    except (TypeError, ValueError):
        return NOT
    return NUMBER if is_number(value) and is_number(wanted) and value == wanted else NOT


def closeness_to_text(value: Any, text: str) -> int:
    """How close a param is to what somebody typed: JSON is that value, anything else a text, a number or a word."""
    if isinstance(value, str) and text in (value, shown_name(value)):
        return NAME
    close = NOT
    with contextlib.suppress(ValueError, RecursionError):
        close = closeness(value, json.loads(text))
    if close or isinstance(value, str):
        return close
    if isinstance(value, bool) or value is None:
        return NAME if text.lower() in (str(value).lower(), json.dumps(value)) else NOT
    with contextlib.suppress(ValueError):
        return closeness(value, int(text) if text.lstrip("+-").isdigit() else float(text))
    return NOT


def closest(found: Iterable[tuple[T, str, Sequence[int]]]) -> list[T]:
    """Those that are as close to all that is asked for as any of their kind: (one, its stage, its closenesses)."""
    best: dict[tuple[str, int], int] = {}
    kept = []
    for one, stage, close in found:
        for number, rank in enumerate(close):
            best[stage, number] = max(rank, best.get((stage, number), NOT))
        if all(close):
            kept.append((one, stage, close))
    return [one for one, stage, close in kept if all(rank == best[stage, n] for n, rank in enumerate(close))]


def is_number(value: Any) -> bool:
    """Whether a value is a number: a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_condition(text: str) -> tuple[str, str]:
    """`NAME=VALUE`. Raises UsageError."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise UsageError(f"{text!r} is not a condition on a param", hint="write NAME=VALUE, such as slope=1.5")
    return name.strip(), value


def read_conditions(text: str) -> dict[str, str]:
    """`NAME=VALUE,NAME=VALUE`; a value may be JSON, and hold commas. Raises UsageError."""
    found: dict[str, str] = {}
    while text.strip():
        start = _BEGINNING.match(text)
        if start is None:
            read_condition(text)
            raise UsageError(f"{text!r} does not begin with the name of a param", hint="write NAME=VALUE")
        rest = text[start.end() :]
        value, text = _json_value(rest) or _plain_value(rest)
        found[start[1]] = value
    return found


def condition(name: str, value: Any) -> str:
    """`NAME=VALUE` as `read_conditions` reads it."""
    text = shown(value)
    return f"{name}={json.dumps(named(value)) if isinstance(value, str) and set(text) & set(',]') else text}"


def _json_value(text: str) -> tuple[str, str] | None:
    """The JSON text, list or object that `text` begins with and what follows the comma behind it."""
    if text[:1] in ('"', "[", "{"):
        with contextlib.suppress(ValueError, RecursionError):
            _, end = json.JSONDecoder().raw_decode(text)
            rest = text[end:].strip()
            if not rest or rest.startswith(","):
                return text[:end], rest[1:]
    return None


def _plain_value(text: str) -> tuple[str, str]:
    value, *rest = _NEXT.split(text, maxsplit=1)
    return (value, rest[0]) if rest else (value.removesuffix(","), "")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_WORDS = frozenset(["true", "false", "null", "True", "False", "None"])

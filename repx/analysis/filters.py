"""Conditions of `filter(name__contains="train", seed=1)`: parsed, names checked, compared; reads nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from repx.agent.base.names import shown_name
from repx.errors import UsageError, nearest
from repx.lab.params import is_same

ATTRIBUTES = ("name", "stage", "id", "run", "status", "version", "stage_type")
"""What can be asked of a job beside its params. A job of several runs is asked for each."""

Test = Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """One keyword of a filter: a param, else an attribute, and what it must be."""

    keyword: str
    name: str
    operator: str
    wanted: Any
    is_param: bool

    def holds(self, value: Any) -> bool:
        """Whether a value is as wanted. Raises UsageError when the two cannot be compared."""
        try:
            return _OPERATORS[self.operator](value, self.wanted)
        except TypeError:
            kind = type(value).__name__
            raise UsageError(
                f"{self.keyword}={self.wanted!r}: {self.name} is {value!r} ({kind}) in a job, which cannot be compared"
            ) from None


def read_conditions(keywords: Mapping[str, Any], params: Collection[str]) -> list[Condition]:
    """The conditions of a filter. Raises UsageError for a name that no job has and for an unknown operator."""
    return [_read(keyword, wanted, params) for keyword, wanted in keywords.items()]


def _read(keyword: str, wanted: Any, params: Collection[str]) -> Condition:
    if keyword in params or keyword in ATTRIBUTES:
        return Condition(keyword, keyword, "", wanted, keyword in params)
    name, sign, operator = keyword.rpartition("__")
    if not sign or not (name in params or name in ATTRIBUTES):
        raise UsageError(
            f"no job has a param or attribute {name or keyword!r}", hint=nearest(name or keyword, _valid(params))
        )
    if operator not in _OPERATORS or not operator:
        hint = nearest(operator, (one for one in _OPERATORS if one))
        raise UsageError(f"there is no operator {operator!r} in {keyword!r}", hint=hint)
    if operator == "in" and (isinstance(wanted, str | bytes) or not isinstance(wanted, Collection)):
        raise UsageError(f"{keyword}={wanted!r}: not a list of values", hint=f"write {keyword}=[…]")
    if operator == "regex":
        try:
            wanted = re.compile(wanted)
        except (re.error, TypeError) as error:
            raise UsageError(f"{keyword}={wanted!r} is not a regular expression: {error}") from None
    return Condition(keyword, name, operator, wanted, name in params)


def _valid(params: Collection[str]) -> list[str]:
    return [*params, *(one for one in ATTRIBUTES if one not in params)]


def _ordered(compare: Test) -> Test:
    def test(value: Any, wanted: Any) -> bool:
        if value is None or isinstance(value, bool) != isinstance(wanted, bool):
            raise TypeError
        return compare(value, wanted)

    return test


def _text(value: Any) -> str:
    return shown_name(value) if isinstance(value, str) else str(value)


_OPERATORS: dict[str, Test] = {
    "": is_same,
    "ne": lambda value, wanted: not is_same(value, wanted),
    "in": lambda value, wanted: any(is_same(value, one) for one in wanted),
    "contains": lambda value, wanted: str(wanted) in _text(value),
    "startswith": lambda value, wanted: _text(value).startswith(str(wanted)),
    "endswith": lambda value, wanted: _text(value).endswith(str(wanted)),
    "regex": lambda value, wanted: wanted.search(_text(value)) is not None,
    "gt": _ordered(lambda value, wanted: bool(value > wanted)),
    "ge": _ordered(lambda value, wanted: bool(value >= wanted)),
    "lt": _ordered(lambda value, wanted: bool(value < wanted)),
    "le": _ordered(lambda value, wanted: bool(value <= wanted)),
}

"""Conditions of `filter(name__contains="train", seed=1)`: parsed, names checked, compared; reads nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repx.agent.base.names import shown_name
from repx.errors import UsageError, nearest
from repx.lab.params import asked_for, closeness, is_number

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

    def closeness(self, values: Sequence[Any]) -> tuple[int, ...]:
        """How close a job with these values is to each that is wanted. Raises UsageError for what has no order."""
        if self.operator in _VALUES:
            wanted = self.wanted if self.operator == "in" else [self.wanted]
            return tuple(max((closeness(value, one) for value in values), default=0) for one in wanted)
        return (int(any(map(self._test, values))),)

    def holds(self, close: Sequence[int], best: Sequence[int]) -> bool:
        """Whether a job is as wanted, when the closest of its stage are `best`."""
        is_wanted = any(mine and mine == most for mine, most in zip(close, best, strict=True))
        return not is_wanted if self.operator == "ne" else is_wanted

    def holds_itself(self, values: Sequence[Any]) -> bool:
        """Whether one of these texts is as wanted, whatever others are."""
        return self.holds(close := self.closeness(values), close)

    def _test(self, value: Any) -> bool:
        try:
            return _OPERATORS[self.operator](value, self.wanted)
        except TypeError:
            kind = type(value).__name__
            raise UsageError(
                f"{self.keyword}={self.wanted!r}: {self.name} is {value!r} ({kind}) in a job, which cannot be compared"
            ) from None


def read_conditions(
    keywords: Mapping[str, Any], params: Collection[str], attributes: Mapping[str, Collection[str]]
) -> list[Condition]:
    """The conditions of a filter. `attributes` are all values of those that have few.

    Raises UsageError for a name that no job has, a value that no such attribute can have, and an unknown operator.
    """
    found = [_read(keyword, wanted, params) for keyword, wanted in keywords.items()]
    for one in found:
        if not one.is_param and one.name in attributes and one.operator in _VALUES:
            for wanted in one.wanted if one.operator == "in" else [one.wanted]:
                if wanted not in attributes[one.name]:
                    hint = nearest(str(wanted), attributes[one.name])
                    raise UsageError(f"no job has the {one.name} {wanted!r}", hint=hint)
    return found


def _read(keyword: str, wanted: Any, params: Collection[str]) -> Condition:
    if keyword in params or keyword in ATTRIBUTES:
        return Condition(keyword, keyword, "", asked_for(wanted), keyword in params)
    name, sign, operator = keyword.rpartition("__")
    if not sign or not (name in params or name in ATTRIBUTES):
        raise UsageError(
            f"no job has a param or attribute {name or keyword!r}", hint=nearest(name or keyword, _valid(params))
        )
    if operator not in _OPERATORS and operator not in ("ne", "in"):
        hint = nearest(operator, [*_OPERATORS, "ne", "in"])
        raise UsageError(f"there is no operator {operator!r} in {keyword!r}", hint=hint)
    if operator == "in":
        if isinstance(wanted, str | bytes) or not isinstance(wanted, Collection):
            raise UsageError(f"{keyword}={wanted!r}: not a list of values", hint=f"write {keyword}=[…]")
        wanted = [asked_for(one) for one in wanted]
    if operator == "regex":
        try:
            wanted = re.compile(wanted)
        except (re.error, TypeError) as error:
            raise UsageError(f"{keyword}={wanted!r} is not a regular expression: {error}") from None
    return Condition(keyword, name, operator, wanted if operator == "regex" else asked_for(wanted), name in params)


def _valid(params: Collection[str]) -> list[str]:
    return [*params, *(one for one in ATTRIBUTES if one not in params)]


def _ordered(compare: Test) -> Test:
    def test(value: Any, wanted: Any) -> bool:
        if is_number(value) != is_number(wanted) or not isinstance(value, int | float | str):
            raise TypeError
        return compare(value, wanted)

    return test


def _text(value: Any) -> str:
    return shown_name(value) if isinstance(value, str) else str(value)


_VALUES = ("", "ne", "in")
"""Operators that ask for values; the others test any value by itself."""

_OPERATORS: dict[str, Test] = {
    "contains": lambda value, wanted: str(wanted) in _text(value),
    "startswith": lambda value, wanted: _text(value).startswith(str(wanted)),
    "endswith": lambda value, wanted: _text(value).endswith(str(wanted)),
    "regex": lambda value, wanted: wanted.search(_text(value)) is not None,
    "gt": _ordered(lambda value, wanted: bool(value > wanted)),
    "ge": _ordered(lambda value, wanted: bool(value >= wanted)),
    "lt": _ordered(lambda value, wanted: bool(value < wanted)),
    "le": _ordered(lambda value, wanted: bool(value <= wanted)),
}

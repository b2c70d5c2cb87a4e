"""Whether JSON that was read has the shape it must have: every complaint in words; opens no file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from repx.agent.base.value import ParamValue, plain

Check = Callable[[Any], bool]

_PLAIN = frozenset({type(None), bool, int, str})


def complaints(what: str, value: Any, schema: Mapping[str, Check]) -> Iterator[str]:
    """What keeps `value` from being an object with these keys; keys beyond them are nobody's business."""
    if not isinstance(value, dict):
        yield f"{what} is {short(value)}"
        return
    for key, check in schema.items():
        if key not in value:
            yield f"{what} has no {key}"
        elif not check(value[key]):
            yield f"{what}: {key} cannot be {short(value[key])}"


def are_plain(values: Mapping[str, Any]) -> bool:
    """Whether all values are such that nothing can be wrong with them."""
    return _PLAIN.issuperset(map(type, values.values()))


def values_complaints(what: str, values: Mapping[str, Any], references: Any) -> Iterator[str]:
    """What keeps these from being values of params, each beside what it refers to."""
    if not isinstance(references, dict) or references.keys() - values.keys():
        yield f"{what}: its references are {short(references)}"
        return
    for name, value in values.items():
        if type(value) in _PLAIN and name not in references:
            continue
        try:
            ParamValue.from_lab(value, references.get(name, ""))
        except ValueError as error:
            yield f"{what}: its param {name} cannot be: {error}"


def short(value: Any) -> str:
    """A value from elsewhere as an error may print it."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # a number of thousands of digits, lists in lists in lists
        text = f"such a {type(value).__name__}"
    return text if len(text) <= 80 else text[:79] + "…"


def is_text(value: Any) -> bool:
    """Any text."""
    return isinstance(value, str)


def is_flag(value: Any) -> bool:
    """True or false, and not 0 or 1."""
    return isinstance(value, bool)


def is_count(value: Any) -> bool:
    """A whole number from zero on, and not true or false."""
    return type(value) is int and value >= 0


def is_param(value: Any) -> bool:
    """What a param can be."""
    try:
        plain(value)
    except ValueError:
        return False
    return True


def is_object(value: Any) -> bool:
    """A JSON object, whatever is in it."""
    return isinstance(value, dict)


def is_list(value: Any) -> bool:
    """A JSON list, whatever is in it."""
    return isinstance(value, list)


def one_of(*texts: str) -> Check:
    """One of these texts."""
    return lambda value: isinstance(value, str) and value in texts


def list_of(check: Check) -> Check:
    """A list of such values."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def dict_of(key: Check, check: Check) -> Check:
    """An object with such keys and such values."""
    return lambda value: isinstance(value, dict) and all(key(name) and check(one) for name, one in value.items())


def texts(count: int) -> Check:
    """A list of so many texts."""
    return lambda value: isinstance(value, list) and len(value) == count and all(map(is_text, value))

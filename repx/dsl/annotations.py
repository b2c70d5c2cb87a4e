"""What an annotation asks of a param's value, and how the body of a stage gets that back from JSON; reads no signature.

JSON has lists and no tuples, texts and no members of enums: where an annotation says tuple or enum, the script makes
one of what it reads. Everything else arrives as JSON has it.
"""

from __future__ import annotations

import collections.abc
import contextlib
import enum
import functools
import inspect
import operator
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from repx.model.values import PackageRef, StoredPath, Value, identity

Convert = Callable[[Value], Value]
Made = Callable[[str], str]

_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_DICTS = (dict, collections.abc.Mapping)


class Fit(NamedTuple):
    """How a value is made to fit (ValueError with the reason where it does not), and how it comes back from JSON.

    `made` gives the Python expression for what was read under a name, None where that is the value itself; `names` are
    those of the user's module that stand in it.
    """

    convert: Convert
    made: Made | None = None
    names: frozenset[str] = frozenset()


def fit_of(annotation: Any, scope: Mapping[str, Any], default: Any = None) -> Fit | None:
    """The fit of an annotation; None for one that is not known here. Raises ValueError for one that no param can have.

    `scope` is the user's module, in which the script finds classes by their names.
    """
    if annotation is inspect.Parameter.empty and type(default) is tuple:
        annotation = tuple
    if annotation in (inspect.Parameter.empty, Any, object):
        return Fit(_anything)
    if annotation is None or annotation is type(None):
        return Fit(_exactly(type(None)))
    if annotation in (bool, int, str):
        return Fit(_exactly(annotation))
    if annotation is float:
        return Fit(_to_float)
    if annotation is Path:
        return Fit(_to_path)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _enum(annotation, scope)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return Fit(_one_of(arguments, annotation))
    if origin in (types.UnionType, typing.Union):
        members = [fit_of(one, scope) for one in arguments]
        return None if None in members else _union([one for one in members if one], annotation)
    container = origin or annotation
    if container in _LISTS:
        item = fit_of(arguments[0] if arguments else Any, scope)
        return item and Fit(_list_of(item, list), _made_list(item), item.names)
    if container is tuple:
        return _tuple(arguments, scope)
    if container in _DICTS and (not arguments or arguments[0] in (str, Any)):
        item = fit_of(arguments[1] if arguments else Any, scope)
        return item and Fit(_dict_of(item), _made_dict(item), item.names)
    return None


def kind_of(value: Value) -> str:
    """What a value is called where it does not fit."""
    if value is None:
        return "None"
    if isinstance(value, StoredPath):
        return f"the path {value.name!r}"
    if isinstance(value, PackageRef):
        return f"the package {value.name!r}"
    if type(value) is int:
        return f"{_shown_int(value)} (int)"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:59] + '…'} ({type(value).__name__})"


def type_text(annotation: Any) -> str:
    """An annotation as people write it."""
    bare = _bare(annotation)
    is_class = isinstance(bare, type) and not typing.get_args(bare)
    return bare.__name__ if is_class else str(bare).replace("typing.", "")


def _bare(annotation: Any) -> Any:
    """An annotation without what Annotated says more: the reason of a misfit says that better."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _bare(arguments[0])
    if origin in (types.UnionType, typing.Union):
        with contextlib.suppress(TypeError):  # names in quotes have no `|`
            return functools.reduce(operator.or_, map(_bare, arguments))
    if isinstance(annotation, types.GenericAlias) and isinstance(origin, type):
        return types.GenericAlias(origin, tuple(map(_bare, arguments)))
    return annotation


def exact_float(value: int) -> float:
    """The float that is this integer. Above 2**53 most integers have none, and the nearest is another value."""
    try:
        made = float(value)
    except OverflowError:
        raise ValueError(f"{_shown_int(value)} is larger than any float") from None
    if made != value:
        raise ValueError(f"{_shown_int(value)} is not a float: the nearest one is {int(made)}")
    return made


def _anything(value: Value) -> Value:
    """Whatever comes back from JSON as it is."""
    if isinstance(value, enum.Enum):
        raise ValueError(f"{value!r} comes back from JSON as {value.value!r}; annotate it as {type(value).__name__}")
    if type(value) is tuple:
        raise ValueError(f"{kind_of(value)} comes back from JSON as a list; give a list, or annotate it as tuple[…]")
    for one in value if type(value) is list else value.values() if type(value) is dict else ():
        _anything(one)
    return value


def _exactly(wanted: type) -> Convert:
    def convert(value: Value) -> Value:
        if type(value) is wanted:
            return value
        raise _misfit(value, wanted)

    return convert


def _to_float(value: Value) -> Value:
    if type(value) is float:
        return value
    if type(value) is int:
        return exact_float(value)
    raise _misfit(value, float)


def _to_path(value: Value) -> Value:
    if isinstance(value, StoredPath | PackageRef):
        return value
    raise ValueError(f'{kind_of(value)} does not fit Path; write repx.path("…"), so that its content is known')


def _misfit(value: Value, annotation: Any) -> ValueError:
    return ValueError(f"{kind_of(value)} does not fit {type_text(annotation)}")


def _one_of(values: tuple[Any, ...], annotation: Any) -> Convert:
    known = {identity(one) for one in values}

    def convert(value: Value) -> Value:
        if not isinstance(value, enum.Enum) and identity(value) in known:
            return value
        raise _misfit(value, annotation)

    return convert


def _enum(kind: type[enum.Enum], scope: Mapping[str, Any]) -> Fit:
    name = next((name for name, held in scope.items() if held is kind), "")
    if not name:
        raise ValueError(f"the enum {kind.__name__} has no name at the top level of the stage's module")
    for member in kind:
        if type(member.value) not in (bool, int, float, str):
            raise ValueError(f"{member!r} has a value that is not a bool, int, float or str")
    known = {identity(member.value) for member in kind}

    def convert(value: Value) -> Value:
        if isinstance(value, kind):
            return value.value  # type: ignore[no-any-return]  # it was looked at above
        if not isinstance(value, enum.Enum) and identity(value) in known:
            return value
        raise _misfit(value, kind)

    return Fit(convert, lambda read: f"{name}({read})", frozenset({name}))


def _union(members: list[Fit], annotation: Any) -> Fit:
    is_none = [_takes_none(one) for one in members]
    made = [one.made for one in members if one.made]
    if made and (len(members) > 2 or not any(is_none)):
        raise ValueError("a tuple or an enum cannot be told from others in JSON; only None may stand beside it")

    def convert(value: Value) -> Value:
        found: list[Value] = []
        reasons = []
        for one in members:
            try:
                found.append(one.convert(value))
            except ValueError as error:
                reasons.append(str(error))
        # What keeps its type comes first: for `float | int`, 1 stays 1.
        for fitting in found:
            if type(fitting) is type(value):
                return fitting
        if found:
            return found[0]
        raise ValueError(next((one for one in reasons if "does not fit" not in one), str(_misfit(value, annotation))))

    if not made:
        return Fit(convert)
    names = frozenset[str]().union(*(one.names for one in members))
    return Fit(convert, lambda read: f"(None if {read} is None else {made[0](read)})", names)


def _takes_none(fit: Fit) -> bool:
    try:
        return fit.convert(None) is None
    except ValueError:
        return False


def _list_of(item: Fit, kind: type) -> Convert:
    def convert(value: Value) -> Value:
        if type(value) not in (list, tuple):
            raise _misfit(value, kind)
        return kind(item.convert(one) for one in value)  # type: ignore[no-any-return, union-attr]

    return convert


def _dict_of(item: Fit) -> Convert:
    def convert(value: Value) -> Value:
        if type(value) is not dict:
            raise _misfit(value, dict)
        return {key: item.convert(one) for key, one in value.items()}

    return convert


def _tuple(arguments: tuple[Any, ...], scope: Mapping[str, Any]) -> Fit | None:
    if (len(arguments) == 2 and arguments[1] is Ellipsis) or not arguments:
        item = fit_of(arguments[0] if arguments else Any, scope)
        if item is None:
            return None
        inner = item.made
        return Fit(
            _list_of(item, tuple),
            (lambda read: f"(*({inner('v')} for v in {read}),)") if inner else (lambda read: f"(*{read},)"),
            item.names,
        )
    items = [fit_of(one, scope) for one in arguments]
    if None in items:
        return None
    fits = [one for one in items if one]

    def convert(value: Value) -> Value:
        if type(value) not in (list, tuple) or len(value) != len(fits):  # type: ignore[arg-type]
            raise ValueError(f"{kind_of(value)} does not fit a tuple of {len(fits)}")
        return tuple(fit.convert(one) for fit, one in zip(fits, value, strict=True))  # type: ignore[arg-type]

    def made(read: str) -> str:
        parts = [(fit, f"{read}[{place}]") for place, fit in enumerate(fits)]
        return "(" + "".join(f"{fit.made(part) if fit.made else part}, " for fit, part in parts) + ")"

    return Fit(convert, made, frozenset[str]().union(*(fit.names for fit in fits)))


def _made_list(item: Fit) -> Made | None:
    inner = item.made
    return inner and (lambda read: f"[{inner('v')} for v in {read}]")


def _made_dict(item: Fit) -> Made | None:
    inner = item.made
    return inner and (lambda read: f"{{k: {inner('v')} for k, v in {read}.items()}}")


def _shown_int(value: int) -> str:
    # Python refuses to print integers of thousands of digits.
    return str(value) if value.bit_length() <= 200 else f"an int of {value.bit_length()} bits"

"""How the value of a param is made to fit its annotation; does not know where values come from."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from repx.errors import DefinitionError, SourceLocation
from repx.model.values import PackageRef, StoredPath, Value, check_value

Convert = Callable[[Value], Value]


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """A declared param: how a value is made to fit its annotation, and its default."""

    name: str
    convert: Convert
    default: Value
    required: bool
    is_path: bool = False

    @property
    def takes_none(self) -> bool:
        """Whether None is one of its values; of a param that cannot be None it stands for the default in a sweep."""
        try:
            return self.convert(None) is None
        except ValueError:
            return False


class ParamTaker(Protocol):
    """What is asked of a stage whose params are given values."""

    name: str
    location: SourceLocation

    @property
    def kinds(self) -> frozenset[str]:
        """What its script, or those of its parts, are written in: "bash", "python"."""


def fitted(stage: ParamTaker, param: ParamSpec, value: Value, given_at: SourceLocation) -> Value:
    """A value that is given for a param, made to fit. Raises DefinitionError."""
    try:
        value = param.convert(value)
    except ValueError as error:
        raise DefinitionError(
            f"param {param.name!r} of stage {stage.name!r}: {error}",
            location=given_at,
            facts=[("declared at", stage.location)],
            hint="leave it out to take the default" if value is None and not param.required else "",
        ) from None
    check_fit(stage, param, value, given_at)
    return value


def check_fit(stage: ParamTaker, param: ParamSpec, value: Value, given_at: SourceLocation) -> None:
    """Refuse what the language of a stage's script cannot take. Raises DefinitionError."""
    if isinstance(value, StoredPath) and not param.is_path and stage.kinds == {"python"}:
        raise DefinitionError(
            f"param {param.name!r} of stage {stage.name!r} was given the path {value.name!r}",
            location=stage.location,
            hint=f"annotate it as {param.name}: Path, or as {param.name}: Input",
        )
    if isinstance(value, str) and "\0" in value and "bash" in stage.kinds:
        raise DefinitionError(
            f"param {param.name!r} of stage {stage.name!r}: {value!r} holds a NUL character",
            location=given_at,
            hint="no shell variable can hold one; a Python stage can take it",
        )


def converter(stage: str, name: str, annotation: Any, location: SourceLocation) -> Convert:
    """How a value is made to fit an annotation: int becomes float for `float`, and nothing else changes."""
    if annotation is inspect.Parameter.empty or annotation is Any or annotation is object:
        return lambda value: value
    if annotation in _EXACT:
        return _EXACT[annotation]
    if annotation is Path:
        return _to_path
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticSchemaGenerationError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation, config={"strict": True})
    except (PydanticSchemaGenerationError, TypeError, NameError) as error:
        raise DefinitionError(
            f"param {name!r} of stage {stage!r} has an annotation that is not a type of a param: {annotation!r}",
            facts=[("because", str(error).splitlines()[0])],
            hint="use bool, int, float, str, pathlib.Path, a Literal of these, or one of them | None",
            location=location,
        ) from None

    def convert(value: Value) -> Value:
        if isinstance(value, StoredPath | PackageRef):
            if Path in typing.get_args(annotation):
                return value
            raise ValueError(f"a path does not fit {_type_text(annotation)}")
        try:
            fitted = check_value(adapter.validate_python(value))
        except OverflowError:
            raise ValueError(f"{_kind(value)} is larger than any float") from None
        except ValidationError as error:
            reasons = "; ".join(str(one["msg"]) for one in error.errors())
            raise ValueError(f"{_kind(value)} does not fit {_type_text(annotation)}: {reasons}") from None
        # A Literal is found by `==`: for Literal[1], pydantic makes 1 of True and of 1.0.
        if type(fitted) is type(value):
            return fitted
        if type(fitted) is float and type(value) is int:
            return _exact_float(value)
        raise ValueError(f"{_kind(value)} does not fit {_type_text(annotation)}")

    return convert


def _exactly(wanted: type) -> Convert:
    def convert(value: Value) -> Value:
        if type(value) is wanted:
            return value
        raise ValueError(f"{_kind(value)} does not fit {wanted.__name__}")

    return convert


def _to_float(value: Value) -> Value:
    if type(value) is float:
        return value
    if type(value) is int:
        return _exact_float(value)
    raise ValueError(f"{_kind(value)} does not fit float")


def _exact_float(value: int) -> float:
    """The float that is this integer. Above 2**53 most integers have none, and the nearest is another value."""
    try:
        made = float(value)
    except OverflowError:
        raise ValueError(f"{_shown_int(value)} is larger than any float") from None
    if made != value:
        raise ValueError(f"{_shown_int(value)} is not a float: the nearest one is {int(made)}")
    return made


def _shown_int(value: int) -> str:
    # Python refuses to print integers of thousands of digits.
    return str(value) if value.bit_length() <= 200 else f"an int of {value.bit_length()} bits"


def _to_path(value: Value) -> Value:
    if isinstance(value, StoredPath | PackageRef):
        return value
    raise ValueError(f'{_kind(value)} does not fit Path; write repx.path("…"), so that its content is known')


_EXACT: dict[Any, Convert] = {bool: _exactly(bool), int: _exactly(int), str: _exactly(str), float: _to_float}


def _kind(value: Value) -> str:
    if value is None:
        return "None"
    if isinstance(value, StoredPath):
        return f"the path {value.name!r}"
    if isinstance(value, PackageRef):
        return f"the package {value.name!r}"
    if type(value) is int:
        return f"{_shown_int(value)} (int)"
    return f"{value!r} ({type(value).__name__})"


def _type_text(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")

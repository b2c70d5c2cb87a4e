"""How the value of a param is made to fit its annotation; does not know where values come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from repx.dsl.annotations import Convert, Fit, Made, exact_float, fit_of, kind_of, type_text
from repx.errors import DefinitionError, SourceLocation
from repx.model.values import PackageRef, StoredPath, Value, check_value, identity


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """A declared param: how a value is made to fit its annotation, and its default."""

    name: str
    convert: Convert
    default: Value
    required: bool
    is_path: bool = False
    made: Made | None = None
    """How the body gets it back from JSON (`repx.dsl.annotations.Fit`)."""
    names: frozenset[str] = frozenset()

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


def fit(
    stage: str, name: str, annotation: Any, default: Any, scope: Mapping[str, Any], location: SourceLocation
) -> Fit:
    """How a value is made to fit an annotation: int becomes float for `float`, and nothing else changes.

    `scope` is the user's module. Raises DefinitionError for an annotation that is not a type of a param.
    """
    try:
        known = fit_of(annotation, scope, default)
    except ValueError as error:
        raise _not_a_type(stage, name, annotation, str(error), location) from None
    return known if known is not None else Fit(_by_pydantic(stage, name, annotation, location))


def _not_a_type(stage: str, name: str, annotation: Any, why: str, location: SourceLocation) -> DefinitionError:
    return DefinitionError(
        f"param {name!r} of stage {stage!r} has an annotation that is not a type of a param: {annotation!r}",
        facts=[("because", why)],
        hint="use bool, int, float, str, pathlib.Path, an Enum, a Literal, list, tuple or dict of these, or one | None",
        location=location,
    )


def _by_pydantic(stage: str, name: str, annotation: Any, location: SourceLocation) -> Convert:
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation, config={"strict": True})
    except (PydanticUserError, TypeError, NameError) as error:
        has_fields = isinstance(error, PydanticUserError) and error.code == "type-adapter-config-unused"
        why = "it would come back from JSON as a dict" if has_fields else str(error).splitlines()[0]
        raise _not_a_type(stage, name, annotation, why, location) from None

    def convert(value: Value) -> Value:
        if isinstance(value, StoredPath | PackageRef):
            raise ValueError(f"a path does not fit {type_text(annotation)}")
        try:
            fitted = check_value(adapter.validate_python(value))
        except OverflowError:
            raise ValueError(f"{kind_of(value)} is larger than any float") from None
        except ValidationError as error:
            reasons = "; ".join(_reason(one["loc"], one["msg"]) for one in error.errors())
            raise ValueError(f"{kind_of(value)} does not fit {type_text(annotation)}: {reasons}") from None
        if type(fitted) is type(value) and identity(fitted) == identity(value):
            return fitted
        if type(fitted) is float and type(value) is int:
            return exact_float(value)
        raise ValueError(f"{kind_of(value)} does not fit {type_text(annotation)}: it would become {kind_of(fitted)}")

    return convert


def _reason(place: Sequence[int | str], message: str) -> str:
    """What is wrong with a value, and where in it."""
    text = message.removeprefix("Value error, ")
    return f"at {'.'.join(map(str, place))}: {text}" if place else text

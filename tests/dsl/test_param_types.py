"""Values that an annotation's own rules refuse: the reason is told, and where in the value it applies."""

# ruff: noqa: E501 - a case is a line

from __future__ import annotations

from typing import Annotated, Any, Optional, TypedDict

import pytest
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from repx.dsl.param_types import fit
from repx.errors import DefinitionError, SourceLocation

HERE = SourceLocation("experiment.py", 1)
Positive = Annotated[int, Field(gt=0)]


def prime(value: int) -> int:
    if value != 7:
        raise ValueError("take a prime")
    return value


class Model(BaseModel):
    layers: int


class Typed(TypedDict):
    layers: int


@pytest.mark.parametrize(
    ("annotation", "value", "reason"),
    [
        (Positive, -1, "-1 (int) does not fit int: Input should be greater than 0"),
        (Positive | None, -1, "-1 (int) does not fit int | None: Input should be greater than 0"),
        (Optional[Positive], -1, "-1 (int) does not fit int | None: Input should be greater than 0"),  # noqa: UP045
        (list[Positive], [1, -1], "[1, -1] (list) does not fit list[int]: at 1: Input should be greater than 0"),
        (dict[str, Positive], {"a": 0}, "{'a': 0} (dict) does not fit dict[str, int]: at a: Input should be greater than 0"),
        (Annotated[int, AfterValidator(prime)], 8, "8 (int) does not fit int: take a prime"),
        (Annotated[str, StringConstraints(strip_whitespace=True)], " a", "' a' (str) does not fit str: it would become 'a' (str)"),
    ],
)  # fmt: skip
def test_the_reason_is_told(annotation: Any, value: Any, reason: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the text is compared whole
        fit("train", "n", annotation, None, {}, HERE).convert(value)
    assert str(raised.value) == reason


def test_what_fits_is_taken_as_it_is() -> None:
    assert fit("train", "n", list[Positive], None, {}, HERE).convert([1, 2]) == [1, 2]


@pytest.mark.parametrize("annotation", [Model, Typed])
def test_a_class_with_fields_is_not_a_type_of_a_param(annotation: Any) -> None:
    with pytest.raises(DefinitionError) as raised:
        fit("train", "n", annotation, None, {}, HERE)
    assert ("because", "it would come back from JSON as a dict") in raised.value.facts

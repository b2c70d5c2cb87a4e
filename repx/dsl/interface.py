"""A stage's signature as its interface: which parameters are inputs, outputs, results and params, and of what type."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from repx.errors import DefinitionError, SourceLocation
from repx.model.derivation import InputSpec
from repx.model.names import check_variable
from repx.model.values import PackageRef, StoredPath, Value, check_value


class Input(Path):
    """Marks one path that a stage takes. In the body it is a `pathlib.Path`."""


class Inputs(Sequence[Path]):
    """Marks a list of paths that a stage takes; named `inputs`, the mapping of all dynamic inputs."""

    @typing.overload
    def __getitem__(self, key: int) -> Path: ...
    @typing.overload
    def __getitem__(self, key: slice) -> Sequence[Path]: ...
    @typing.overload
    def __getitem__(self, key: str) -> Path: ...
    def __getitem__(self, key: int | slice | str) -> Any:
        """By position, or by name for dynamic inputs."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError


class Output(Path):
    """Marks a path that a stage makes below `$out`. In the body it is a `pathlib.Path`."""


class Outputs(Mapping[str, Path]):
    """Marks the mapping of all outputs, for a stage whose outputs depend on its params. Name it `outputs`."""

    def __getitem__(self, key: str) -> Path:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError


class WorkItem(dict[str, Any]):
    """Marks the work item that a step of a scatter-gather takes: one element of the scatter's list."""


class ResultJob:
    """One job of a `Results`: what its stage was called, its params (inherited ones too) and its outputs' paths."""

    stage: str
    params: dict[str, Any]
    outputs: dict[str, Path]


class Results:
    """Marks a whole upstream run that a stage takes."""

    def jobs(self, stage: str | None = None, **params: Any) -> list[ResultJob]:
        """The jobs that succeeded, of one stage and with these params if given."""
        raise NotImplementedError

    def failed(self, stage: str | None = None, **params: Any) -> list[ResultJob]:
        """The jobs that did not."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class OutputDefault:
    """What `out` returns: the path of an output below `$out`."""

    path: str


def out(path: str) -> Any:
    """The default of an `Output`: its path below `$out`, such as `"plots/loss.png"`."""
    return OutputDefault(path)


Convert = Callable[[Value], Value]


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """A declared param: how a value is made to fit its annotation, and its default."""

    name: str
    convert: Convert
    default: Value
    required: bool
    is_path: bool = False


@dataclass(frozen=True, slots=True)
class Interface:
    """All that a signature says. `params` are sorted by name."""

    inputs: tuple[InputSpec, ...]
    outputs: tuple[tuple[str, str], ...]
    params: tuple[ParamSpec, ...]
    defaults: tuple[tuple[str, StoredPath], ...]
    names: tuple[str, ...]
    takes_outputs: bool = False
    takes_inputs: bool = False
    takes_index: bool = False

    def input(self, name: str) -> InputSpec | None:
        """The declared input of that name."""
        return next((spec for spec in self.inputs if spec.name == name), None)


def read_interface(function: types.FunctionType, location: SourceLocation, *, has_realizations: bool) -> Interface:
    """The interface of a stage function. Raises DefinitionError, naming the parameter."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception as error:
        raise DefinitionError(
            f"an annotation of stage {function.__name__!r} cannot be evaluated: {error}", location=location
        ) from None
    inputs: list[InputSpec] = []
    outputs: list[tuple[str, str]] = []
    params: list[ParamSpec] = []
    defaults: list[tuple[str, StoredPath]] = []
    flags = {"outputs": False, "inputs": False, "index": False}
    for parameter in signature.parameters.values():
        name, annotation, default = parameter.name, parameter.annotation, parameter.default
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DefinitionError(
                f"stage {function.__name__!r} takes *{name}",
                location=location,
                hint="a stage's interface is its signature: name every input, output and param",
            )
        marker, optional = _marker(annotation)
        if name == "outputs" and marker is Outputs:
            flags["outputs"] = True
            continue
        if name == "inputs" and marker is Inputs:
            flags["inputs"] = True
            continue
        if name == "index" and has_realizations and marker is None:
            flags["index"] = True
            continue
        check_variable("parameter", name, location)
        if marker in (Input, Inputs, Results, WorkItem):
            kinds = {Input: "path", Inputs: "paths", Results: "results", WorkItem: "item"}
            kind: Literal["path", "paths", "results", "item"] = kinds[marker]  # type: ignore[assignment]
            if isinstance(default, StoredPath):
                defaults.append((name, default))
            elif default is not None and default is not parameter.empty:
                raise DefinitionError(
                    f"input {name!r} of stage {function.__name__!r} has the default {default!r}",
                    location=location,
                    hint="an input's default is a repx.path(…), or None with `Input | None`",
                )
            inputs.append(InputSpec(name, kind, optional or default is None))
        elif marker is Output:
            outputs.append((name, _output_path(function.__name__, name, default, location)))
        elif marker is Outputs:
            raise DefinitionError(
                f"the parameter of type Outputs must be named 'outputs', not {name!r}", location=location
            )
        else:
            params.append(_param(function.__name__, parameter, location))
    refuse_equal_paths(function.__name__, outputs, location)
    return Interface(
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        params=tuple(sorted(params, key=lambda param: param.name)),
        defaults=tuple(defaults),
        names=tuple(signature.parameters),
        takes_outputs=flags["outputs"],
        takes_inputs=flags["inputs"],
        takes_index=flags["index"],
    )


def check_output_path(stage: str, name: str, path: object, location: SourceLocation | None) -> str:
    """An output's path: relative, below `$out`, in plain form."""
    hint = 'write it relative to $out, such as out("plots/loss.png")'
    if not isinstance(path, str) or not path or "\0" in path or "\n" in path:
        raise DefinitionError(f"output {name!r} of stage {stage!r} has the path {path!r}", location=location, hint=hint)
    text = path.removeprefix("$out/")
    parts = text.split("/")
    if text.startswith("/") or ".." in parts:
        raise DefinitionError(f"output {name!r} of stage {stage!r} leaves $out: {path!r}", location=location, hint=hint)
    if "" in parts or "." in parts:
        raise DefinitionError(f"output {name!r} of stage {stage!r} has the path {path!r}", location=location, hint=hint)
    return text


def refuse_equal_paths(stage: str, outputs: Sequence[tuple[str, str]], location: SourceLocation) -> None:
    """Two outputs are two files."""
    by_path: dict[str, str] = {}
    for name, path in outputs:
        if path in by_path:
            raise DefinitionError(
                f"outputs {by_path[path]!r} and {name!r} of stage {stage!r} are the same file {path!r}",
                location=location,
            )
        by_path[path] = name


def _marker(annotation: Any) -> tuple[Any, bool]:
    """The marker in an annotation, and whether it is optional (`Input | None`)."""
    markers = (Input, Inputs, Output, Outputs, Results, WorkItem)
    if annotation in markers:
        return annotation, False
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        found = [arg for arg in typing.get_args(annotation) if arg in markers]
        if found and len(typing.get_args(annotation)) == 2 and type(None) in typing.get_args(annotation):
            return found[0], True
    return None, False


def _output_path(stage: str, name: str, default: Any, location: SourceLocation) -> str:
    if not isinstance(default, OutputDefault):
        raise DefinitionError(
            f"output {name!r} of stage {stage!r} says no path",
            location=location,
            hint=f'write {name}: Output = out("{name}.txt")',
        )
    return check_output_path(stage, name, default.path, location)


def _param(stage: str, parameter: inspect.Parameter, location: SourceLocation) -> ParamSpec:
    name = parameter.name
    if isinstance(parameter.default, OutputDefault):
        raise DefinitionError(
            f"parameter {name!r} of stage {stage!r} has an out(…) default but is not an Output",
            location=location,
            hint=f"write {name}: Output = …",
        )
    convert = _converter(stage, name, parameter.annotation, location)
    is_path = parameter.annotation is Path or Path in typing.get_args(parameter.annotation)
    if parameter.default is parameter.empty:
        return ParamSpec(name, convert, None, required=True, is_path=is_path)
    default = parameter.default
    if default is not None:
        try:
            default = convert(check_value(default))
        except ValueError as error:
            raise DefinitionError(
                f"the default of param {name!r} of stage {stage!r} is {parameter.default!r}: {error}", location=location
            ) from None
    return ParamSpec(name, convert, default, required=False, is_path=is_path)


def _converter(stage: str, name: str, annotation: Any, location: SourceLocation) -> Convert:
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
            f"param {name!r} of stage {stage!r} has an annotation that is no type of a param: {annotation!r}",
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
        except ValidationError as error:
            reasons = "; ".join(str(one["msg"]) for one in error.errors())
            raise ValueError(f"{_kind(value)} does not fit {_type_text(annotation)}: {reasons}") from None
        # A Literal is found by `==`: for Literal[1], pydantic makes 1 of True and of 1.0.
        if type(fitted) is type(value) or (type(fitted), type(value)) == (float, int):
            return fitted
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
        return float(value)
    raise ValueError(f"{_kind(value)} does not fit float")


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
    return f"{value!r} ({type(value).__name__})"


def _type_text(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")

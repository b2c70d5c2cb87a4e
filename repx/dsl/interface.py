"""A stage's signature as its interface: which parameters are inputs, outputs, results and params, and of what type."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from repx.agent.base.wire import InputSpec
from repx.dsl.markers import Input, Inputs, Output, OutputDefault, Outputs, Results, WorkItem, marker_of
from repx.dsl.param_types import ParamSpec, fit
from repx.errors import DefinitionError, SourceLocation
from repx.model.names import check_variable
from repx.model.values import StoredPath, check_value


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
        marker, optional = marker_of(annotation)
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
            params.append(_param(function, parameter, location))
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


def _output_path(stage: str, name: str, default: Any, location: SourceLocation) -> str:
    if not isinstance(default, OutputDefault):
        raise DefinitionError(
            f"output {name!r} of stage {stage!r} says no path",
            location=location,
            hint=f'write {name}: Output = out("{name}.txt")',
        )
    return check_output_path(stage, name, default.path, location)


def _param(function: types.FunctionType, parameter: inspect.Parameter, location: SourceLocation) -> ParamSpec:
    stage, name = function.__name__, parameter.name
    if isinstance(parameter.default, OutputDefault):
        raise DefinitionError(
            f"parameter {name!r} of stage {stage!r} has an out(…) default but is not an Output",
            location=location,
            hint=f"write {name}: Output = …",
        )
    convert, made, names = fit(stage, name, parameter.annotation, parameter.default, function.__globals__, location)
    is_path = parameter.annotation is Path or Path in typing.get_args(parameter.annotation)
    if parameter.default is parameter.empty:
        return ParamSpec(name, convert, None, required=True, is_path=is_path, made=made, names=names)
    default = parameter.default
    if default is not None:
        try:
            default = convert(check_value(default))
        except ValueError as error:
            raise DefinitionError(
                f"the default of param {name!r} of stage {stage!r} is {parameter.default!r}: {error}", location=location
            ) from None
    return ParamSpec(name, convert, default, required=False, is_path=is_path, made=made, names=names)

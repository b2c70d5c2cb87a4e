"""Trace a pipeline: call it, collect the nodes, and say which run params reach its arguments; makes no job."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from repx.dsl.any_stage import AnyStage
from repx.dsl.caller import place_of
from repx.dsl.node import Node, tracing
from repx.dsl.set_order import refuse_order_of_sets
from repx.dsl.typos import unknown_name
from repx.errors import DefinitionError, RepxError, SourceLocation
from repx.model.values import Value


@dataclass(frozen=True, slots=True)
class PipelineArguments:
    """The arguments of a pipeline: names, and which of them need a value from the run."""

    names: tuple[str, ...]
    required: frozenset[str]


def pipeline_name(pipeline: Callable[..., Any]) -> str:
    """What to call a pipeline in a message."""
    return pipeline.name if isinstance(pipeline, AnyStage) else getattr(pipeline, "__name__", repr(pipeline))


def pipeline_arguments(pipeline: Callable[..., Any], run: str, location: SourceLocation) -> PipelineArguments:
    """The arguments that run params reach by name; a stage as a pipeline takes none: params reach it anyway."""
    if isinstance(pipeline, AnyStage):
        return PipelineArguments((), frozenset())
    names = []
    required = set()
    for parameter in inspect.signature(pipeline).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise DefinitionError(
                f"pipeline {pipeline_name(pipeline)!r} of run {run!r} takes {parameter}",
                location=location,
                hint="run params reach a pipeline by name: name its arguments",
            )
        names.append(parameter.name)
        if parameter.default is parameter.empty:
            required.add(parameter.name)
    return PipelineArguments(tuple(names), frozenset(required))


def trace(pipeline: Callable[..., Any], arguments: dict[str, Value], run: str, location: SourceLocation) -> list[Node]:
    """The nodes of one call of a pipeline, producers before consumers. Raises DefinitionError."""
    try:
        with tracing() as nodes:
            pipeline(**arguments)
    except RepxError as error:
        error.location = error.location or _innermost(error, pipeline, location)
        raise
    except Exception as error:
        place = _innermost(error, pipeline, location)
        known = unknown_name(error)
        if known is not None:
            raise DefinitionError(known[0], location=place, hint=known[1]) from None
        wires = any(name in str(error) for name in ("OutputRef", "Node"))
        raise DefinitionError(
            f"pipeline {pipeline_name(pipeline)!r} of run {run!r} failed: {type(error).__name__}: {error}",
            location=place,
            hint="a pipeline only wires: what a stage makes can be used in the bodies of other stages" if wires else "",
        ) from None
    refuse_order_of_sets(pipeline, nodes)
    if isinstance(pipeline, AnyStage):
        # repx called the stage itself, so the place in the user's code is the run.
        for node in nodes:
            node._location = location
    if not nodes:
        raise DefinitionError(
            f"pipeline {pipeline_name(pipeline)!r} of run {run!r} calls no stage",
            facts=[(name, repr(value)) for name, value in arguments.items()],
            location=location,
            hint="a stage is called with brackets, such as make(); a name alone does nothing",
        )
    return nodes


def _innermost(error: Exception, pipeline: Callable[..., Any], location: SourceLocation) -> SourceLocation:
    """The last place of the user's own file in a traceback."""
    inner = getattr(pipeline, "func", pipeline)
    code = getattr(inner, "__code__", None)
    place = location
    frame = error.__traceback__
    while frame is not None:
        if code is not None and frame.tb_frame.f_code.co_filename == code.co_filename:
            place = place_of(frame.tb_frame.f_code, frame.tb_lineno, frame.tb_frame.f_globals)
        frame = frame.tb_next
    return place

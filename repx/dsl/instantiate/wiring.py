"""Which source each input of a node takes: by name, by matching names, from the sweep, or from a run; makes no job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from repx.dsl.node import Node, OutputRef, WholeRun
from repx.errors import DefinitionError, nearest
from repx.model.derivation import InputSpec, RunResults, StageRecipe
from repx.model.values import StoredPath


class FromNode(NamedTuple):
    """An output of another node of the trace."""

    node: Node
    output: str


class FromAxis(NamedTuple):
    """The stored path that the assignment has on this axis."""

    axis: int


Source = FromNode | FromAxis | StoredPath | RunResults
Wiring = tuple[tuple[str, tuple[Source, ...]], ...]
"""Sorted by input name; an input that is absent has no sources, as has an empty list."""


class Surroundings(NamedTuple):
    """What an input that nothing was passed for may be found in: the run's axes of paths, and upstream runs."""

    path_axes: Mapping[str, int]
    results: Mapping[str, RunResults]
    run: str


def wire(node: Node, recipe: StageRecipe, producers: Mapping[Node, StageRecipe], around: Surroundings) -> Wiring:
    """The sources of every input of a node. Raises DefinitionError, listing both sides of what does not match."""
    specs = {spec.name: spec for spec in recipe.inputs}
    for name in node._wires:
        if name not in specs:
            raise DefinitionError(
                f"stage {recipe.name!r} has no input {name!r} with these params",
                location=node._location,
                hint=nearest(name, specs),
            )
    found: dict[str, tuple[Source, ...]] = {}
    for name, given in node._wires.items():
        found[name] = _given(node, specs[name], given, producers, around)
    for producer in node._implicit:
        _match(node, specs, producer, producers, found)
    for name, spec in specs.items():
        if name not in found:
            found[name] = _unwired(node, spec, around)
    return tuple(sorted(found.items()))


def _given(
    node: Node, spec: InputSpec, given: Any, producers: Mapping[Node, StageRecipe], around: Surroundings
) -> tuple[Source, ...]:
    if isinstance(given, list):
        if spec.kind != "paths":
            raise DefinitionError(
                f"input {spec.name!r} of stage {node._stage.name!r} takes one path "
                f"and was given a list of {len(given)}",
                location=node._location,
                hint=f"annotate it as {spec.name}: Inputs",
            )
        return tuple(_single(node, spec, one, producers) for one in given)
    if given is None:
        if not spec.optional:
            raise DefinitionError(
                f"input {spec.name!r} of stage {node._stage.name!r} was given None",
                location=node._location,
                hint=f"annotate it as {spec.name}: Input | None if it may be missing",
            )
        return ()
    if isinstance(given, WholeRun):
        return (results_of(given.name, around, node),)
    return (_single(node, spec, given, producers),)


def _single(node: Node, spec: InputSpec, given: Any, producers: Mapping[Node, StageRecipe]) -> Source:
    if isinstance(given, StoredPath):
        return given
    if spec.kind in ("results", "item"):
        raise DefinitionError(
            f"input {spec.name!r} of stage {node._stage.name!r} "
            f"takes {'a run' if spec.kind == 'results' else 'a work item'}, not {given!r}",
            location=node._location,
        )
    producer = given.node if isinstance(given, OutputRef) else given
    if producer not in producers:
        raise DefinitionError(
            f"input {spec.name!r} of stage {node._stage.name!r} "
            f"takes from a call of {producer._stage.name!r} outside this pipeline",
            location=node._location,
            hint="call the stage inside the pipeline function, once for each assignment",
        )
    outputs = [name for name, _ in producers[producer].outputs]
    if isinstance(given, OutputRef):
        if given.name not in outputs:
            raise DefinitionError(
                f"stage {producers[producer].name!r} has no output {given.name!r}",
                location=node._location,
                hint=nearest(given.name, outputs),
            )
        return FromNode(producer, given.name)
    if len(outputs) == 1:
        return FromNode(producer, outputs[0])
    if spec.name in outputs:
        return FromNode(producer, spec.name)
    raise DefinitionError(
        f"input {spec.name!r} was given the result of stage {producers[producer].name!r}, which has several outputs",
        location=node._location,
        facts=[("its outputs", ", ".join(outputs))],
        hint=f"pass one of them, such as .{outputs[0]}",
    )


def _match(
    node: Node,
    specs: Mapping[str, InputSpec],
    producer: Node,
    producers: Mapping[Node, StageRecipe],
    found: dict[str, tuple[Source, ...]],
) -> None:
    """Wire by matching names; each name may be matched once."""
    if producer not in producers:
        raise DefinitionError(
            f"stage {node._stage.name!r} takes from a call of {producer._stage.name!r} outside this pipeline",
            location=node._location,
            hint="call the stage inside the pipeline function, once for each assignment",
        )
    outputs = [name for name, _ in producers[producer].outputs]
    matches = [name for name in outputs if name in specs and specs[name].kind in ("path", "paths")]
    if not matches:
        raise DefinitionError(
            f"no output of {producers[producer].name!r} is called like an input of {node._stage.name!r}",
            location=node._location,
            facts=[("its outputs", ", ".join(outputs)), ("the inputs", ", ".join(specs) or "none")],
            hint=f"name the input: {node._stage.name}({next(iter(specs), 'input')}=….{outputs[0]})",
        )
    for name in matches:
        if name in found:
            raise DefinitionError(
                f"input {name!r} of stage {node._stage.name!r} has two sources",
                location=node._location,
                facts=[("one is", f"output {name} of {producers[producer].name}")],
                hint=f"say which one: {name}=…",
            )
        found[name] = (FromNode(producer, name),)


def _unwired(node: Node, spec: InputSpec, around: Surroundings) -> tuple[Source, ...]:
    stage = node._stage
    for axis in (f"{stage.name}.{spec.name}", spec.name):
        if axis in around.path_axes:
            return (FromAxis(around.path_axes[axis]),)
    for name, default in stage.interface.defaults:
        if name == spec.name:
            return (default,)
    if spec.optional:
        return ()
    if spec.kind == "results":
        return (results_of(spec.name, around, node),)
    raise DefinitionError(
        f"input {spec.name!r} of stage {stage.name!r} is not wired",
        location=node._location,
        hint=f"pass it: {stage.name}({spec.name}=…), or sweep over paths called {spec.name!r}"
        if spec.kind != "item"
        else "a work item exists only inside a scatter-gather",
    )


def results_of(name: str, around: Surroundings, node: Node) -> RunResults:
    """The results of the upstream run of that name, `-` read as `_`."""
    for run, results in around.results.items():
        if run == name or run.replace("-", "_").replace(".", "_") == name:
            return results
    others = ", ".join(around.results)
    raise DefinitionError(
        f"stage {node._stage.name!r} takes the results of run {name!r}, and run {around.run!r} comes after no such run",
        location=node._location,
        facts=[("it comes after", others or "no run"), ("declared at", node._stage.location)],
        hint=f"call the parameter like the run ({others}; '-' as '_'), or add the run to after=[…]"
        if others
        else f"write Run({around.run!r}, …, after=[…]), with the run whose results it takes",
    )

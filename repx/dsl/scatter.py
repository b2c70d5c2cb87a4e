"""Scatter-gather: a stage that lists work items, a small DAG of steps for each, a stage that gathers; runs nothing."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repx.agent.base.wire import InputSpec, Wire
from repx.dsl.any_stage import AnyStage
from repx.dsl.gather import Sink, gather_wires
from repx.dsl.interface import Interface, read_interface
from repx.dsl.node import ItemRef, Node, OuterInput, OutputRef, Selected, tracing
from repx.dsl.param_types import ParamSpec, fitted
from repx.dsl.source.cutout import source_location
from repx.dsl.stage import Stage
from repx.dsl.wiring import FromNode, Producer, wire
from repx.errors import DefinitionError, nearest
from repx.model.names import check_name, check_version
from repx.model.resources import Resources
from repx.model.values import Value


@dataclass(frozen=True, slots=True)
class StepCall:
    """One step as it is called in the function; see `repx.model.derivation.Step`."""

    name: str
    stage: Stage
    wires: tuple[Wire, ...]
    fixed: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class _StepSurroundings:
    """What a step may take beside outputs of other steps: the work item, and the function's inputs."""

    outer: frozenset[str]
    name: str = "scatter-gather"

    def given(self, node: Node, spec: InputSpec, value: Any) -> ItemRef | OuterInput | None:
        """The item and an input of the function are their own sources."""
        if isinstance(value, ItemRef | OuterInput):
            return value
        if not isinstance(value, Node | OutputRef | Selected):
            raise DefinitionError(
                f"input {spec.name!r} of step {node._stage.name!r} was given {value!r}",
                location=node._location,
                hint="a step takes the item, an input of the function, or the output of another step",
            )
        return None

    def unwired(self, node: Node, spec: InputSpec) -> tuple[ItemRef | OuterInput, ...]:
        """The item where one is taken, else the function's input of that name."""
        if spec.kind == "item":
            return (ItemRef(),)
        if spec.name in self.outer:
            return (OuterInput(spec.name),)
        if spec.is_optional:
            return ()
        raise DefinitionError(
            f"input {spec.name!r} of step {node._stage.name!r} is not wired",
            location=node._location,
            hint=nearest(spec.name, self.outer),
        )


class ScatterGather(AnyStage):
    """Called like a stage: it takes the scatter's inputs and params and the function's inputs other than the item."""

    def __init__(
        self, function: types.FunctionType, scatter: Stage, gather: Stage, name: str | None, version: str
    ) -> None:
        self.location = source_location(function)
        self.name = check_name("stage", name or function.__name__, self.location)
        self.version = check_version(version, self.location)
        self.scatter = scatter
        self.gather = gather
        self.doc = (function.__doc__ or "").strip()
        self.resources = Resources()
        for role, stage in (("scatter", scatter), ("gather", gather)):
            self._check_part(role, stage)
        outer = self._outer_inputs(function)
        self.steps, sink, returned = self._trace(function, outer)
        self.items_output = self._items_output()
        declared = {*(name for name, _ in outer), *(spec.name for spec in scatter.interface.inputs)}
        scattered = (scatter.output_names or frozenset()) - {self.items_output}
        self.gather_wires = gather_wires(gather, sink, returned, scattered, declared, self._error)
        self.interface = self._whole_interface(outer)

    @property
    def output_names(self) -> frozenset[str] | None:
        return self.gather.output_names

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(stage.kind for stage in self.stages())

    def stages(self) -> tuple[Stage, ...]:
        """Its parts: scatter, steps, gather."""
        return (self.scatter, *(step.stage for step in self.steps), self.gather)

    def _error(self, headline: str, hint: str = "") -> DefinitionError:
        return DefinitionError(f"scatter-gather {self.name!r}: {headline}", location=self.location, hint=hint)

    def _check_part(self, role: str, stage: Any) -> None:
        if not isinstance(stage, Stage):
            raise self._error(f"{role} is {stage!r}, not a stage")
        if stage.options.is_dynamic:
            raise self._error(
                f"{role} {stage.name!r} has a name, inputs or outputs that depend on params", "declare them"
            )
        realizations = stage.options.realizations or 1
        if realizations != 1:
            raise self._error(f"{role} {stage.name!r} asks for {realizations} realizations, of which a part has one")

    def _outer_inputs(self, function: types.FunctionType) -> tuple[tuple[str, InputSpec], ...]:
        interface = read_interface(function, self.location, has_realizations=False)
        if interface.params or interface.outputs:
            names = [param.name for param in interface.params] + [name for name, _ in interface.outputs]
            raise self._error(
                f"its function takes {', '.join(names)}",
                "it takes one WorkItem and Inputs; params belong to the stages it calls",
            )
        items = [spec for spec in interface.inputs if spec.kind == "item"]
        if len(items) != 1:
            raise self._error(
                f"its function takes {len(items)} work items", "it takes exactly one parameter annotated WorkItem"
            )
        return tuple((name, spec) for name in interface.names if (spec := interface.input(name)) is not None)

    def _trace(
        self, function: types.FunctionType, outer: Sequence[tuple[str, InputSpec]]
    ) -> tuple[tuple[StepCall, ...], Sink, Any]:
        """The steps, the sink among them, and what the function returned."""
        given = {name: ItemRef() if spec.kind == "item" else OuterInput(name) for name, spec in outer}
        with tracing() as nodes:
            returned = function(**given)
        if not nodes:
            raise self._error("its function calls no stage")
        names = _step_names(nodes)
        around = _StepSurroundings(frozenset(name for name, spec in outer if spec.kind != "item"))
        producers: dict[Node, Producer] = {}
        steps = []
        for node in nodes:
            steps.append(self._step(node, names, producers, around))
            producers[node] = Producer(node._stage.name, tuple(sorted(node._stage.output_names or ())))
        return tuple(steps), self._sink(nodes, names, steps), returned

    def _step(
        self, node: Node, names: Mapping[Node, str], producers: Mapping[Node, Producer], around: _StepSurroundings
    ) -> StepCall:
        stage = node._stage
        if not isinstance(stage, Stage):
            raise self._error(f"step {stage.name!r} is itself a scatter-gather, which cannot be nested")
        self._check_part("step", stage)
        try:
            wiring = wire(node, stage.interface.inputs, producers, around)
            fixed = {
                param.name: fitted(stage, param, node._call[param.name], node._location)
                for param in stage.interface.params
                if param.name in node._call
            }
        except DefinitionError as error:
            error.headline = f"scatter-gather {self.name!r}: {error.headline}"
            raise
        wires = [_wire(name, source, names) for name, sources in wiring for source in sources]
        return StepCall(names[node], stage, tuple(wires), tuple(fixed.items()))

    def _sink(self, nodes: Sequence[Node], names: Mapping[Node, str], steps: Sequence[StepCall]) -> Sink:
        used = {one.step for step in steps for one in step.wires}
        sinks = [node for node in nodes if names[node] not in used]
        if len(sinks) != 1:
            listed = ", ".join(names[node] for node in sinks)
            raise self._error(
                f"it has {len(sinks)} sink steps: {listed}", "all steps but one must have another that takes from them"
            )
        return Sink(sinks[0], names[sinks[0]])

    def _items_output(self) -> str:
        outputs = sorted(self.scatter.output_names or ())
        if len(outputs) == 1:
            return outputs[0]
        if "items" in outputs:
            return "items"
        raise self._error(
            f"its scatter {self.scatter.name!r} has the outputs {', '.join(outputs)}",
            "call the one that lists the work items 'items'",
        )

    def _whole_interface(self, outer: Sequence[tuple[str, InputSpec]]) -> Interface:
        inputs = {spec.name: spec for spec in self.scatter.interface.inputs}
        inputs.update((name, spec) for name, spec in outer if spec.kind != "item")
        for name in (one.name for one in self.gather_wires if one.source == "input"):
            spec = self.gather.interface.input(name)
            if spec is not None:
                inputs.setdefault(name, spec)
        fixed: dict[Stage, set[str]] = {}
        for step in self.steps:
            fixed.setdefault(step.stage, {name for name, _ in step.fixed}).intersection_update(
                name for name, _ in step.fixed
            )
        params: dict[str, ParamSpec] = {}
        for stage in self.stages():
            for param in stage.interface.params:
                if param.name not in fixed.get(stage, set()):
                    self._add_param(params, param)
        return Interface(
            inputs=tuple(inputs[name] for name in sorted(inputs)),
            outputs=self.gather.interface.outputs,
            params=tuple(params[name] for name in sorted(params)),
            defaults=self.scatter.interface.defaults,
            names=(),
        )

    def _add_param(self, params: dict[str, ParamSpec], param: ParamSpec) -> None:
        other = params.get(param.name)
        if other is not None and (type(other.default), other.default) != (type(param.default), param.default):
            raise self._error(
                f"two of its stages declare param {param.name!r} with the defaults {other.default!r} "
                f"and {param.default!r}",
                "give them one default, or two names",
            )
        params[param.name] = param


def scatter_gather(
    *, scatter: Stage, gather: Stage, name: str | None = None, version: str = "1"
) -> Callable[[types.FunctionType], ScatterGather]:
    """A stage made of others: `scatter` writes a JSON list of work items, the decorated function wires the steps that
    run for each item, `gather` takes lists (`Inputs`) of what the sink step made of each.

    A gather's only list takes the sink's only output, or the one that the function returns. Otherwise each list takes
    the output of its own name, or the one that the function returns for it: `return {"models": step.model}`. Raises
    DefinitionError.
    """

    def decorate(function: types.FunctionType) -> ScatterGather:
        if not inspect.isfunction(function):
            raise DefinitionError(f"@scatter_gather decorates a function, not {function!r}")
        return ScatterGather(function, scatter, gather, name, version)

    return decorate


def _step_names(nodes: Iterable[Node]) -> dict[Node, str]:
    """A name for each step: that of its stage; from a stage's second call on, a number follows."""
    names: dict[Node, str] = {}
    taken: set[str] = set()
    for node in nodes:
        base = name = node._stage.name
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        names[node] = name
    return names


def _wire(name: str, source: FromNode | ItemRef | OuterInput, names: Mapping[Node, str]) -> Wire:
    if isinstance(source, FromNode):
        return Wire(name, "step", names[source.node], source.output)
    if isinstance(source, OuterInput):
        return Wire(name, "input", "", source.name)
    return Wire(name, "item", "", "")

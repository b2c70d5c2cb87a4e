"""Scatter-gather: a stage that lists work items, a small DAG of steps for each, a stage that gathers; runs nothing."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from repx.dsl.any_stage import AnyStage
from repx.dsl.interface import Interface, read_interface
from repx.dsl.node import ItemRef, Node, OuterInput, OutputRef, tracing
from repx.dsl.param_types import ParamSpec
from repx.dsl.source.cutout import source_location
from repx.dsl.stage import Stage
from repx.errors import DefinitionError, nearest
from repx.model.derivation import InputSpec
from repx.model.names import check_name, check_version
from repx.model.resources import Resources
from repx.model.values import Value


@dataclass(frozen=True, slots=True)
class StepCall:
    """One step as it is called in the function: `wiring` as in `repx.model.derivation.Step`."""

    name: str
    stage: Stage
    wiring: tuple[tuple[str, str, str], ...]
    fixed: tuple[tuple[str, Value], ...]


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
        self.steps, sink = self._trace(function, outer)
        self.sink_output = self._sink_output(sink)
        self.items_output = self._items_output()
        self.results_input = self._results_input()
        self.gather_wiring = self._gather_wiring()
        self.interface = self._whole_interface(outer)

    @property
    def output_names(self) -> frozenset[str] | None:
        return self.gather.output_names

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
    ) -> tuple[tuple[StepCall, ...], Node | OutputRef]:
        given = {name: ItemRef() if spec.kind == "item" else OuterInput(name) for name, spec in outer}
        with tracing() as nodes:
            returned = function(**given)
        if not nodes:
            raise self._error("its function calls no stage")
        names: dict[Node, str] = {}
        for node in nodes:
            base = node._stage.name
            taken = set(names.values())
            number = 2
            name = base
            while name in taken:
                name, number = f"{base}_{number}", number + 1
            names[node] = name
        outer_names = {name for name, spec in outer if spec.kind != "item"}
        steps = tuple(self._step(node, names, outer_names) for node in nodes)
        return steps, self._sink(nodes, names, steps, returned)

    def _step(self, node: Node, names: dict[Node, str], outer: set[str]) -> StepCall:
        stage = node._stage
        if not isinstance(stage, Stage):
            raise self._error(f"step {stage.name!r} is itself a scatter-gather, which cannot be nested")
        self._check_part("step", stage)
        wiring: dict[str, tuple[str, str]] = {}
        for name, wire in node._wires.items():
            wiring[name] = self._source(stage, name, wire, names)
        inputs = {spec.name: spec for spec in stage.interface.inputs}
        for source in node._implicit:
            matches = [name for name in source._stage.output_names or () if name in inputs and name not in wiring]
            if not matches:
                single = [name for name in inputs if name not in wiring and inputs[name].kind == "path"]
                outputs = sorted(source._stage.output_names or ())
                raise self._error(
                    f"no output of {source._stage.name!r} ({', '.join(outputs)}) is called like an input "
                    f"of {stage.name!r} ({', '.join(single) or 'none left'})",
                    "name the input",
                )
            for name in matches:
                wiring[name] = (f"step:{names[source]}", name)
        for name, spec in inputs.items():
            if name in wiring:
                continue
            if spec.kind == "item":
                wiring[name] = ("item", "")
            elif name in outer:
                wiring[name] = ("input", name)
            elif not spec.optional:
                raise self._error(f"input {name!r} of step {stage.name!r} is not wired", nearest(name, outer))
        ordered = tuple(sorted((name, source, output) for name, (source, output) in wiring.items()))
        return StepCall(names[node], stage, ordered, tuple(sorted(node._call.items())))

    def _source(self, stage: Stage, name: str, wire: Any, names: dict[Node, str]) -> tuple[str, str]:
        if isinstance(wire, ItemRef):
            return ("item", "")
        if isinstance(wire, OuterInput):
            return ("input", wire.name)
        if isinstance(wire, OutputRef) and wire.node in names:
            return (f"step:{names[wire.node]}", wire.name)
        if isinstance(wire, Node) and wire in names:
            return (f"step:{names[wire]}", only_output(wire, name))
        raise self._error(
            f"input {name!r} of step {stage.name!r} was given {wire!r}",
            "a step takes the item, an input of the function, or the output of another step",
        )

    def _sink(
        self, nodes: Sequence[Node], names: dict[Node, str], steps: Sequence[StepCall], returned: Any
    ) -> Node | OutputRef:
        used = {
            source.removeprefix("step:") for step in steps for _, source, _ in step.wiring if source.startswith("step:")
        }
        sinks = [node for node in nodes if names[node] not in used]
        if len(sinks) != 1:
            listed = ", ".join(names[node] for node in sinks)
            raise self._error(
                f"it has {len(sinks)} sink steps: {listed}", "exactly one step may have nobody that takes from it"
            )
        node = returned.node if isinstance(returned, OutputRef) else returned
        if node is not None and node is not sinks[0]:
            raise self._error(
                f"its function returns {returned!r}, but the sink is step {names[sinks[0]]!r}", "return the sink"
            )
        return returned if returned is not None else sinks[0]

    def _sink_output(self, sink: Node | OutputRef) -> str:
        if isinstance(sink, OutputRef):
            return sink.name
        outputs = sorted(sink._stage.output_names or ())
        if len(outputs) != 1:
            raise self._error(f"its sink step {sink._stage.name!r} has {len(outputs)} outputs", "return one of them")
        return outputs[0]

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

    def _results_input(self) -> str:
        lists = [spec.name for spec in self.gather.interface.inputs if spec.kind == "paths"]
        if len(lists) != 1:
            raise self._error(
                f"its gather {self.gather.name!r} takes {len(lists)} lists",
                "it takes exactly one parameter annotated Inputs",
            )
        return lists[0]

    def _gather_wiring(self) -> tuple[tuple[str, str, str], ...]:
        scattered = (self.scatter.output_names or frozenset()) - {self.items_output}
        wiring = []
        for spec in self.gather.interface.inputs:
            if spec.name != self.results_input:
                wiring.append((spec.name, "scatter" if spec.name in scattered else "input", spec.name))
        return tuple(sorted(wiring))

    def _whole_interface(self, outer: Sequence[tuple[str, InputSpec]]) -> Interface:
        inputs = {spec.name: spec for spec in self.scatter.interface.inputs}
        inputs.update((name, spec) for name, spec in outer if spec.kind != "item")
        for name, source, _ in self.gather_wiring:
            if source == "input" and name not in inputs:
                spec = self.gather.interface.input(name)
                assert spec is not None
                inputs[name] = spec
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


def only_output(node: Node, input_name: str) -> str:
    """The output meant when a whole node is passed for an input: its only one, or the one of that name."""
    outputs = node._stage.output_names
    if outputs is None:
        return input_name
    if len(outputs) == 1:
        return next(iter(outputs))
    if input_name in outputs:
        return input_name
    raise DefinitionError(
        f"input {input_name!r} was given the result of stage {node._stage.name!r}, which has several outputs",
        location=node._location,
        facts=[("its outputs", ", ".join(sorted(outputs)))],
        hint=f"pass one of them, such as .{min(outputs)}",
    )


def scatter_gather(
    *, scatter: Stage, gather: Stage, name: str | None = None, version: str = "1"
) -> Callable[[types.FunctionType], ScatterGather]:
    """A stage made of others: `scatter` writes a JSON list of work items, the decorated function wires the steps that
    run for each item, `gather` takes the list of the sink step's outputs (`Inputs`). Raises DefinitionError.
    """

    def decorate(function: types.FunctionType) -> ScatterGather:
        if not inspect.isfunction(function):
            raise DefinitionError(f"@scatter_gather decorates a function, not {function!r}")
        return ScatterGather(function, scatter, gather, name, version)

    return decorate

"""Plans: how a node becomes a job for an assignment: what of it is fixed, which axes matter; made once for a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from repx.agent.base.fingerprint import Encoded, join, recipe_digest
from repx.dsl.assignments import ABSENT, OnAxis
from repx.dsl.instantiate.recipes import ParamsView, RecipeBook, dynamic_resources, part_resources
from repx.dsl.instantiate.surroundings import FromAxis, PipelineSource, PipelineSurroundings
from repx.dsl.instantiate.tracer import Codes, Tracer
from repx.dsl.node import Node, sources_of
from repx.dsl.param_types import ParamSpec, check_fit, fitted
from repx.dsl.scatter import ScatterGather
from repx.dsl.stage import Stage
from repx.dsl.wiring import FromNode, Producer, Wiring, wire
from repx.errors import DefinitionError
from repx.model.derivation import Derivation, Edge, RunResults, StageRecipe
from repx.model.fingerprint import derivation_id, encoded_inputs, encoded_param
from repx.model.names import JobId
from repx.model.resources import Resources, merge
from repx.model.values import StoredPath, Value


class RunContext:
    """What the plans of one run share: `after` are the digests of the runs before it, `jobs` those of the whole Lab."""

    def __init__(
        self, tracer: Tracer, book: RecipeBook, after: Mapping[str, str], jobs: dict[JobId, Derivation]
    ) -> None:
        self.run = tracer.run
        self.tracer = tracer
        self.book = book
        self.jobs = jobs
        self.resources = ResourceTable()
        self.axis_values = [
            tuple(value if value is ABSENT else book.identified(value) for value in axis.values)
            for axis in self.run.sweep.axes
        ]
        path_axes = {
            axis.name: number
            for number, axis in enumerate(self.run.sweep.axes)
            if all(isinstance(value, StoredPath) for value in axis.values)
        }
        results = {name: RunResults(name, digest) for name, digest in after.items()}
        self.around = PipelineSurroundings(path_axes, results, self.run.name)


class NodePlan:
    """How one node becomes a job for an assignment: what of it is fixed, and which axes matter."""

    def __init__(self, node: Node, number: int, context: RunContext, producers: dict[Node, NodePlan]) -> None:
        self.node = node
        self.number = number
        self.context = context
        self.producers = producers
        self.memo: dict[Any, Derivation] = {}
        stage = node._stage
        self.stage = stage
        self.dynamic = isinstance(stage, Stage) and stage.options.is_dynamic
        self.has_dynamic_resources = isinstance(stage, Stage) and stage.options.dynamic_resources is not None
        self.names = tuple(param.name for param in stage.interface.params)
        self.tables = [self._table(param) for param in stage.interface.params]
        self.steady_resources = context.resources.interned(stage.resources)
        self.wirings: dict[tuple[StageRecipe, ...], Wiring[PipelineSource]] = {}
        self.recipe = None if self.dynamic else context.book.recipe(stage, context.run.hash_mode)
        axes = {axis for axis, _ in self.tables if axis >= 0}
        axes |= self._input_axes()
        self.slots = tuple(sorted(axes))
        self.project: Callable[[Codes], Any] = itemgetter(*self.slots) if self.slots else _nothing
        self.steady_wiring = None if self._anything_dynamic() else self._wiring({})

    def make(self, row: Codes, current: Sequence[Derivation]) -> Derivation:
        """The job of this node for one assignment; `current` holds those of the nodes before it."""
        values: list[Value] = []
        lines: list[Encoded] = []
        for axis, table in self.tables:
            value, line = table[row[axis] if axis >= 0 else 0]
            values.append(value)
            lines.append(line)
        recipe = self.recipe
        if recipe is None:
            recipe = self.context.book.recipe(
                self.stage, self.context.run.hash_mode, dict(zip(self.names, values, strict=True))
            )
        wiring = self.steady_wiring
        if wiring is None:
            wiring = self._dynamic_wiring(recipe, current)
        edges = self._edges(wiring, row, current)
        digest = recipe_digest(recipe.digest, join(lines))
        identity = derivation_id(recipe, digest, encoded_inputs(edges))
        known = self.context.jobs.get(identity)
        if known is not None:
            return known
        own = self._own_resources(values)
        upstream = [edge.source.resources for edge in edges if isinstance(edge.source, Derivation)]
        parts = self._part_resources(values)
        asked = parts[-1][1] if parts else self.context.resources.merged(own, upstream)
        job = Derivation(recipe, tuple(values), edges, digest, identity, asked, parts)
        self.context.jobs[identity] = job
        return job

    def _table(self, param: ParamSpec) -> tuple[int, list[tuple[Value, Encoded]]]:
        """Where a param's value comes from: (axis, value and line for each of its codes), or (-1, the one value)."""
        if param.name in self.node._call:
            call = self.context.book.identified(self.node._call[param.name])
            return -1, [_with_line(param, fitted(self.stage, param, call, self.node._location))]
        for name in (f"{self.stage.name}.{param.name}", param.name):
            axis = self.context.tracer.axes.get(name, -1)
            if axis >= 0:
                self.context.tracer.take(name)
                given = self.context.axis_values[axis]
                table = [_with_line(param, self._from_axis(param, value)) for value in given]
                self._refuse_equal(param, given, table)
                return axis, table
        return -1, [_with_line(param, self._default(param))]

    def _from_axis(self, param: ParamSpec, value: OnAxis) -> Value:
        if value is ABSENT or (value is None and not param.takes_none):
            return self._default(param)
        return fitted(self.stage, param, value, self.context.run.location)

    def _default(self, param: ParamSpec) -> Value:
        if param.required:
            raise DefinitionError(
                f"param {param.name!r} of stage {self.stage.name!r} has no value in run {self.context.run.name!r}",
                location=self.stage.location,
                hint=f'give it a default, or add "{param.name}": […] to the params of the run',
            )
        value = self.context.book.identified(param.default)
        check_fit(self.stage, param, value, self.context.run.location)
        return value

    def _refuse_equal(self, param: ParamSpec, given: Sequence[OnAxis], table: Sequence[tuple[Value, Encoded]]) -> None:
        """Two values of an axis that are one once they fit would be one job where two were meant."""
        seen: dict[Encoded, OnAxis] = {}
        for value, (_, line) in zip(given, table, strict=True):
            if value is not ABSENT and (other := seen.setdefault(line, value)) is not value:
                raise DefinitionError(
                    f"param {param.name!r} of stage {self.stage.name!r} takes {other!r} and {value!r} for the same",
                    location=self.context.run.location,
                    facts=[("declared at", self.stage.location)],
                    hint="None stands for the default of a param that cannot be None"
                    if None in (other, value)
                    else "leave one of them out of the axis",
                )

    def _input_axes(self) -> set[int]:
        """Axes that reach an input of this node, directly or through its producers."""
        axes: set[int] = set()
        for source in self._possible_sources():
            axes.update(self.producers[source].slots)
        around = self.context.around
        wired = set(self.node._wires)
        for spec in self.stage.interface.inputs:
            axis = None if spec.name in wired else around.axis_of(self.stage.name, spec.name)
            if axis is not None:
                axes.add(around.path_axes[axis])
                self.context.tracer.take(axis)
        return axes

    def _possible_sources(self) -> Iterator[Node]:
        yield from (node for node in sources_of(self.node) if node in self.producers)

    def _anything_dynamic(self) -> bool:
        return self.dynamic or any(self.producers[node].dynamic for node in self._possible_sources())

    def _wiring(self, recipes: dict[Node, StageRecipe], own: StageRecipe | None = None) -> Wiring[PipelineSource]:
        # Only nodes that this one may take from: in a chain of 10,000 nodes, thousands stand before it.
        producers = {node: recipes.get(node) or self.producers[node].recipe for node in self._possible_sources()}
        known = {
            node: Producer(recipe.name, tuple(name for name, _ in recipe.outputs))
            for node, recipe in producers.items()
            if recipe is not None
        }
        recipe = own or self.recipe
        assert recipe is not None
        return wire(self.node, recipe.inputs, known, self.context.around)

    def _dynamic_wiring(self, own: StageRecipe, current: Sequence[Derivation]) -> Wiring[PipelineSource]:
        nodes = list(dict.fromkeys(self._possible_sources()))
        recipes = {node: current[self.producers[node].number].stage for node in nodes}
        key = (own, *recipes.values())
        wiring = self.wirings.get(key)
        if wiring is None:
            wiring = self.wirings[key] = self._wiring(recipes, own)
        return wiring

    def _edges(self, wiring: Wiring[PipelineSource], row: Codes, current: Sequence[Derivation]) -> tuple[Edge, ...]:
        edges = []
        for name, sources in wiring:
            for source in sources:
                if isinstance(source, FromNode):
                    made = current[self.producers[source.node].number]
                    edges.append(Edge(name, made, source.output, source.selector))
                elif isinstance(source, FromAxis):
                    value = self.context.axis_values[source.axis][row[source.axis]]
                    assert isinstance(value, StoredPath)
                    edges.append(Edge(name, value))
                else:
                    edges.append(Edge(name, source))
        return tuple(edges)

    def _own_resources(self, values: Sequence[Value]) -> Resources:
        stage = self.stage
        if self.has_dynamic_resources:
            assert isinstance(stage, Stage)
            view = ParamsView(stage, dict(zip(self.names, values, strict=True)))
            return self.context.resources.interned(dynamic_resources(stage, view))
        return self.steady_resources

    def _part_resources(self, values: Sequence[Value]) -> tuple[tuple[str, Resources], ...]:
        """What the parts of a scatter-gather ask for. The gather stands for the whole, and comes last."""
        if not isinstance(self.stage, ScatterGather):
            return ()
        asked = part_resources(self.stage, dict(zip(self.names, values, strict=True)))
        return tuple((role, self.context.resources.interned(one)) for role, one in asked)


class ResourceTable:
    """Resources kept once each, and what they merge to: few are distinct, however many jobs there are."""

    def __init__(self) -> None:
        self._interned: dict[Resources, Resources] = {}
        self._merged: dict[tuple[int, ...], Resources] = {}

    def interned(self, resources: Resources) -> Resources:
        return self._interned.setdefault(resources, resources)

    def merged(self, own: Resources, upstreams: Sequence[Resources]) -> Resources:
        key = (id(own), *sorted({id(one) for one in upstreams}))
        found = self._merged.get(key)
        if found is None:
            found = self._merged[key] = self.interned(merge(own, upstreams))
            self._interned.update((one, one) for one in upstreams)
        return found


def _with_line(param: ParamSpec, value: Value) -> tuple[Value, Encoded]:
    return value, encoded_param(param.name, value)


def _nothing(_: Codes) -> Codes:
    return ()

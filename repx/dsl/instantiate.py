"""Instantiate: a Lab's runs, pipelines and sweeps become the derivation graph; pure, given the software.

Per trace of a pipeline there is a plan for each node, which knows the few axes that can change its job. Going through
the assignments, a node whose axes have not changed is one look-up, so that undeclared axes cost nothing and 100,000
jobs are two seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from repx.dsl.experiment import Lab, Run
from repx.dsl.node import Callee, Node
from repx.dsl.recipes import ParamsView, RecipeBook, dynamic_resources, part_resources
from repx.dsl.scatter import ScatterGather
from repx.dsl.stage import Stage
from repx.dsl.trace import PipelineArguments, pipeline_arguments, pipeline_name, trace
from repx.dsl.wiring import FromAxis, FromNode, Surroundings, Wiring, wire
from repx.errors import CheckError, DefinitionError, nearest
from repx.model.derivation import (
    Derivation,
    Edge,
    Recipe,
    RunResults,
    derivation_id,
    param_text,
    params_line,
    recipe_digest,
)
from repx.model.garbage import no_collection
from repx.model.graph import DerivationGraph, RunDependency, RunGraph
from repx.model.names import JobId
from repx.model.resources import Resources, merge
from repx.model.software import SoftwareResolver
from repx.model.values import PackageRef, StoredPath, Value

Codes = tuple[int, ...]
Trace = tuple[list[Node], list[Codes] | None]

KEPT_TRACES = 20_000
"""Traces kept between the two passes over a run; beyond that a pipeline is traced again, to bound memory."""


def instantiate(
    lab: Lab,
    resolver: SoftwareResolver,
    *,
    git_commit: str = "",
    sources: tuple[tuple[str, str], ...] = (),
    placed: dict[Node, JobId] | None = None,
) -> DerivationGraph:
    """The derivation graph of a Lab. Raises DefinitionError, SoftwareError, or CheckError with all findings.

    `placed`, when given, is filled with the job of each node of a pipeline without params.
    """
    with no_collection():
        tracers = [_Tracer(run) for run in lab.ordered_runs]
        book = RecipeBook(resolver)
        nodes = [node for tracer in tracers for node in tracer.sample_nodes()]
        stages = dict.fromkeys(node._stage for node in nodes)
        packages = {value.name for value in _all_values(lab, nodes) if isinstance(value, PackageRef)}
        findings = book.resolve(stages, packages)
        if findings:
            raise CheckError(findings)
        jobs: dict[JobId, Derivation] = {}
        runs: dict[str, RunGraph] = {}
        for tracer in tracers:
            expansion = _RunExpansion(tracer, book, runs, jobs)
            runs[tracer.run.name] = expansion.expand()
            if placed is not None:
                placed.update(expansion.placed)
    return DerivationGraph(
        runs=tuple(runs.values()),
        groups=tuple(sorted(lab.groups.items())),
        version=lab.version,
        git_commit=git_commit,
        packages=book.packages,
        sources=sources,
    )


class _Tracer:
    """The traces of one run's pipelines: one for each combination of the values its arguments take."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.axes = {axis.name: number for number, axis in enumerate(run.sweep.axes)}
        self.used: set[str] = set()
        self._arguments: list[tuple[Callable[..., Any], PipelineArguments, tuple[int, ...]]] = []
        for pipeline in run.pipelines:
            arguments = pipeline_arguments(pipeline, run.name, run.location)
            missing = sorted(arguments.required - set(self.axes))
            if missing:
                raise DefinitionError(
                    f"pipeline {pipeline_name(pipeline)!r} needs {', '.join(missing)}, "
                    f"which run {run.name!r} does not give",
                    location=run.location,
                    hint=f"add it to params, or give the argument a default; {nearest(missing[0], self.axes)}",
                )
            numbers = tuple(self.axes[name] for name in arguments.names if name in self.axes)
            self.used.update(name for name in arguments.names if name in self.axes)
            self._arguments.append((pipeline, arguments, numbers))
        self._kept: dict[tuple[int, Codes], list[Node]] = {}

    def sample_nodes(self) -> Iterator[Node]:
        """All nodes of all traces."""
        for nodes, _ in self.traces():
            yield from nodes

    def traces(self) -> Iterator[Trace]:
        """Each trace with the rows of the sweep it stands for; None means all rows."""
        for number, (pipeline, _, axes) in enumerate(self._arguments):
            if not axes:
                yield self._trace(number, pipeline, axes, ()), None
                continue
            groups: dict[Codes, list[Codes]] = {}
            for row in self.run.sweep.rows():
                groups.setdefault(tuple(row[axis] for axis in axes), []).append(row)
            for codes, rows in groups.items():
                yield self._trace(number, pipeline, axes, codes), rows

    def _trace(self, number: int, pipeline: Callable[..., Any], axes: tuple[int, ...], codes: Codes) -> list[Node]:
        nodes = self._kept.get((number, codes))
        if nodes is None:
            sweep = self.run.sweep.axes
            arguments = {
                sweep[axis].name: sweep[axis].values[code]
                for axis, code in zip(axes, codes, strict=True)
                # None in a sweep means the default: of a pipeline's argument as of a stage's param.
                if sweep[axis].values[code] is not None or sweep[axis].name in self._arguments[number][1].required
            }
            nodes = trace(pipeline, arguments, self.run.name, self.run.location)
            if len(self._kept) < KEPT_TRACES:
                self._kept[number, codes] = nodes
        return nodes


class _RunExpansion:
    """Turns the traces of one run into its jobs."""

    def __init__(
        self, tracer: _Tracer, book: RecipeBook, runs: dict[str, RunGraph], jobs: dict[JobId, Derivation]
    ) -> None:
        self.run = tracer.run
        self.tracer = tracer
        self.book = book
        self.jobs = jobs
        self.resources = _ResourceTable()
        self.placed: dict[Node, JobId] = {}
        self.axis_values = [tuple(book.identified(value) for value in axis.values) for axis in self.run.sweep.axes]
        path_axes = {
            axis.name: number
            for number, axis in enumerate(self.run.sweep.axes)
            if all(isinstance(value, StoredPath) for value in axis.values)
        }
        after = {one.run.name: RunResults(one.run.name, runs[one.run.name].digest) for one in self.run.after}
        self.around = Surroundings(path_axes, after, self.run.name)

    def expand(self) -> RunGraph:
        """All jobs of the run, once each, producers first."""
        found: dict[JobId, Derivation] = {}
        for nodes, rows in self.tracer.traces():
            plans: list[_NodePlan] = []
            by_node: dict[Node, _NodePlan] = {}
            for node in nodes:
                by_node[node] = plan = _NodePlan(node, len(plans), self, by_node)
                plans.append(plan)
            current: list[Derivation] = [None] * len(plans)  # type: ignore[list-item]
            steps = [(plan, plan.memo, plan.project) for plan in plans]
            for row in self.run.sweep.rows() if rows is None else rows:
                for number, (plan, memo, project) in enumerate(steps):
                    key = project(row)
                    job = memo.get(key)
                    if job is None:
                        job = memo[key] = plan.make(row, current)
                        found.setdefault(job.id, job)
                    current[number] = job
            if not self.run.sweep.axes:
                self.placed.update((plan.node, current[plan.number].id) for plan in plans)
        self._refuse_unused()
        after = tuple(
            RunDependency(one.run.name, one.kind) for one in sorted(self.run.after, key=lambda after: after.run.name)
        )
        return RunGraph(self.run.name, tuple(found.values()), after, self.run.location, self.run.container or "")

    def _refuse_unused(self) -> None:
        unused = sorted(set(self.tracer.axes) - self.tracer.used)
        if unused:
            reachable: set[str] = set()
            for _, arguments, _ in self.tracer._arguments:
                reachable.update(arguments.names)
            for nodes, _ in self.tracer.traces():
                for node in nodes:
                    reachable.update(param.name for param in node._stage.interface.params)
                    reachable.update(f"{node._stage.name}.{param.name}" for param in node._stage.interface.params)
                break
            raise DefinitionError(
                f"param {unused[0]!r} of run {self.run.name!r} reaches no stage and no pipeline argument",
                facts=[("also", ", ".join(unused[1:]))] if unused[1:] else [],
                location=self.run.location,
                hint=nearest(unused[0], reachable),
            )


class _NodePlan:
    """How one node becomes a job for an assignment: what of it is fixed, and which axes matter."""

    def __init__(self, node: Node, number: int, expansion: _RunExpansion, producers: dict[Node, _NodePlan]) -> None:
        self.node = node
        self.number = number
        self.expansion = expansion
        self.producers = producers
        self.memo: dict[Any, Derivation] = {}
        stage = node._stage
        self.stage = stage
        self.dynamic = isinstance(stage, Stage) and stage.is_dynamic
        self.has_dynamic_resources = isinstance(stage, Stage) and stage.dynamic_resources is not None
        self.names = tuple(param.name for param in stage.interface.params)
        self.tables = [self._table(param) for param in stage.interface.params]
        self.steady_resources = expansion.resources.interned(stage.resources)
        self.wirings: dict[tuple[Recipe, ...], Wiring] = {}
        self.recipe = None if self.dynamic else expansion.book.recipe(stage, expansion.run.hash_mode)
        axes = {axis for axis, _ in self.tables if axis >= 0}
        axes |= self._input_axes()
        self.slots = tuple(sorted(axes))
        self.project: Callable[[Codes], Any] = itemgetter(*self.slots) if self.slots else _nothing
        self.steady_wiring = None if self._anything_dynamic() else self._wiring({})

    def make(self, row: Codes, current: Sequence[Derivation]) -> Derivation:
        """The job of this node for one assignment; `current` holds those of the nodes before it."""
        values: list[Value] = []
        texts: list[str] = []
        for axis, table in self.tables:
            value, text = table[row[axis] if axis >= 0 else 0]
            values.append(value)
            texts.append(text)
        recipe = self.recipe
        if recipe is None:
            recipe = self.expansion.book.recipe(
                self.stage, self.expansion.run.hash_mode, dict(zip(self.names, values, strict=True))
            )
        wiring = self.steady_wiring
        if wiring is None:
            wiring = self._dynamic_wiring(recipe, current)
        edges = self._edges(wiring, row, current)
        digest = recipe_digest(recipe, "".join(texts))
        identity = derivation_id(recipe, digest, edges)
        known = self.expansion.jobs.get(identity)
        if known is not None:
            return known
        own = self._own_resources(values)
        upstream = [edge.source.resources for edge in edges if isinstance(edge.source, Derivation)]
        parts = self._part_resources(values, upstream)
        asked = parts[-1][1] if parts else self.expansion.resources.merged(own, upstream)
        job = Derivation(recipe, tuple(values), edges, digest, identity, asked, parts)
        self.expansion.jobs[identity] = job
        return job

    def _table(self, param: Any) -> tuple[int, list[tuple[Value, str]]]:
        """Where a param's value comes from: (axis, value and line for each of its codes), or (-1, the one value)."""
        call = self.node._call.get(param.name)
        if call is not None:
            return -1, [self._converted(param, self.expansion.book.identified(call))]
        for name in (f"{self.stage.name}.{param.name}", param.name):
            axis = self.expansion.tracer.axes.get(name, -1)
            if axis >= 0:
                self.expansion.tracer.used.add(name)
                return axis, [self._converted(param, value) for value in self.expansion.axis_values[axis]]
        return -1, [self._converted(param, None)]

    def _converted(self, param: Any, value: Value) -> tuple[Value, str]:
        if value is None:
            if param.required:
                raise DefinitionError(
                    f"param {param.name!r} of stage {self.stage.name!r} has no value "
                    f"in run {self.expansion.run.name!r}",
                    location=self.stage.location,
                    hint=f'give it a default, or add "{param.name}": […] to the params of the run',
                )
            value = self.expansion.book.identified(param.default)
        else:
            try:
                value = param.convert(value)
            except ValueError as error:
                raise DefinitionError(
                    f"param {param.name!r} of stage {self.stage.name!r}: {error}",
                    location=self.node._location if param.name in self.node._call else self.expansion.run.location,
                    facts=[("declared at", self.stage.location)],
                ) from None
        if isinstance(value, StoredPath) and not param.is_path and getattr(self.stage, "kind", "") == "python":
            raise DefinitionError(
                f"param {param.name!r} of stage {self.stage.name!r} was given the path {value.name!r}",
                location=self.stage.location,
                hint=f"annotate it as {param.name}: Path, or as {param.name}: Input",
            )
        if isinstance(value, str) and "\0" in value and _has_bash(self.stage):
            raise DefinitionError(
                f"param {param.name!r} of stage {self.stage.name!r}: {value!r} holds a NUL character",
                location=self.node._location if param.name in self.node._call else self.expansion.run.location,
                hint="no shell variable can hold one; a Python stage can take it",
            )
        return value, params_line(param.name, param_text(value))

    def _input_axes(self) -> set[int]:
        """Axes that reach an input of this node, directly or through its producers."""
        axes: set[int] = set()
        for source in self._possible_sources():
            if isinstance(source, Node):
                axes.update(self.producers[source].slots)
        around = self.expansion.around
        wired = set(self.node._wires)
        for spec in self.stage.interface.inputs:
            for name in (f"{self.stage.name}.{spec.name}", spec.name):
                if spec.name not in wired and name in around.path_axes:
                    axes.add(around.path_axes[name])
                    self.expansion.tracer.used.add(name)
                    break
        return axes

    def _possible_sources(self) -> Iterator[Node]:
        yield from (node for node in self.node._implicit if node in self.producers)
        for given in self.node._wires.values():
            for one in given if isinstance(given, list) else [given]:
                node = getattr(one, "node", one) if not isinstance(one, Node) else one
                if isinstance(node, Node) and node in self.producers:
                    yield node

    def _anything_dynamic(self) -> bool:
        return self.dynamic or any(self.producers[node].dynamic for node in self._possible_sources())

    def _wiring(self, recipes: dict[Node, Recipe], own: Recipe | None = None) -> Wiring:
        producers = {node: recipes.get(node) or plan.recipe for node, plan in self.producers.items()}
        known = {node: recipe for node, recipe in producers.items() if recipe is not None}
        recipe = own or self.recipe
        assert recipe is not None
        return wire(self.node, recipe, known, self.expansion.around)

    def _dynamic_wiring(self, own: Recipe, current: Sequence[Derivation]) -> Wiring:
        nodes = list(dict.fromkeys(self._possible_sources()))
        recipes = {node: current[self.producers[node].number].recipe for node in nodes}
        key = (own, *recipes.values())
        wiring = self.wirings.get(key)
        if wiring is None:
            wiring = self.wirings[key] = self._wiring(recipes, own)
        return wiring

    def _edges(self, wiring: Wiring, row: Codes, current: Sequence[Derivation]) -> tuple[Edge, ...]:
        edges = []
        for name, sources in wiring:
            for source in sources:
                if isinstance(source, FromNode):
                    edges.append(Edge(name, current[self.producers[source.node].number], source.output))
                elif isinstance(source, FromAxis):
                    value = self.expansion.axis_values[source.axis][row[source.axis]]
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
            return self.expansion.resources.interned(dynamic_resources(stage, view))
        return self.steady_resources

    def _part_resources(
        self, values: Sequence[Value], upstream: Sequence[Resources]
    ) -> tuple[tuple[str, Resources], ...]:
        """What the parts of a scatter-gather ask for; gather, which stands for the whole, comes last."""
        if not isinstance(self.stage, ScatterGather):
            return ()
        asked = part_resources(self.stage, dict(zip(self.names, values, strict=True)), upstream)
        return tuple((role, self.expansion.resources.interned(one)) for role, one in asked)


class _ResourceTable:
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


def _has_bash(stage: Callee) -> bool:
    parts = stage.stages() if isinstance(stage, ScatterGather) else (stage,)
    return any(isinstance(part, Stage) and part.kind == "bash" for part in parts)


def _nothing(_: Codes) -> Codes:
    return ()


def _all_values(lab: Lab, nodes: Iterable[Node]) -> Iterator[Value]:
    for run in lab.runs:
        for axis in run.sweep.axes:
            yield from axis.values
    for node in nodes:
        yield from node._call.values()
        yield from (param.default for param in node._stage.interface.params)

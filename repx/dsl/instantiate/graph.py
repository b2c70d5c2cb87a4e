"""Instantiate: a Lab's runs, pipelines and sweeps become the derivation graph; pure, given the software.

Per trace of a pipeline there is a plan for each node, which knows the few axes that can change its job. Going through
the assignments, a node whose axes have not changed is one look-up, so that undeclared axes cost nothing and 100,000
jobs are two seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from repx.dsl.experiment import Lab
from repx.dsl.instantiate.arguments import ArgumentsOfJobs
from repx.dsl.instantiate.plan import NodePlan, RunContext
from repx.dsl.instantiate.recipes import RecipeBook
from repx.dsl.instantiate.sources import sources_of_lab
from repx.dsl.instantiate.tracer import Tracer
from repx.dsl.node import Node
from repx.errors import CheckError, DefinitionError, Finding, nearest
from repx.model.derivation import Derivation
from repx.model.garbage import no_collection
from repx.model.graph import DerivationGraph, RunDependency, RunGraph
from repx.model.names import JobId
from repx.model.software import SoftwareResolver
from repx.model.values import PackageRef, Value


def instantiate(
    lab: Lab,
    resolver: SoftwareResolver,
    *,
    placed: dict[Node, JobId] | None = None,
) -> DerivationGraph:
    """The derivation graph of a Lab. Raises DefinitionError, SoftwareError, or CheckError with all findings.

    `placed`, when given, is filled with the job of each node of a pipeline without params.
    """
    with no_collection():
        tracers = [Tracer(run) for run in lab.ordered_runs]
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
            after = {one.run.name: runs[one.run.name].digest for one in tracer.run.after}
            runs[tracer.run.name] = _expand(RunContext(tracer, book, after, jobs), placed)
    return DerivationGraph(
        runs=tuple(runs.values()),
        groups=tuple(sorted(lab.groups.items())),
        version=lab.version,
        packages=book.packages,
        sources=sources_of_lab(lab, stages),
        container=lab.container,
        run_container=lab.run_container,
        notes=(*book.notes, *_same_runs(runs.values())),
    )


def _expand(context: RunContext, placed: dict[Node, JobId] | None) -> RunGraph:
    """All jobs of the run, once each, producers first."""
    run = context.run
    found: dict[JobId, Derivation] = {}
    made_for = ArgumentsOfJobs(context.tracer)
    for nodes, rows, axes in context.tracer.traces():
        plans: list[NodePlan] = []
        by_node: dict[Node, NodePlan] = {}
        for node in nodes:
            by_node[node] = plan = NodePlan(node, len(plans), context, by_node)
            plans.append(plan)
        current: list[Derivation] = [None] * len(plans)  # type: ignore[list-item]
        steps = [(plan, plan.memo, plan.project) for plan in plans]
        for row in run.sweep.rows() if rows is None else rows:
            for number, (plan, memo, project) in enumerate(steps):
                key = project(row)
                job = memo.get(key)
                if job is None:
                    job = memo[key] = plan.make(row, current)
                    found.setdefault(job.id, job)
                current[number] = job
        if rows:
            for plan in plans:
                made_for.note(rows[0], axes, plan.memo.values())
        if placed is not None and not run.sweep.axes:
            placed.update((plan.node, current[plan.number].id) for plan in plans)
    _refuse_unused(context.tracer)
    after = tuple(RunDependency(one.run.name, one.kind) for one in sorted(run.after, key=lambda after: after.run.name))
    jobs = tuple(found.values())
    return RunGraph(run.name, jobs, after, run.location, run.container or "", made_for.by_job())


def _same_runs(runs: Iterable[RunGraph]) -> Iterator[Finding]:
    """A note on each run that has the jobs of another, which is rarely meant."""
    by_count: dict[int, list[RunGraph]] = {}
    for run in runs:
        by_count.setdefault(len(run.jobs), []).append(run)
    for alike in by_count.values():
        first: dict[str, RunGraph] = {}
        for run in alike if len(alike) > 1 else ():
            other = first.setdefault(run.digest, run)
            if other is not run:
                yield Finding(
                    f"run {run.name!r}",
                    run.location,
                    f"it has exactly the jobs of run {other.name!r}",
                    "leave one of them out, or give each its own params",
                )


def _refuse_unused(tracer: Tracer) -> None:
    unused = sorted(set(tracer.axes) - tracer.used)
    if unused:
        reachable: set[str] = set()
        for _, arguments, _ in tracer.arguments:
            reachable.update(arguments.names)
        for nodes, _, _ in tracer.traces():
            for node in nodes:
                reachable.update(param.name for param in node._stage.interface.params)
                reachable.update(f"{node._stage.name}.{param.name}" for param in node._stage.interface.params)
            break
        raise DefinitionError(
            f"param {unused[0]!r} of run {tracer.run.name!r} reaches no stage and no pipeline argument",
            facts=[("also", ", ".join(unused[1:]))] if unused[1:] else [],
            location=tracer.run.location,
            hint=nearest(unused[0], reachable),
        )


def _all_values(lab: Lab, nodes: Iterable[Node]) -> Iterator[Value]:
    for run in lab.runs:
        for axis in run.sweep.axes:
            yield from axis.values
    for node in nodes:
        yield from node._call.values()
        yield from (param.default for param in node._stage.interface.params)

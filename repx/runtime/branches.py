"""Scatter-gather while it runs: first its scatter, then the steps of each item, then its gather; starts nothing."""

from __future__ import annotations

from collections.abc import Mapping

from repx.agent.base.record import Attempt
from repx.agent.base.state import ENDED, State
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Step
from repx.lab.directory import LabDirectory
from repx.runtime.graph import UnitGraph
from repx.runtime.units import Unit, UnresolvedError
from repx.store.outcomes import Outcome, Resolved, job_inputs
from repx.store.scatter import ItemsError, ScatterGatherJob


class Branches:
    """Opens scatter-gathers in a graph of units. Equal scatters and equal steps are one unit, which others follow.

    Each method that opens something is a unit's `on_ready`: it says whether it has dealt with the unit, which else is
    looked at like any other.
    """

    def __init__(self, graph: UnitGraph, lab: LabDirectory) -> None:
        self._graph = graph
        self._lab = lab
        self._steps: dict[str, Unit] = {}

    def open_scatter(self, unit: Unit) -> bool:
        """The inputs of a scatter-gather have ended: its scatter becomes a unit, and the whole waits for it."""
        job = unit.job
        assert isinstance(job, Job)
        if self._graph.blocked_by(unit) is not None:
            return False
        try:
            whole = ScatterGatherJob(
                job, job_inputs(job, self._lab.path, self._graph.outcome_of, self._graph.results_of)
            )
        except UnresolvedError:
            return False
        part, resolved = whole.scatter()
        scatter = self._steps.get(part.id)
        if scatter is None:
            scatter = self._steps[part.id] = self._graph.add(unit.run, part)
            self._graph.ask(scatter, part.hints)
            scatter.resolve = lambda _: resolved
            self._graph.look_later(scatter)
        unit.parts.append(scatter)
        unit.on_ready = lambda gather: self._open_branches(gather, whole, scatter)
        unit.after(scatter)
        return unit.waiting > 0 or unit.on_ready(unit)

    def _open_branches(self, unit: Unit, whole: ScatterGatherJob, scatter: Unit) -> bool:
        """The scatter has ended: each work item gets its steps, and the whole waits for all sinks."""
        if scatter.outcome is None:
            if scatter.state in ENDED:
                self._graph.block(unit, scatter)
                return True
            unit.resolve = _not_yet
            unit.on_ready = None
            return False
        try:
            items = whole.items(scatter.outcome)
        except (ItemsError, OSError) as error:
            unit.attempt = Attempt(cause="output", detail=str(error))
            self._graph.end(unit, State.FAILED)
            return True
        sinks = [self._branch(unit, whole, scatter.outcome, item) for item in items]
        unit.on_ready = lambda gather: self._gather(gather, whole, scatter, sinks)
        for sink in sinks:
            unit.after(sink)
        self._graph.grown()
        return unit.waiting > 0 or unit.on_ready(unit)

    def _branch(self, gather: Unit, whole: ScatterGatherJob, scatter: Outcome, item: str) -> Unit:
        """The steps of one item; a step's job is known when its inputs are. Returns the sink."""
        branch: dict[str, Unit] = {}
        for step in whole.steps:
            unit = self._graph.add(gather.run, None)
            unit.on_ready = lambda one, step=step: self._open_step(one, whole, scatter, item, step, branch)
            branch[step.name] = unit
            gather.parts.append(unit)
            for name in step.before:
                unit.after(branch[name])
            if unit.waiting == 0:
                self._graph.look_later(unit)
        return branch[whole.sink]

    def _open_step(
        self,
        unit: Unit,
        whole: ScatterGatherJob,
        scatter: Outcome,
        item: str,
        step: Step,
        branch: Mapping[str, Unit],
    ) -> bool:
        """The inputs of a step are there, so its id is: equal steps become one, and this one follows."""
        before: dict[str, Outcome] = {}
        for name in step.before:
            earlier = branch[name]
            if earlier.outcome is None:
                if earlier.state in ENDED:
                    self._graph.block(unit, earlier)
                    return True
                unit.resolve = _not_yet
                return False
            before[name] = earlier.outcome
        part, resolved = whole.step(step, item, before, scatter)
        unit.job = part
        leader = self._steps.get(part.id)
        if leader is not None and leader is not unit:
            unit.on_ready = lambda one: self._follow(one, leader)
            unit.after(leader)
            return unit.waiting > 0 or self._follow(unit, leader)
        self._steps[part.id] = unit
        self._graph.ask(unit, part.hints)
        unit.resolve = lambda _: resolved
        return False

    def _follow(self, unit: Unit, leader: Unit) -> bool:
        if leader.outcome is None:
            self._graph.block(unit, leader)
        else:
            unit.found = True
            self._graph.succeed(unit, leader.outcome)
        return True

    def _gather(self, unit: Unit, whole: ScatterGatherJob, scatter: Unit, sinks: list[Unit]) -> bool:
        """All branches have ended: the whole becomes an ordinary job, its gather."""
        outcomes = [sink.outcome for sink in sinks if sink.outcome is not None]
        failed = next((sink for sink in sinks if sink.state in ENDED and sink.outcome is None), None)
        if failed is not None:
            self._graph.block(unit, failed)
            return True
        unit.on_ready = None
        if len(outcomes) < len(sinks) or scatter.outcome is None:
            unit.resolve = _not_yet
            return False
        part, resolved = whole.gather(outcomes, scatter.outcome)
        unit.job = part
        unit.resolve = lambda _: resolved
        return False


def _not_yet(_: Unit) -> Resolved:
    raise UnresolvedError

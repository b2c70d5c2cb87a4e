"""Scatter-gather while it runs: first its scatter, then the steps of each item, then its gather; starts nothing."""

from __future__ import annotations

from collections.abc import Mapping

from repx.agent.base.record import Attempt
from repx.agent.base.state import ENDED, State
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Step
from repx.agent.resolve import Realized
from repx.agent.scatter import ItemsError, ScatterGather
from repx.runtime.graph import UnitGraph
from repx.runtime.units import Unit


class Branches:
    """Opens scatter-gathers in a graph of units. Equal scatters and equal steps are one unit, which others follow.

    Each method that opens something is a unit's `on_ready`: it says whether it has dealt with the unit, which else is
    looked at like any other. In a dry run it may find that what a unit takes is to be made first: then it leaves it
    unresolved.
    """

    def __init__(self, graph: UnitGraph) -> None:
        self._graph = graph
        self._steps: dict[str, Unit] = {}

    def open_scatter(self, unit: Unit) -> bool:
        """The inputs of a scatter-gather have ended: its scatter becomes a unit, and the whole waits for it."""
        job = unit.job
        assert isinstance(job, Job)
        if self._graph.blocker(unit) is not None:
            return False
        whole = self._graph.resolver.scatter_gather(job)
        if whole is None:
            return False
        part, resolved = whole.scatter()
        scatter = self._steps.get(part.id)
        if scatter is None:
            scatter = self._steps[part.id] = self._graph.add(unit.run, part)
            scatter.resolved = resolved
            self._graph.look_later(scatter)
        unit.parts = [scatter]
        unit.on_ready = lambda gather: self._open_branches(gather, whole, scatter)
        self._graph.wait(unit, scatter)
        return unit.waiting > 0 or unit.on_ready(unit)

    def _open_branches(self, unit: Unit, whole: ScatterGather, scatter: Unit) -> bool:
        """The scatter has ended: each work item gets its steps, and the whole waits for all sinks."""
        if scatter.outcome is None:
            return self._block_if_ended(unit, scatter)
        try:
            items = whole.items(scatter.outcome)
        except ItemsError as error:
            if scatter.is_parked:
                # Its items were collected, and nobody can say without them what the whole consists of.
                self._graph.want(scatter)
                self._graph.wait(unit, scatter)
                return unit.waiting > 0
            unit.attempt = Attempt(cause="output", detail=str(error))
            self._graph.end(unit, State.FAILED)
            return True
        sinks = [self._branch(unit, whole, item) for item in items]
        unit.on_ready = lambda gather: self._gather(gather, whole, scatter, sinks)
        for sink in sinks:
            self._graph.wait(unit, sink)
        self._graph.grown()
        return unit.waiting > 0 or unit.on_ready(unit)

    def _branch(self, gather: Unit, whole: ScatterGather, item: str) -> Unit:
        """The steps of one item; a step's job is known when its inputs are. Returns the sink."""
        assert isinstance(gather.parts, list)
        branch: dict[str, Unit] = {}
        for step in whole.steps:
            unit = branch[step.name] = self._graph.add(gather.run, None)
            unit.on_ready = lambda one, step=step: self._open_step(one, whole, item, step, branch)
            gather.parts.append(unit)
            for name in step.before:
                self._graph.wait(unit, branch[name])
            if unit.waiting == 0:
                self._graph.look_later(unit)
        return branch[whole.sink]

    def _open_step(self, unit: Unit, whole: ScatterGather, item: str, step: Step, branch: Mapping[str, Unit]) -> bool:
        """The inputs of a step are there, so its id is: equal steps become one, and this one follows."""
        before: dict[str, Realized] = {}
        for name in step.before:
            earlier = branch[name].leader or branch[name]
            if earlier.outcome is None:
                return self._block_if_ended(unit, earlier)
            before[name] = earlier.outcome
        part, resolved = whole.step(step, item, before)
        unit.job = part
        unit.sources = tuple(branch[name] for name in step.before)
        leader = self._steps.setdefault(part.id, unit)
        if leader is not unit:
            unit.leader = leader
            unit.on_ready = lambda one: self._follow(one, leader)
            self._graph.wait(unit, leader)
            return unit.waiting > 0 or self._follow(unit, leader)
        self._graph.ask(unit, part.hints)
        unit.resolved = resolved
        return False

    def _follow(self, unit: Unit, leader: Unit) -> bool:
        if leader.outcome is None:
            return self._block_if_ended(unit, leader)
        self._graph.succeed(unit, leader.outcome, found=True)
        return True

    def _gather(self, unit: Unit, whole: ScatterGather, scatter: Unit, sinks: list[Unit]) -> bool:
        """All branches have ended: the whole becomes an ordinary job, its gather."""
        sinks = [sink.leader or sink for sink in sinks]
        failed = next((sink for sink in sinks if sink.state in ENDED and sink.outcome is None), None)
        if failed is not None:
            return self._block_if_ended(unit, failed)
        outcomes = [sink.outcome for sink in sinks if sink.outcome is not None]
        if len(outcomes) == len(sinks) and scatter.outcome is not None:
            unit.job, unit.resolved = whole.gather(outcomes, scatter.outcome)
            unit.sources = (*([scatter] if whole.gather_takes_scatter else []), *sinks)
        return False

    def _block_if_ended(self, unit: Unit, needed: Unit) -> bool:
        """A unit needs one without a result: that one has failed, or it would run first, which a dry run only says."""
        if needed.state not in ENDED:
            return False
        self._graph.block(unit, needed)
        return True

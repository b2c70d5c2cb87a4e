"""Units whose outputs were collected: done until a unit that is to run takes from them; starts nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from repx.agent.base.state import ENDED, State
from repx.agent.lab.job_line import FromJob
from repx.agent.lab.run_file import Job
from repx.agent.resolve import Realized
from repx.lab.directory import LabDirectory
from repx.runtime.units import Unit

if TYPE_CHECKING:
    from repx.runtime.graph import UnitGraph


class Parking:
    """The parked units of a graph. While there has been none, it costs a unit nothing."""

    def __init__(self, graph: UnitGraph, lab: LabDirectory) -> None:
        self._graph = graph
        self._lab = lab
        self._has_parked = False
        self._remade: dict[str, Unit] = {}

    def park(self, unit: Unit, outcome: Realized) -> None:
        """Let a unit count as done: those that wait for it go on, and it may be asked for its outputs later."""
        self._has_parked = True
        unit.is_parked, unit.found, unit.outcome = True, True, outcome
        self._graph.found += 1
        self._graph.note(unit, outcome)
        self._graph.release(unit)
        unit.consumers = ()

    def keeps_waiting(self, unit: Unit) -> bool:
        """Whether a unit that is to run waits for outputs that are to be made again first."""
        if not self._has_parked:
            return False
        for source in self._sources(unit):
            self.want(source)
            if source.state not in ENDED:
                self._graph.wait(unit, source)
        return unit.waiting > 0

    def want(self, unit: Unit) -> None:
        """Let a parked unit be looked at once more, to run this time."""
        if unit.is_parked:
            unit.is_parked, unit.found, unit.outcome, unit.is_wanted = False, False, None, True
            self._graph.found -= 1
            if unit.waiting == 0:
                self._graph.look_later(unit)

    def _sources(self, unit: Unit) -> Iterator[Unit]:
        job = unit.job
        assert job is not None, "what it takes from has ended, so that its job is known"
        for source in unit.sources:
            yield source.leader or source
        whole = job if isinstance(job, Job) else self._lab.job(job.whole)
        assert whole is not None, "it is of this Lab"
        for taken in whole.inputs:
            if isinstance(taken, FromJob):
                yield from self._graph.units_taken(taken)
        for run in whole.runs_taken():
            yield self._remaking(run)

    def _remaking(self, run: str) -> Unit:
        """A unit that ends when all results of a run are there again; many may take these, and it is made once."""
        if run not in self._remade:
            all_there = self._remade[run] = Unit(-1, 0, None, 0)
            all_there.on_ready = lambda unit: self._end_remaking(unit, run)
            for identity in self._lab.run(run).ids():
                unit = self._graph.unit_of(identity)
                self.want(unit)
                self._graph.wait(all_there, unit)
            if all_there.waiting == 0:
                self._end_remaking(all_there, run)
        return self._remade[run]

    def _end_remaking(self, unit: Unit, run: str) -> bool:
        self._graph.note_blocked(run)
        unit.move(State.SUCCEEDED)
        self._graph.release(unit)
        return True

"""The units of a selection as a graph: made, wired, looked at as what they wait for ends; starts and writes nothing.

Looking at a unit means to resolve its inputs and to look whether a result stands under its key: then it has succeeded,
else it is ready to run. Where something that it needs has failed, it is blocked. What was made is told to the resolver
by which the inputs of others are resolved. A result whose outputs were collected counts as done: its unit is parked,
and runs when a unit that is to run takes from it (`repx.runtime.parking`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from repx.agent.base.record import Attempt
from repx.agent.base.state import ENDED, State
from repx.agent.lab.job_line import FromJob, Hints
from repx.agent.lab.run_file import Job
from repx.agent.resolve import Realized, Reason
from repx.agent.resolver import AWAITED, Missing, Resolver
from repx.agent.scatter import PartJob
from repx.errors import LabError
from repx.lab.directory import LabDirectory
from repx.lab.run_order import RunOrder, Waits, blocked_by_runs
from repx.lab.selection import Selection
from repx.runtime.needs import Needs, asked_for
from repx.runtime.parking import Parking
from repx.runtime.units import Unit

_BAD = (State.FAILED, State.BLOCKED, State.CANCELLED)


class Hooks(Protocol):
    """Who is asked and told while units become ready and end."""

    def is_stopped(self) -> bool:
        """Whether nothing more is to be started."""

    def is_forced(self, job: Job | PartJob) -> bool:
        """Whether a job is to run, done or not."""

    def added(self, job: Job) -> Sequence[int]:
        """The indexes of realizations that are to be made beyond those that the job's stage has."""

    def is_wanted(self, job: Job | PartJob) -> bool:
        """Whether the outputs of a job are to be there in the end, though its record would do."""

    def found(self, unit: Unit, outcome: Realized) -> Realized:
        """A result stands under a unit's key already; what is to be taken as such."""

    def ready(self, unit: Unit) -> None:
        """A unit can run."""

    def ended(self, unit: Unit) -> None:
        """A unit has ended."""

    def grown(self) -> None:
        """A scatter has added units."""


class UnitGraph:
    """All units of a run of the engine, of which `found` were done already.

    With `dry`, what is ready counts as done "at most", and nobody is told.
    """

    def __init__(self, lab: LabDirectory, resolver: Resolver, selection: Selection, hooks: Hooks, *, dry: bool) -> None:
        self.units: list[Unit] = []
        self.found = 0
        self.dry = dry
        self.resolver = resolver
        self._lab = lab
        self._selection = selection
        self._hooks = hooks
        self._by_job: dict[str, Unit] = {}
        self._waiting: deque[Unit] = deque()
        self._barriers: dict[str, Unit] = {}
        self._waits: dict[int, Waits] = {}
        self._needs: dict[Hints, tuple[Needs, float | None, dict[str, int]]] = {}
        self._open_scatter: Callable[[Unit], bool] | None = None
        self._has_bad = False
        self._parking = Parking(self, lab)

    def build(self, open_scatter: Callable[[Unit], bool]) -> None:
        """A unit for every realization of every selected job, wired to those it takes from.

        `open_scatter` is the `on_ready` of a scatter-gather (`repx.runtime.branches`). Raises LabError.
        """
        self._open_scatter = open_scatter
        places = {name: number for number, name in enumerate(self._lab.runs)}
        for job in self._selection.jobs.values():
            unit = self._by_job[job.id] = self.add(places[job.run.name], job)
            for index in (*range(1, job.stage.realizations), *self._hooks.added(job)):
                unit.realizations += (self.add(unit.run, job, index),)
        order = RunOrder(self._lab, self._selection.runs)
        for unit in self.units:
            self._wire(unit, order)
        self._waiting.extend(unit for unit in self.units if unit.waiting == 0)

    def resolve_ready(self) -> None:
        """Look at every unit that waits for nothing any more, and at those that this frees, until none is left."""
        while self._waiting:
            unit = self._waiting.popleft()
            if unit.state is State.PENDING and unit.waiting == 0:
                self._look_at(unit)

    def end(self, unit: Unit, state: State) -> None:
        """A unit has come to its end; those that wait for it come one step nearer."""
        unit.move(state)
        self._has_bad |= state is not State.SUCCEEDED
        self.note(unit, unit.outcome)
        if not self.dry:
            self._hooks.ended(unit)
        self.release(unit)
        unit.forget()

    def succeed(self, unit: Unit, outcome: Realized, *, found: bool) -> None:
        """A result stands under a unit's key; `found` says that it did so before anybody worked on it."""
        unit.outcome = outcome
        unit.found = found
        self.found += found
        self.end(unit, State.SUCCEEDED)

    def block(self, unit: Unit, blocked_by: Unit) -> None:
        """A unit cannot run, because `blocked_by` (or what blocks that one) has not succeeded."""
        unit.blocked_by = blocked_by.blocked_by or blocked_by
        self.end(unit, State.BLOCKED)

    def wait(self, unit: Unit, other: Unit) -> None:
        """Let a unit wait for another one's end; in a dry run, what is ready counts as having ended."""
        if not (self.dry and other.state is State.READY):
            unit.after(other)

    def note(self, unit: Unit, known: Realized | Missing) -> None:
        """Let the resolver know what has become of a unit."""
        if unit.index:
            assert unit.job is not None, "a part has one realization"
            self.resolver.note_further(unit.job.id, unit.index, known)
        elif unit.job is not None:
            self.resolver.note(unit.job.id, known)

    def release(self, unit: Unit) -> None:
        """Let those that wait for a unit come one step nearer."""
        for consumer in unit.consumers:
            consumer.waiting -= 1
            if consumer.waiting == 0:
                self._waiting.append(consumer)

    def add(self, run: int, job: Job | PartJob | None, index: int = 0) -> Unit:
        """One more unit."""
        unit = Unit(len(self.units), run, job, index)
        self.units.append(unit)
        if job is not None:
            self.ask(unit, job.hints)
        if isinstance(job, Job) and job.parts is not None:
            unit.on_ready = self._open_scatter
        return unit

    def settle(self) -> None:
        """What was parked and nobody has needed is done."""
        for unit in self.units:
            if unit.is_parked:
                unit.is_parked = False
                self.end(unit, State.SUCCEEDED)

    def want(self, unit: Unit) -> None:
        """Let a unit that may be parked run."""
        self._parking.want(unit)

    def unit_of(self, job: str) -> Unit:
        """The unit of a job's first realization."""
        return self._by_job[job]

    def note_blocked(self, run: str) -> None:
        """A job of a run whose barrier has been passed may have failed since."""
        if run in self._barriers:
            self._barriers[run].blocked_by = self._bad_unit(run)

    def look_later(self, unit: Unit) -> None:
        """Put a unit in line to be looked at."""
        self._waiting.append(unit)

    def grown(self) -> None:
        """A scatter has added units."""
        if not self.dry:
            self._hooks.grown()

    def ask(self, unit: Unit, hints: Hints) -> None:
        """Give a unit what it occupies, its time limit in seconds and its other limits, from its resource hints."""
        if hints not in self._needs:
            self._needs[hints] = asked_for(hints)
        unit.needs, unit.time_s, unit.limits = self._needs[hints]

    def units_of(self, run: str) -> Iterator[Unit]:
        """The units of a run: every realization of its jobs, and the parts its scatter-gathers stand for."""
        for identity in self._lab.run(run).ids():
            unit = self._by_job[identity]
            yield unit
            yield from unit.realizations
            yield from unit.parts

    def blocker(self, unit: Unit) -> Unit | None:
        """The unit that keeps this one from running, if any."""
        job = unit.job
        if not self._has_bad or job is None:
            return None
        if isinstance(job, PartJob):
            # What the whole takes may have been collected, and have failed when it was made again.
            whole = self._lab.job(job.whole)
            assert whole is not None, "it is of this Lab"
            job = whole
        for source in job.inputs:
            if isinstance(source, FromJob) and source.selector is None:
                upstream = self._by_job[source.job]
                if upstream.state in _BAD:
                    return upstream
        return self._selection_blocker(job) or blocked_by_runs(
            self._waits.get(unit.number, ()), lambda run: self._barriers[run].blocked_by
        )

    def units_taken(self, source: FromJob) -> Sequence[Unit]:
        """The units of the realizations that an input takes; those that were added to a job's have none."""
        first = self._by_job[source.job]
        if source.selector is None:
            return (first,)
        units = {unit.index: unit for unit in (first, *first.realizations)}
        return [units[index] for index in self.resolver.chosen_of(source) if index in units]

    def _selection_blocker(self, job: Job) -> Unit | None:
        """A realization without a result, because of which a selector of a job cannot choose."""
        problem = self.resolver.selection_problem(job) if job.selections() else None
        if problem is None:
            return None
        first = self._by_job[problem[0].job]
        return next((unit for unit in (first, *first.realizations) if unit.state in _BAD), None)

    def _wire(self, unit: Unit, order: RunOrder) -> None:
        job = unit.job
        assert isinstance(job, Job)
        for identity in job.upstream_ids():
            upstream = self._by_job.get(identity)
            if upstream is None:
                raise LabError(
                    f"job {job.id} takes from {identity}, which is not in the Lab", facts=[("run", job.run.path)]
                )
            unit.after(upstream)
        for source in job.selections():
            # Which of them it takes is known when all have ended.
            for further in self._by_job[source.job].realizations:
                unit.after(further)
        waits = order.waits(job)
        if waits:
            self._waits[unit.number] = waits
            for run in {run for runs in waits for run in runs}:
                unit.after(self._barrier(run))

    def _barrier(self, run: str) -> Unit:
        """A unit that ends when all of a run's jobs have ended; it is not counted and never runs."""
        if run not in self._barriers:
            barrier = self._barriers[run] = Unit(-1, 0, None, 0)
            barrier.on_ready = lambda unit: self._pass_barrier(unit, run)
            for unit in self.units_of(run):
                barrier.after(unit)
            if barrier.waiting == 0:
                self._waiting.append(barrier)
        return self._barriers[run]

    def _pass_barrier(self, barrier: Unit, run: str) -> bool:
        barrier.blocked_by = self._bad_unit(run)
        barrier.move(State.SUCCEEDED)
        self.release(barrier)
        return True

    def _bad_unit(self, run: str) -> Unit | None:
        """What has failed of a run, or what blocks it."""
        # In a dry run, what is ready has not failed: what comes after it may run too.
        bad = ENDED - {State.SUCCEEDED}
        failed = next((unit for unit in self.units_of(run) if unit.state in bad), None)
        return None if failed is None else failed.blocked_by or failed

    def _look_at(self, unit: Unit) -> None:
        if self._hooks.is_stopped():
            self.end(unit, State.CANCELLED)
            return
        if unit.on_ready is not None and unit.on_ready(unit):
            return
        blocker = self.blocker(unit)
        if blocker is not None:
            self.block(unit, blocker)
            return
        if isinstance(unit.job, Job) and unit.job.parts is None:
            unit.resolved = self.resolver.resolve_seen(unit.job, unit.index)
        if unit.resolved is None and self._has_failed_to_select(unit):
            return
        if unit.resolved is None:
            # A dry run has come to something that would run first: what follows is at most.
            self._expect(unit, Reason.UPSTREAM)
            return
        assert unit.job is not None
        is_forced = self._hooks.is_forced(unit.job)
        outcome = None if is_forced else self.resolver.look_up(unit.job, unit.resolved, unit.index)
        if outcome is not None and not outcome.is_collected:
            self.succeed(unit, outcome if self.dry else self._hooks.found(unit, outcome), found=True)
        elif outcome is not None and not (unit.is_wanted or self._hooks.is_wanted(unit.job)):
            self._parking.park(unit, outcome)
        elif self._parking.keeps_waiting(unit):
            return
        elif self.dry:
            known = Reason.FORCED if is_forced else Reason.COLLECTED if outcome is not None else None
            self._expect(unit, known or self.resolver.reason(unit.job, unit.resolved, unit.index))
        else:
            unit.move(State.READY)
            self._hooks.ready(unit)

    def _has_failed_to_select(self, unit: Unit) -> bool:
        """Let a unit fail that takes what no selector can choose, though all that it takes from has succeeded."""
        problem = self.resolver.selection_problem(unit.job) if isinstance(unit.job, Job) else None
        if problem is None or not problem[1]:
            return False
        source, why = problem
        assert source.selector is not None
        detail = f"input {source.input} takes {source.selector.text} of {source.job}: {why}"
        unit.attempt = Attempt(cause="input", detail=detail)
        self.end(unit, State.FAILED)
        return True

    def _expect(self, unit: Unit, reason: Reason) -> None:
        """In a dry run: take a unit to be one that would run."""
        unit.move(State.READY)
        unit.reason = reason
        # What was collected is taken to be made again as it was.
        if reason is not Reason.COLLECTED:
            self.note(unit, AWAITED)
        self.release(unit)

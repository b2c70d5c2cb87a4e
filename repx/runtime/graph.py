"""The units of a selection as a graph: made, wired, and looked at as what they wait for ends; starts nothing.

Looking at a unit means to resolve its inputs and to look whether a result stands under its key: then it has succeeded,
else it is ready to run. Where something that it needs has failed, it is blocked.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from repx.agent.base.files import publish_file, read_if_there
from repx.agent.base.layout import Store
from repx.agent.base.state import ENDED, State
from repx.agent.lab.job_line import Hints
from repx.agent.lab.run_file import Job
from repx.agent.publish import make_current
from repx.errors import LabError
from repx.lab.directory import LabDirectory
from repx.lab.inherited import effective_params
from repx.lab.selection import Selection
from repx.model.resources import Resources
from repx.runtime.needs import DEFAULT_CPUS, DEFAULT_MEM, Needs
from repx.runtime.run_order import RunOrder
from repx.runtime.units import Unit, UnresolvedError
from repx.store.outcomes import Outcome, Resolved, look_up, resolve, results_text
from repx.store.scatter import PartJob


class Hooks(Protocol):
    """Who is asked and told while units become ready and end."""

    def is_stopped(self) -> bool:
        """Whether nothing more is to be started."""

    def is_forced(self, job: Job | PartJob) -> bool:
        """Whether a job is to run, done or not."""

    def ready(self, unit: Unit) -> None:
        """A unit can run."""

    def ended(self, unit: Unit) -> None:
        """A unit has ended."""

    def grown(self) -> None:
        """A scatter has added units."""


class UnitGraph:
    """All units of a run of the engine. With `dry`, nothing is written, and what is ready counts as done "at most"."""

    def __init__(self, lab: LabDirectory, store: Store, selection: Selection, hooks: Hooks, *, dry: bool) -> None:
        self.units: list[Unit] = []
        self.dry = dry
        self._lab = lab
        self._store = store
        self._selection = selection
        self._hooks = hooks
        self._by_job: dict[str, Unit] = {}
        self._waiting: deque[Unit] = deque()
        self._barriers_of: dict[int, list[list[tuple[Unit, str]]]] = {}
        self._results: dict[str, tuple[str, str]] = {}
        self._effective: dict[str, dict[str, Any]] = {}
        self._needs: dict[Hints, tuple[Needs, float | None, dict[str, int]]] = {}
        self._open_scatter: Callable[[Unit], bool] | None = None

    def build(self, open_scatter: Callable[[Unit], bool]) -> None:
        """A unit for every realization of every selected job, wired to those it takes from.

        `open_scatter` is the `on_ready` of a scatter-gather (`repx.runtime.branches`). Raises LabError.
        """
        self._open_scatter = open_scatter
        run_order = {name: number for number, name in enumerate(self._lab.runs)}
        for selected in self._selection.jobs.values():
            for index in range(selected.stage.realizations):
                unit = self.add(run_order[selected.run.name], selected, index)
                if index == 0:
                    self._by_job[selected.id] = unit
                else:
                    self._by_job[selected.id].realizations.append(unit)
        barriers = {name: self._barrier(name) for name in self._selection.runs}
        order = RunOrder(self._lab, self._selection)
        for unit in list(self.units):
            job = unit.job
            assert isinstance(job, Job)
            upstreams = job.upstream_ids()
            for identity in upstreams:
                upstream = self._by_job.get(identity)
                if upstream is None:
                    raise LabError(
                        f"job {job.id} takes from {identity}, which is not in the Lab", facts=[("run", job.run.path)]
                    )
                unit.after(upstream)
            waits = order.waits(job, is_first=not upstreams)
            if waits:
                self._barriers_of[unit.number] = [[(barriers[name], kind) for name, kind in one] for one in waits]
                for barrier in {barriers[name] for one in waits for name, _ in one}:
                    unit.after(barrier)
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
        if not self.dry:
            self._hooks.ended(unit)
        self.release(unit)

    def succeed(self, unit: Unit, outcome: Outcome) -> None:
        """A result stands under a unit's key."""
        unit.outcome = outcome
        self.end(unit, State.SUCCEEDED)

    def block(self, unit: Unit, blocked_by: Unit) -> None:
        """A unit cannot run, because `blocked_by` (or what that one blames) has not succeeded."""
        unit.blocked_by = blocked_by.blocked_by or blocked_by
        self.end(unit, State.BLOCKED)

    def release(self, unit: Unit) -> None:
        """Let those that wait for a unit come one step nearer."""
        for consumer in unit.consumers:
            consumer.waiting -= 1
            if consumer.waiting == 0:
                self._waiting.append(consumer)

    def add(self, run: int, job: Job | PartJob | None, index: int = 0) -> Unit:
        """One more unit. A part of a scatter-gather resolves itself; `look_later` puts it in line."""
        unit = Unit(len(self.units), run, job, index, self._resolve_job)
        self.units.append(unit)
        if isinstance(job, Job):
            self.ask(unit, job.hints)
            if job.parts is not None:
                unit.on_ready = self._open_scatter
        return unit

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
            resources = Resources.parse(hints.said())
            needs = Needs(resources.cpus or DEFAULT_CPUS, resources.mem or DEFAULT_MEM)
            limits = {"mem": resources.mem, "cpus": resources.cpus}
            self._needs[hints] = needs, resources.time, {name: value for name, value in limits.items() if value}
        unit.needs, unit.time_s, unit.limits = self._needs[hints]

    def units_of(self, run: str) -> Iterator[Unit]:
        """The units of a run: every realization of its jobs, and the parts its scatter-gathers stand for."""
        for identity in self._lab.run(run).ids():
            unit = self._by_job[identity]
            yield unit
            yield from unit.realizations
            yield from unit.parts

    def blocked_by(self, unit: Unit) -> Unit | None:
        """The unit that keeps this one from running, if any."""
        job = unit.job
        if not isinstance(job, Job):
            return None
        for identity in job.upstream_ids():
            upstream = self._by_job[identity]
            if upstream.state in (State.FAILED, State.BLOCKED, State.CANCELLED):
                return upstream
        blocking = []
        for barriers in self._barriers_of.get(unit.number, ()):
            blamed = [
                barrier.blocked_by for barrier, kind in barriers if kind == "hard" and barrier.blocked_by is not None
            ]
            if not blamed:
                # One of its runs lets it go on.
                return None
            blocking.extend(blamed)
        return blocking[0] if blocking else None

    def outcome_of(self, identity: str) -> Outcome:
        """The result of an upstream job. Raises UnresolvedError, in a dry run only."""
        outcome = self._by_job[identity].outcome
        if outcome is None:
            raise UnresolvedError
        return outcome

    def results_of(self, run: str) -> tuple[str, str]:
        """The file of a run's results, written once; named by its content, so that equal results share it."""
        if run not in self._results:
            units = {identity: self._by_job[identity] for identity in self._lab.run(run).ids()}
            if any(unit.state not in ENDED for unit in units.values()):
                raise UnresolvedError
            outcomes = {identity: unit.outcome for identity, unit in units.items()}
            made = results_text(self._lab.run(run), outcomes, self._params_of)
            path = f"{self._store.objects}/{made.digest[:32]}-{run}.json"
            text = made.text.encode("utf-8", "surrogatepass")
            # Equal results of other jobs have the same name, and paths that may be gone by now.
            if not self.dry and read_if_there(path) != text:
                publish_file(path, text, 0o444)
            self._results[run] = path, made.digest
        return self._results[run]

    def _barrier(self, run: str) -> Unit:
        """A unit that ends when all of a run's jobs have ended; it is not counted and never runs."""
        barrier = Unit(-1, 0, None, 0, None)
        barrier.on_ready = lambda unit: self._pass_barrier(unit, run)
        for unit in self.units_of(run):
            barrier.after(unit)
        if barrier.waiting == 0:
            self._waiting.append(barrier)
        return barrier

    def _pass_barrier(self, barrier: Unit, run: str) -> bool:
        # In a dry run, what is ready has not failed: what comes after it may run too.
        bad = ENDED - {State.SUCCEEDED}
        failed = next((unit for unit in self.units_of(run) if unit.state in bad), None)
        barrier.blocked_by = None if failed is None else failed.blocked_by or failed
        barrier.move(State.SUCCEEDED)
        self.release(barrier)
        return True

    def _look_at(self, unit: Unit) -> None:
        if self._hooks.is_stopped():
            self.end(unit, State.CANCELLED)
            return
        if unit.on_ready is not None and unit.on_ready(unit):
            return
        blocked_by = self.blocked_by(unit)
        if blocked_by is not None:
            self.block(unit, blocked_by)
            return
        assert unit.resolve is not None
        try:
            unit.resolved = unit.resolve(unit)
        except UnresolvedError:
            # A dry run has come to something that would run first: what follows is at most.
            unit.move(State.READY)
            self.release(unit)
            return
        assert unit.job is not None
        forced = self._hooks.is_forced(unit.job)
        outcome = None if forced else look_up(self._store, unit.job.id, unit.index, unit.resolved.key)
        if outcome is not None:
            unit.found = True
            self.succeed(unit, self._brought_back(unit, outcome))
            return
        unit.move(State.READY)
        if self.dry:
            self.release(unit)
        else:
            self._hooks.ready(unit)

    def _brought_back(self, unit: Unit, outcome: Outcome) -> Outcome:
        """A result that had been displaced becomes the current one again."""
        assert unit.job is not None
        current = self._store.job(unit.job.id)
        if unit.index != 0 or self.dry or outcome.directory == current:
            return outcome
        # Where that cannot be done now, it is as good where it stands.
        with contextlib.suppress(OSError):
            if make_current(self._store, current, 0, outcome.key):
                return outcome._replace(directory=current)
        return outcome

    def _resolve_job(self, unit: Unit) -> Resolved:
        job = unit.job
        assert isinstance(job, Job)
        return resolve(job, unit.index, self._lab.path, self.outcome_of, self.results_of)

    def _params_of(self, job: Job) -> dict[str, Any]:
        return effective_params(job, self._lab.job, self._effective)

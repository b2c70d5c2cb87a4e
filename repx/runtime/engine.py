"""The engine: brings a selection of jobs to its end; a graph says what is ready, an executor runs it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

from repx.agent.base.layout import Store
from repx.agent.base.state import ENDED, State
from repx.agent.in_use import using
from repx.agent.lab.run_file import Job
from repx.agent.programs import Programs
from repx.agent.publish import make_current
from repx.agent.recovery import recover_dead_runners
from repx.agent.resolve import Realized, ResultsInput
from repx.agent.resolver import Resolver
from repx.agent.runner import temporary_claim
from repx.agent.scatter import PartJob
from repx.lab.directory import LabDirectory
from repx.lab.selection import Selection
from repx.model.garbage import no_collection
from repx.runtime.branches import Branches
from repx.runtime.executors.executor import (
    Cancelled,
    Event,
    Executor,
    Failed,
    Notice,
    Order,
    Requeued,
    Started,
    Succeeded,
    Work,
)
from repx.runtime.graph import UnitGraph
from repx.runtime.orders import Orders
from repx.runtime.report import Options, Report, SafeWatcher, Watcher
from repx.runtime.units import Unit
from repx.runtime.waits import Waits
from repx.store.complete_runs import remember_complete
from repx.store.location import store_error


class Engine:
    """One `repx run` on one store. `survey` or `execute` may be called, once.

    `start_executor` is called when there is something to run, and only then.
    """

    def __init__(
        self,
        lab: LabDirectory,
        store: Store,
        selection: Selection,
        options: Options,
        watcher: Watcher,
        programs: Programs,
        start_executor: Callable[[], Executor],
    ) -> None:
        self._lab = lab
        self._store = store
        self._selection = selection
        self._options = options
        self._watcher = SafeWatcher(watcher)
        self._waits = Waits(lab, store, self._watcher.notice)
        self._start_executor = start_executor
        self._resolver = Resolver(lab, store)
        self._written: set[str] = set()
        """Runs whose results stand as files."""
        self._orders = Orders(lab, self._resolver, programs)
        self._graph: UnitGraph
        self._executor: Executor | None = None
        self._ready: list[Unit] = []
        self._given = 0
        self._stop_reason = ""

    def survey(self) -> Report:
        """What is done and what would run, at most; starts nothing and writes nothing."""
        self._make_graph(dry=True)
        self._graph.settle()
        return Report(self._graph.units)

    def execute(self) -> Report:
        """Do what is missing. Raises SoftwareError or StoreError when nothing can be started at all."""
        try:
            with using(self._store, self._lab.path):
                return self._execute()
        except OSError as error:
            raise store_error(error, self._store) from None

    def _execute(self) -> Report:
        with contextlib.suppress(OSError):
            # Where nothing may be written, a run that has nothing to do is still one that succeeds.
            recover_dead_runners(self._store)
        self._make_graph(dry=False)
        self.grown()
        report = Report(self._graph.units)
        if self._ready:
            self._executor = self._start_executor()
            try:
                self._work(self._executor)
            finally:
                report.trouble = self._executor.close()
                self._executor = None
        self._graph.settle()
        report.interrupted = self._stop_reason == "interrupted"
        report.drift = self._orders.drift
        report.watching_failed = self._watcher.failure
        if report.succeeded:
            self._remember()
        return report

    def interrupt(self) -> None:
        """Stop everything; safe to call from a signal handler."""
        self._stop_reason = "interrupted"
        if self._executor is not None:
            self._executor.cancel(running=True)

    # -- what the graph asks and tells (repx.runtime.graph.Hooks)

    def is_stopped(self) -> bool:
        """Whether nothing more is to be started."""
        return bool(self._stop_reason)

    def is_forced(self, job: Job | PartJob) -> bool:
        """Whether a job is to run, done or not; the parts of a scatter-gather go with the whole."""
        return self._options.force and (job.whole if isinstance(job, PartJob) else job.id) in self._selection.asked

    def is_wanted(self, job: Job | PartJob) -> bool:
        """Whether somebody will look at the outputs of a job."""
        return job.id in self._options.wanted

    def found(self, unit: Unit, outcome: Realized) -> Realized:
        """A result that had been displaced becomes the current one again."""
        assert unit.job is not None
        current = self._store.job(unit.job.id)
        if unit.index == 0 and outcome.directory != current:
            # Where that cannot be done now, it is as good where it stands.
            with contextlib.suppress(OSError):
                with temporary_claim(self._store) as claim:
                    has_moved = make_current(self._store, current, 0, outcome.key, claim)
                if has_moved:
                    return outcome._replace(directory=current)
        return outcome

    def ready(self, unit: Unit) -> None:
        """A unit can run."""
        self._ready.append(unit)

    def ended(self, unit: Unit) -> None:
        """A unit has ended; a barrier between runs is not one that a watcher knows."""
        if unit.number >= 0:
            self._watcher.ended(unit)

    def grown(self) -> None:
        """All units are known, or some more."""
        self._watcher.planned(len(self._graph.units), self._graph.found)

    def _make_graph(self, *, dry: bool) -> None:
        with no_collection():
            self._graph = UnitGraph(self._lab, self._resolver, self._selection, self, dry=dry)
            self._graph.build(Branches(self._graph).open_scatter)
            self._graph.resolve_ready()

    # -- working

    def _work(self, executor: Executor) -> None:
        """Give what is ready to the executor and the graph what has ended, until nothing is ready and nothing runs."""
        runs = {unit.run for unit in self._graph.units if unit.state not in ENDED}
        executor.prepare(runs, self._watcher.notice)
        if self._stop_reason:
            # Interrupted before there was anybody to tell.
            executor.cancel(running=True)
        while True:
            self._given += len(self._ready)
            executor.start(map(self._work_of, self._ready))
            self._ready = []
            if self._given == 0:
                break
            for event in executor.events():
                self._take_in(event, executor)
            self._graph.resolve_ready()

    def _work_of(self, unit: Unit) -> Work:
        return Work(unit.number, unit.run, unit.needs, partial(self._order, unit))

    def _order(self, unit: Unit) -> Order:
        assert unit.job is not None
        self._write_results(unit)
        return self._orders.order(unit, force=self.is_forced(unit.job))

    def _write_results(self, unit: Unit) -> None:
        """Have the files there that name the results of runs, where a unit takes some."""
        assert unit.resolved is not None
        for value in unit.resolved.inputs.values():
            if isinstance(value, ResultsInput) and value.run not in self._written:
                self._written.add(value.run)
                results = self._resolver.results(value.run)
                assert results is not None, "a unit is ready when the runs that it takes from have ended"
                results.write(self._store)

    def _take_in(self, event: Event, executor: Executor) -> None:
        if isinstance(event, Notice):
            self._watcher.notice(event.text)
            return
        unit = self._graph.units[event.unit]
        if isinstance(event, Started):
            unit.move(State.RUNNING)
            self._watcher.started(unit)
            return
        if isinstance(event, Requeued):
            unit.move(State.READY)
            self._waits.still(unit)
            return
        self._given -= 1
        if isinstance(event, Succeeded):
            unit.adopted = event.adopted
            self._graph.succeed(unit, event.outcome, found=event.found)
        elif isinstance(event, Cancelled):
            unit.attempt = event.attempt
            self._graph.end(unit, State.CANCELLED)
        else:
            self._fail(unit, event, executor)

    def _fail(self, unit: Unit, event: Failed, executor: Executor) -> None:
        unit.attempt = event.attempt
        self._graph.end(unit, State.FAILED)
        if not self._options.continue_on_failure and not self._stop_reason:
            # Nothing new begins; what runs may finish.
            self._stop_reason = "failed"
            executor.cancel(running=False)

    def _remember(self) -> None:
        """Note the runs that are complete, so that the next look at them is a quick one."""
        with contextlib.suppress(OSError):
            for name in self._selection.runs:
                done = [unit.outcome for unit in self._graph.units_of(name) if unit.outcome is not None]
                remember_complete(self._store, self._lab.run(name), done)

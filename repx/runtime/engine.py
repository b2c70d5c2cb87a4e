"""The engine: brings a selection of jobs to its end; a graph says what is ready, an executor runs it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial

from repx.agent.base.layout import Store
from repx.agent.base.state import ENDED, State
from repx.agent.in_use import using
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Stage
from repx.agent.programs import Programs
from repx.agent.publish import make_current
from repx.agent.recovery import recover_dead_runners
from repx.agent.resolve import Realized, ResultsInput
from repx.agent.resolver import Resolver
from repx.agent.runner import temporary_claim
from repx.agent.scatter import PartJob
from repx.agent.selections import added_indexes
from repx.lab.directory import LabDirectory
from repx.lab.selection import Selection
from repx.model.garbage import no_collection
from repx.runtime.added import next_index
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
from repx.runtime.peaks import Peaks, stage_with_script
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
        self._orders = Orders(lab, store, self._resolver, programs)
        self._graph: UnitGraph
        self._executor: Executor | None = None
        self._ready: list[Unit] = []
        self._given = 0
        self._peaks = Peaks()
        self._added: dict[str, int] = {}
        self._seen_added: dict[str, tuple[int, Sequence[int]]] = {}
        """Of jobs with several realizations how many their stage has, and which were there beyond them at first."""
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
        report = Report(self._graph.units, added=[unit for unit in self._graph.units if self._is_added(unit)])
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

    def added(self, job: Job) -> Sequence[int]:
        """The realization that is to be added to a job."""
        if job.id not in self._options.again:
            return ()
        index = self._added[job.id] = next_index(self._store, job)
        if job.id in self._seen_added:
            count, indexes = self._seen_added[job.id]
            self._seen_added[job.id] = count, sorted({*indexes, index})
        self._resolver.selections.expect(job.id, index)
        return (index,)

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
            self._see_added()
            self._graph = UnitGraph(self._lab, self._resolver, self._selection, self, dry=dry)
            self._graph.build(Branches(self._graph).open_scatter)
            self._graph.resolve_ready()

    def _see_added(self) -> None:
        """Look which realizations there are beyond those of the stages, before anybody chooses among them."""
        jobs = self._selection.jobs.values()
        several = {job.id for job in jobs if job.stage.realizations > 1}
        several.update(source.job for job in jobs for source in job.selections())
        for identity in several:
            count = self._selection.jobs[identity].stage.realizations
            self._seen_added[identity] = count, added_indexes(self._store, identity, count)

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
        assert unit.job is not None
        stage = stage_with_script(unit.job)
        return Work(
            unit.number, unit.run, unit.needs, partial(self._order, unit), stage.retries, partial(self._more, stage)
        )

    def _more(self, stage: Stage, had: int, is_first: bool) -> int:
        """Bytes of memory for a job of a stage to which `had` was too little."""
        return self._peaks.more_than(had, stage, self._graph.units, is_first=is_first)

    def _order(self, unit: Unit) -> Order:
        assert unit.job is not None
        self._write_results(unit)
        return self._orders.order(unit, force=self.is_forced(unit.job), is_added=self._is_added(unit))

    def _is_added(self, unit: Unit) -> bool:
        return unit.job is not None and self._added.get(unit.job.id) == unit.index

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
            unit.adopted, unit.retries = event.adopted, event.retries
            if unit.job is not None and event.peak:
                self._peaks.note(stage_with_script(unit.job), event.peak)
            self._graph.succeed(unit, event.outcome, found=event.found)
        elif isinstance(event, Cancelled):
            unit.attempt = event.attempt
            self._graph.end(unit, State.CANCELLED)
        else:
            self._fail(unit, event, executor)

    def _fail(self, unit: Unit, event: Failed, executor: Executor) -> None:
        unit.attempt, unit.retries = event.attempt, event.retries
        self._graph.end(unit, State.FAILED)
        if not self._options.continue_on_failure and not self._stop_reason:
            # Nothing new begins; what runs may finish.
            self._stop_reason = "failed"
            executor.cancel(running=False)

    def _remember(self) -> None:
        """Note the runs that are complete, so that the next look at them is a quick one."""
        with contextlib.suppress(OSError):
            for name in self._selection.runs:
                units = list(self._graph.units_of(name))
                done = [unit.outcome for unit in units if unit.outcome is not None]
                ids = {unit.job.id for unit in units if unit.job is not None}
                added = {job: self._seen_added[job] for job in ids if job in self._seen_added}
                remember_complete(self._store, self._lab.run(name), done, added)

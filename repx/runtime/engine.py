"""The engine: brings a selection of jobs to its end on this machine; decides by the schedule, acts by workers."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from repx.agent.base.layout import Store
from repx.agent.base.record import Attempt, failure_of, parse_attempt, parse_outputs
from repx.agent.base.state import ENDED, State
from repx.agent.lab.run_file import Job
from repx.agent.recovery import recover_dead_runners
from repx.lab.directory import LabDirectory
from repx.lab.selection import Selection
from repx.model.garbage import no_collection
from repx.runtime.branches import Branches
from repx.runtime.closure import ClosurePrograms
from repx.runtime.executors.workers import Worker, WorkerPool
from repx.runtime.graph import UnitGraph
from repx.runtime.images import image_reference, load_image
from repx.runtime.orders import job_order, stage_id, stage_order
from repx.runtime.report import Options, Report, Watcher
from repx.runtime.schedule import Schedule
from repx.runtime.software import HostPrograms, Programs
from repx.runtime.units import Unit
from repx.store.complete_runs import remember_complete
from repx.store.location import store_error
from repx.store.outcomes import Outcome, look_up
from repx.store.scatter import PartJob

RETRY_BUSY_S = 0.1
"""How often to ask again for a job that somebody else is doing."""

LOSSES = 2
"""Workers that may be killed over a job before it counts as failed: it may be what kills them."""


SHORT_S = 0.05
"""A worker whose last unit took less is given the next one ahead, so that it need not wait to be told. Longer ones are
handed out one by one: another worker might be free sooner."""


class Engine:
    """One `repx run` on one store. `survey` or `execute` may be called, once."""

    def __init__(
        self, lab: LabDirectory, store: Store, selection: Selection, options: Options, watcher: Watcher
    ) -> None:
        self._lab = lab
        self._store = store
        self._selection = selection
        self._options = options
        self._watcher = watcher
        self._schedule = Schedule(options.slots, options.cpus, options.mem)
        self._software: Programs = (
            HostPrograms(lab, store, allow_drift=options.allow_drift)
            if lab.closure is None
            else ClosurePrograms(lab, store, options.isolation)
        )
        self._images = [image_reference(run.image) for run in lab.runs.values()]
        self._graph: UnitGraph
        self._pool: WorkerPool | None = None
        self._busy: list[Unit] = []
        self._stop_reason = ""
        self._last_trouble = ""
        self._began = time.time()

    def survey(self) -> Report:
        """What is done and what would run, at most; starts nothing and writes nothing."""
        self._make_graph(dry=True)
        return Report(self._graph.units)

    def execute(self) -> Report:
        """Do what is missing. Raises SoftwareError or StoreError when nothing can be started at all."""
        try:
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
        if len(self._schedule) or self._busy:
            self._load_images()
            self._pool = WorkerPool(self._store, self._options.slots)
            try:
                self._work(self._pool)
            finally:
                report.trouble = self._pool.close()
                self._pool = None
        report.interrupted = self._stop_reason == "interrupted"
        report.drift = self._software.drift
        if report.succeeded:
            self._remember()
        return report

    def _load_images(self) -> None:
        """Have the images of what may run in the engine, before anything is started."""
        isolation = self._options.isolation
        if isolation.kind in ("podman", "docker"):
            pending = {unit.run for unit in self._graph.units if unit.state not in ENDED}
            images = {run.image for number, run in enumerate(self._lab.runs.values()) if number in pending}
            for image in sorted(images):
                load_image(isolation, self._lab, image, self._watcher.notice)

    def interrupt(self) -> None:
        """Stop everything; safe to call from a signal handler."""
        self._stop_reason = "interrupted"
        if self._pool is not None:
            with contextlib.suppress(OSError):
                os.write(self._pool.wake_write, b"!")

    # -- what the graph asks and tells (repx.runtime.graph.Hooks)

    def is_stopped(self) -> bool:
        """Whether nothing more is to be started."""
        return bool(self._stop_reason)

    def is_forced(self, job: Job | PartJob) -> bool:
        """Whether a job is to run, done or not; the parts of a scatter-gather go with the whole."""
        return self._options.force and (job.whole if isinstance(job, PartJob) else job.id) in self._selection.asked

    def ready(self, unit: Unit) -> None:
        """A unit can run."""
        self._schedule.add(unit.number, unit.run, unit.needs)

    def ended(self, unit: Unit) -> None:
        """A unit has ended."""
        self._watcher.ended(unit)

    def grown(self) -> None:
        """All units are known, or some more."""
        units = self._graph.units
        self._watcher.planned(len(units), sum(unit.found for unit in units))

    def _make_graph(self, *, dry: bool) -> None:
        with no_collection():
            self._graph = UnitGraph(self._lab, self._store, self._selection, self, dry=dry)
            self._graph.build(Branches(self._graph, self._lab).open_scatter)
            self._graph.resolve_ready()

    # -- working

    def _work(self, pool: WorkerPool) -> None:
        """Hand ready units to idle workers until nothing is ready and nothing runs."""
        while True:
            if self._stop_reason:
                self._stop(pool)
            self._hand_out(pool)
            if self._schedule.running == 0 and not len(self._schedule) and not self._busy:
                break
            for worker, answer in pool.wait(RETRY_BUSY_S if self._busy else None):
                self._hear(pool, worker, answer)
            self._ask_again()
            self._graph.resolve_ready()

    def _hand_out(self, pool: WorkerPool) -> None:
        while not self._stop_reason:
            number = self._schedule.next()
            if number is None:
                break
            unit = self._graph.units[number]
            worker = pool.idle()
            assert worker is not None, "as many workers as slots"
            worker.unit = number
            self._give(worker, unit)
            self._begun(unit)
        for worker in pool.workers:
            if worker.unit is not None and worker.ahead is None and worker.last_s < SHORT_S and not self._stop_reason:
                worker.ahead = self._schedule.ahead(self._graph.units[worker.unit].needs)
                if worker.ahead is not None:
                    self._give(
                        worker, self._graph.units[worker.ahead], after_success=not self._options.continue_on_failure
                    )

    def _begun(self, unit: Unit) -> None:
        unit.move(State.RUNNING)
        self._watcher.started(unit)

    def _give(self, worker: Worker, unit: Unit, *, after_success: bool = False) -> None:
        assert unit.job is not None
        image = self._images[unit.run]
        stage = stage_id(unit.job.stage, image)
        if stage not in worker.told:
            worker.told.add(stage)
            worker.tell(stage_order(unit.job.stage, image, self._software))
        order = job_order(unit, image, self._lab, self._software, force=self.is_forced(unit.job))
        worker.tell({**order, "after_success": True} if after_success else order)

    def _hear(self, pool: WorkerPool, worker: Worker, answer: dict[str, Any] | None) -> None:
        if answer is not None and "trouble" in answer:
            self._last_trouble = answer["trouble"]
            self._watcher.notice(answer["trouble"])
            return
        if answer is not None and "job" not in answer:
            return
        if answer is None:
            self._take_back(worker)
        if worker.unit is None:
            return
        unit = self._graph.units[worker.unit]
        self._schedule.release(unit.needs)
        if answer is None or (answer["state"] == State.CANCELLED and not self._stop_reason):
            # Whatever it was doing is somebody's to take over; its claim says who it was.
            unit.losses += 1
            if unit.losses < LOSSES and not self._stop_reason:
                self._take_back(worker)
                worker.unit = None
                unit.move(State.READY)
                self._schedule.add(unit.number, unit.run, unit.needs)
                return
            detail = self._last_trouble or "its worker was killed"
            answer = {"state": State.FAILED, "attempt": Attempt(cause="worker", detail=detail).encoded()}
            if self._stop_reason == "interrupted":
                answer["state"] = State.CANCELLED
        else:
            self._go_on(pool, worker, answer.get("attempt"))
        state = State(answer["state"])
        unit.attempt = parse_attempt(answer["attempt"]) if "attempt" in answer else None
        if state is State.SUCCEEDED:
            unit.found = "found" in answer
            assert unit.resolved is not None
            self._graph.succeed(unit, Outcome(answer["directory"], parse_outputs(answer["outputs"]), unit.resolved.key))
        elif state is State.RUNNING:
            # Somebody else has it.
            unit.move(State.READY)
            unit.retry_at = time.monotonic() + RETRY_BUSY_S
            self._busy.append(unit)
        elif state in (State.CANCELLED, State.READY):
            self._graph.end(unit, State.CANCELLED)
        else:
            self._graph.end(unit, State.FAILED)
            if not self._options.continue_on_failure and not self._stop_reason:
                self._stop_reason = "failed"

    def _go_on(self, pool: WorkerPool, worker: Worker, attempt: dict[str, Any] | None) -> None:
        """A worker has done its unit, and is at the next already if it was given one ahead."""
        worker.last_s = attempt["end"] - attempt["start"] if attempt and "end" in attempt else 0.0
        if worker.ahead is None:
            pool.rest(worker)
            return
        worker.unit, worker.ahead = worker.ahead, None
        unit = self._graph.units[worker.unit]
        self._schedule.take(unit.needs)
        self._begun(unit)

    def _take_back(self, worker: Worker) -> None:
        """What a worker was given ahead, and will not do, is anybody's again."""
        if worker.ahead is not None:
            unit = self._graph.units[worker.ahead]
            worker.ahead = None
            if self._stop_reason:
                self._graph.end(unit, State.CANCELLED)
            else:
                self.ready(unit)

    def _ask_again(self) -> None:
        """Jobs that somebody else was doing: done by now, failed there, or to be tried again."""
        now = time.monotonic()
        for unit in [unit for unit in self._busy if unit.retry_at <= now]:
            self._busy.remove(unit)
            assert unit.job is not None and unit.resolved is not None
            outcome = look_up(self._store, unit.job.id, unit.index, unit.resolved.key)
            failure = failure_of(self._store.job(unit.job.id))
            if outcome is not None:
                unit.found = True
                self._graph.succeed(unit, outcome)
            elif failure is not None and failure.key == unit.resolved.key and self._is_new(unit):
                unit.attempt = Attempt(cause="elsewhere", detail="it failed in another run on this store")
                self._graph.end(unit, State.FAILED)
            else:
                self._schedule.add(unit.number, unit.run, unit.needs)

    def _is_new(self, unit: Unit) -> bool:
        assert unit.job is not None
        with contextlib.suppress(OSError):
            return os.stat(f"{self._store.job(unit.job.id)}/failure.jsonl").st_mtime > self._began
        return False

    def _stop(self, pool: WorkerPool) -> None:
        """Nothing more is started. On an interrupt what runs is ended too; after a failure it may finish."""
        for number in self._schedule.drain():
            self._graph.end(self._graph.units[number], State.CANCELLED)
        for unit in self._busy:
            self._graph.end(unit, State.CANCELLED)
        self._busy = []
        pool.tell_all({"stop": True} if self._stop_reason == "interrupted" else {"forget": True})
        self._graph.resolve_ready()

    def _remember(self) -> None:
        """Note the runs that are complete, so that the next look at them is a quick one."""
        with contextlib.suppress(OSError):
            for name in self._selection.runs:
                done = [unit.outcome for unit in self._graph.units_of(name) if unit.outcome is not None]
                remember_complete(self._store, self._lab.run(name), done)

"""The engine: brings a selection of jobs to its end on this machine; decides by the schedule, acts by workers."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from repx.agent.files import publish_file
from repx.agent.layout import Store
from repx.agent.leftovers import clear_leftovers
from repx.agent.publish import make_current
from repx.agent.record import failure_of
from repx.errors import LabError
from repx.model.garbage import no_collection
from repx.model.resources import Resources
from repx.runtime.schedule import DEFAULT_CPUS, DEFAULT_MEM, Needs, Schedule
from repx.runtime.software import HostPrograms
from repx.runtime.units import ENDED, State, Unit
from repx.runtime.workers import Worker, WorkerPool
from repx.store.lab import LabDirectory, LabJob
from repx.store.outcomes import Outcome, Resolved, effective_params, job_inputs, look_up, resolve, results_text
from repx.store.scatter import ItemsError, PartJob, ScatterGatherJob
from repx.store.selection import Selection
from repx.store.settled import remember_settled

RETRY_BUSY_S = 0.1
"""How often to ask again for a job that somebody else is doing."""

LOSSES = 2
"""Workers that may be killed over a job before it counts as failed: it may be what kills them."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run: slots, budget in bytes and CPUs, and what to do about what is done or fails."""

    slots: int
    cpus: int
    mem: int
    force: bool = False
    continue_on_failure: bool = False
    allow_drift: bool = False


class Watcher(Protocol):
    """Told what happens, as it happens."""

    def planned(self, total: int, found: int) -> None:
        """`total` units are known, of which `found` are done already; called again when a scatter adds some."""

    def started(self, unit: Unit) -> None:
        """A worker has taken a unit."""

    def ended(self, unit: Unit) -> None:
        """A unit has ended, also by being found or skipped."""

    def notice(self, text: str) -> None:
        """Something the user should know, in one line."""


@dataclass(slots=True)
class Report:
    """What came of it. `units` are all, those of scatters included."""

    units: list[Unit] = field(default_factory=list)
    interrupted: bool = False
    trouble: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)

    def count(self, state: State) -> int:
        """How many units ended so."""
        return sum(unit.state is state for unit in self.units)

    @property
    def found(self) -> int:
        """How many were done already."""
        return sum(unit.found for unit in self.units)

    @property
    def failed(self) -> list[Unit]:
        """Those that failed, in order."""
        return [unit for unit in self.units if unit.state is State.FAILED]

    @property
    def succeeded(self) -> bool:
        """Whether everything is done and safely on disk."""
        return not self.interrupted and not self.trouble and all(unit.state is State.SUCCEEDED for unit in self.units)


class Engine:
    """One `repx run` on one store. `execute` may be called once."""

    def __init__(
        self, lab: LabDirectory, store: Store, selection: Selection, options: Options, watcher: Watcher
    ) -> None:
        self._lab = lab
        self._store = store
        self._selection = selection
        self._options = options
        self._watcher = watcher
        self._schedule = Schedule(options.slots, options.cpus, options.mem)
        self._software = HostPrograms(lab, store, allow_drift=options.allow_drift)
        self._pool: WorkerPool | None = None
        self._units: list[Unit] = []
        self._by_job: dict[str, Unit] = {}
        self._steps: dict[str, Unit] = {}
        self._ids: dict[frozenset[str], set[str]] = {}
        self._settled: deque[Unit] = deque()
        self._busy: list[Unit] = []
        self._barriers_of: dict[int, list[tuple[Unit, str]]] = {}
        self._results: dict[str, tuple[str, str]] = {}
        self._effective: dict[str, dict[str, Any]] = {}
        self._needs: dict[str, tuple[Needs, float | None]] = {}
        self._stop_reason = ""
        self._last_trouble = ""
        self._began = time.time()
        self._dry = False

    # -- the two ways to use it

    def survey(self) -> Report:
        """What is done and what would run, at most; starts nothing and writes nothing."""
        self._dry = True
        with no_collection():
            self._build()
            self._settle()
        return Report(self._units)

    def execute(self) -> Report:
        """Do what is missing. Raises SoftwareError or StoreError when nothing can be started at all."""
        with contextlib.suppress(OSError):
            # Where nothing may be written, a run that has nothing to do is still one that succeeds.
            clear_leftovers(self._store)
        with no_collection():
            self._build()
            self._settle()
        self._watcher.planned(len(self._units), sum(unit.found for unit in self._units))
        report = Report(self._units)
        if len(self._schedule) or self._busy:
            self._pool = WorkerPool(self._store, self._options.slots)
            try:
                self._work()
            finally:
                report.trouble = self._pool.close()
                self._pool = None
        report.interrupted = self._stop_reason == "interrupted"
        if report.succeeded:
            self._remember()
        report.drift = self._software.drift
        return report

    def _remember(self) -> None:
        """Note the runs that are complete, so that the next look at them is a quick one."""
        with contextlib.suppress(OSError):
            for name in self._selection.runs:
                outcomes = [one.outcome for unit in self._units_of(name) for one in self._with_parts(unit)]
                done = [outcome for outcome in outcomes if outcome is not None]
                remember_settled(self._store, self._lab.run(name), done)

    def _with_parts(self, unit: Unit) -> Iterator[Unit]:
        yield unit
        yield from unit.parts

    def interrupt(self) -> None:
        """Stop everything; safe to call from a signal handler."""
        self._stop_reason = "interrupted"
        if self._pool is not None:
            with contextlib.suppress(OSError):
                os.write(self._pool.wake_write, b"!")

    # -- units

    def _build(self) -> None:
        """A unit for every realization of every selected job, wired to those it takes from."""
        run_order = {name: number for number, name in enumerate(self._lab.runs)}
        for selected in self._selection.jobs.values():
            for index in range(selected.stage["realizations"]):
                unit = self._new_unit(run_order[selected.run.name], selected, index)
                if index == 0:
                    self._by_job[selected.id] = unit
                else:
                    self._by_job[selected.id].parts.append(unit)
        barriers = {name: self._barrier(name) for name in self._selection.runs}
        before = self._runs_before()
        for unit in list(self._units):
            job = unit.job
            assert isinstance(job, LabJob)
            upstreams = job.upstream_ids()
            for identity in upstreams:
                upstream = self._by_job.get(identity)
                if upstream is None:
                    raise LabError(
                        f"job {job.id} takes from {identity}, which is not in the Lab", facts=[("run", job.run.path)]
                    )
                unit.after(upstream)
            self._order_runs(unit, job, bool(upstreams), barriers, before)
        self._settled.extend(unit for unit in self._units if unit.waiting == 0)

    def _order_runs(
        self,
        unit: Unit,
        job: LabJob,
        has_upstreams: bool,
        barriers: Mapping[str, Unit],
        before: Mapping[str, frozenset[str]],
    ) -> None:
        """Let a job wait for the runs its run comes after: the first jobs of a run, and those that take results."""
        if not job.run.dependencies:
            return
        taken = {mapping["source_run"] for mapping in job.inputs if "source_run" in mapping}
        for name, kind in self._lab.dependencies(job.run).items():
            if name in barriers and (name in taken or not has_upstreams):
                # A job that an earlier run shares with this one cannot wait for that run to end.
                if job.id in self._ids_of(before[name]):
                    continue
                unit.after(barriers[name])
                self._barriers_of.setdefault(unit.number, []).append((barriers[name], kind))

    def _ids_of(self, runs: frozenset[str]) -> set[str]:
        """The ids of all jobs of some runs; looked at once."""
        if runs not in self._ids:
            self._ids[runs] = {identity for run in runs for identity in self._lab.run(run).ids()}
        return self._ids[runs]

    def _runs_before(self) -> dict[str, frozenset[str]]:
        """Each run with itself and all the runs it comes after, transitively."""
        before: dict[str, frozenset[str]] = {}
        for name, run in self._lab.runs.items():
            before[name] = frozenset({name}).union(
                *(before.get(other, {other}) for other in self._lab.dependencies(run))
            )
        return before

    def _barrier(self, run: str) -> Unit:
        """A unit that ends when all of a run's jobs have ended; it is not counted and never runs."""
        barrier = Unit(-1, 0, None, 0, None)
        barrier.on_ready = lambda unit: self._pass_barrier(unit, run)
        for identity in self._lab.run(run).ids():
            barrier.after(self._by_job[identity])
        if barrier.waiting == 0:
            self._settled.append(barrier)
        return barrier

    def _pass_barrier(self, barrier: Unit, run: str) -> bool:
        failed = next((unit for unit in self._units_of(run) if unit.state is not State.SUCCEEDED), None)
        barrier.culprit = None if failed is None else failed.culprit or failed
        barrier.move(State.SUCCEEDED)
        self._release(barrier)
        return True

    def _units_of(self, run: str) -> Iterator[Unit]:
        return (self._by_job[identity] for identity in self._lab.run(run).ids())

    def _new_unit(self, run: int, job: LabJob | PartJob | None, index: int) -> Unit:
        unit = Unit(len(self._units), run, job, index, self._resolve_job)
        self._units.append(unit)
        if isinstance(job, LabJob):
            unit.needs, unit.time_s = self._needs_of(job.resource_hints)
            if job.parts:
                unit.on_ready = self._open_scatter
        return unit

    def _needs_of(self, hints: dict[str, Any]) -> tuple[Needs, float | None]:
        key = repr(hints)
        if key not in self._needs:
            resources = Resources.parse(hints)
            needs = Needs(resources.cpus or DEFAULT_CPUS, resources.mem or DEFAULT_MEM)
            self._needs[key] = needs, resources.time
        return self._needs[key]

    # -- settling: from "all inputs have ended" to found, ready or skipped

    def _settle(self) -> None:
        """Look at every unit whose inputs have ended, and at those that this settles, until none is left."""
        while self._settled:
            unit = self._settled.popleft()
            if unit.state is State.WAITING and unit.waiting == 0:
                self._look_at(unit)

    def _look_at(self, unit: Unit) -> None:
        if self._stop_reason:
            self._end(unit, State.CANCELLED)
            return
        if unit.on_ready is not None and unit.on_ready(unit):
            return
        culprit = self._culprit(unit)
        if culprit is not None:
            unit.culprit = culprit
            self._end(unit, State.SKIPPED)
            return
        assert unit.resolve is not None
        try:
            unit.resolved = unit.resolve(unit)
        except _NotYetError:
            # A dry run has come to something that would run first: what follows is at most.
            unit.move(State.READY)
            self._release(unit)
            return
        assert unit.job is not None
        forced = self._is_forced(unit.job)
        outcome = None if forced else look_up(self._store, unit.job.id, unit.index, unit.resolved.key)
        if outcome is not None:
            unit.found = True
            self._succeed(unit, self._brought_back(unit, outcome))
            return
        unit.move(State.READY)
        if self._dry:
            self._release(unit)
        else:
            self._schedule.add(unit.number, unit.run, unit.needs)

    def _is_forced(self, job: LabJob | PartJob) -> bool:
        """Whether a job is to run, done or not; the parts of a scatter-gather go with the whole."""
        return self._options.force and (job.whole if isinstance(job, PartJob) else job.id) in self._selection.asked

    def _brought_back(self, unit: Unit, outcome: Outcome) -> Outcome:
        """A result that had been displaced becomes the current one again."""
        assert unit.job is not None
        current = self._store.job(unit.job.id)
        if unit.index != 0 or self._dry or outcome.directory == current:
            return outcome
        # Where that cannot be done now, it is as good where it stands.
        with contextlib.suppress(OSError):
            if make_current(self._store, current, 0, outcome.key):
                return outcome._replace(directory=current)
        return outcome

    def _culprit(self, unit: Unit) -> Unit | None:
        """The failed unit that keeps this one from running, if any."""
        job = unit.job
        if not isinstance(job, LabJob):
            return None
        for identity in job.upstream_ids():
            upstream = self._by_job[identity]
            if upstream.state in (State.FAILED, State.SKIPPED, State.CANCELLED):
                return upstream.culprit or upstream
        for barrier, kind in self._barriers_of.get(unit.number, ()):
            if kind == "hard" and barrier.culprit is not None:
                return barrier.culprit
        return None

    def _resolve_job(self, unit: Unit) -> Resolved:
        job = unit.job
        assert isinstance(job, LabJob)
        return resolve(job, unit.index, self._lab.path, self._outcome_of, self._results_of)

    def _outcome_of(self, identity: str) -> Outcome:
        outcome = self._by_job[identity].outcome
        if outcome is None:
            raise _NotYetError
        return outcome

    def _results_of(self, run: str) -> tuple[str, str]:
        """The file of a run's results, written once; named by its content, so that equal results share it."""
        if run not in self._results:
            units = {unit.job.id: unit for unit in self._units_of(run) if unit.job is not None}
            if any(unit.state not in ENDED for unit in units.values()):
                raise _NotYetError
            outcomes = {identity: unit.outcome for identity, unit in units.items()}
            made = results_text(self._lab.run(run), outcomes, self._params_of)
            path = f"{self._store.objects}/{made.digest[:32]}-{run}.json"
            if not self._dry and not os.path.exists(path):
                publish_file(path, made.text.encode("utf-8", "surrogatepass"), 0o444)
            self._results[run] = path, made.digest
        return self._results[run]

    def _params_of(self, job: LabJob) -> dict[str, Any]:
        return effective_params(job, self._lab.job, self._effective)

    def _release(self, unit: Unit) -> None:
        """Let those that wait for a unit come one step nearer."""
        for consumer in unit.consumers:
            consumer.waiting -= 1
            if consumer.waiting == 0:
                self._settled.append(consumer)

    def _end(self, unit: Unit, state: State) -> None:
        unit.move(state)
        if unit.number >= 0 and not self._dry:
            self._watcher.ended(unit)
        self._release(unit)

    def _succeed(self, unit: Unit, outcome: Outcome) -> None:
        unit.outcome = outcome
        self._end(unit, State.SUCCEEDED)

    # -- working

    def _work(self) -> None:
        """Hand ready units to idle workers until nothing is ready and nothing runs."""
        pool = self._pool
        assert pool is not None
        while True:
            if self._stop_reason:
                self._stop()
            self._hand_out(pool)
            if self._schedule.running == 0 and not len(self._schedule) and not self._busy:
                break
            for worker, answer in pool.wait(RETRY_BUSY_S if self._busy else None):
                self._hear(worker, answer)
            self._ask_again()
            self._settle()

    def _hand_out(self, pool: WorkerPool) -> None:
        while not self._stop_reason:
            number = self._schedule.next()
            if number is None:
                return
            unit = self._units[number]
            worker = pool.idle()
            assert worker is not None, "as many workers as slots"
            unit.move(State.RUNNING)
            worker.unit = number
            self._give(worker, unit)
            self._watcher.started(unit)

    def _give(self, worker: Worker, unit: Unit) -> None:
        job, resolved = unit.job, unit.resolved
        assert job is not None and resolved is not None
        stage = job.stage
        place = stage["executable"]
        if place not in worker.told:
            worker.told.add(place)
            worker.tell(
                {
                    "stage": {
                        "id": place,
                        "kind": stage["kind"],
                        "name": stage["name"],
                        "version": stage["version"],
                        "argv": self._software.argv(stage),
                        "path": self._software.folder(stage["software"]),
                        "env": stage["env"],
                        "outputs": stage["outputs"],
                    }
                }
            )
        params = dict(job.params)
        for name, kind in job.references.items():
            if params[name] is not None:
                params[name] = (
                    self._software.package(params[name]) if kind == "package" else f"{self._lab.path}/{params[name]}"
                )
        if stage.get("takes_index"):
            params["index"] = unit.index
        worker.tell(
            {
                "job": job.id,
                "stage": place,
                "index": unit.index,
                "key": resolved.key,
                "inputs": resolved.inputs,
                "params": params,
                "cpus": unit.needs.cpus,
                "time_s": unit.time_s,
                "force": self._is_forced(job),
                "lab": self._lab.lab_id,
            }
        )

    def _hear(self, worker: Worker, answer: dict[str, Any] | None) -> None:
        if answer is not None and "trouble" in answer:
            self._last_trouble = answer["trouble"]
            self._watcher.notice(answer["trouble"])
            return
        if answer is not None and "job" not in answer:
            return
        if worker.unit is None:
            return
        unit = self._units[worker.unit]
        self._schedule.release(unit.needs)
        if answer is None or (answer["state"] == "cancelled" and not self._stop_reason):
            # Whatever it was doing is somebody's to take over; its claim says who it was.
            unit.losses += 1
            if unit.losses < LOSSES and not self._stop_reason:
                worker.unit = None
                unit.move(State.READY)
                self._schedule.add(unit.number, unit.run, unit.needs)
                return
            detail = self._last_trouble or "its worker was killed"
            answer = {"state": "failed", "attempt": {"cause": "worker", "detail": detail, "exit": None}}
            if self._stop_reason == "interrupted":
                answer["state"] = "cancelled"
        else:
            self._pool_rest(worker)
        state = answer["state"]
        unit.attempt = answer.get("attempt")
        if state in ("succeeded", "found"):
            unit.found = state == "found"
            assert unit.resolved is not None
            self._succeed(unit, Outcome(answer["directory"], answer["outputs"], unit.resolved.key))
        elif state == "busy":
            unit.move(State.READY)
            unit.retry_at = time.monotonic() + RETRY_BUSY_S
            self._busy.append(unit)
        elif state == "cancelled":
            self._end(unit, State.CANCELLED)
        else:
            self._end(unit, State.FAILED)
            if not self._options.continue_on_failure and not self._stop_reason:
                self._stop_reason = "failed"

    def _pool_rest(self, worker: Worker) -> None:
        assert self._pool is not None
        self._pool.rest(worker)

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
                self._succeed(unit, outcome)
            elif failure is not None and failure["key"] == unit.resolved.key and self._is_new(unit):
                unit.attempt = {"cause": "elsewhere", "detail": "it failed in another run on this store", "exit": None}
                self._end(unit, State.FAILED)
            else:
                self._schedule.add(unit.number, unit.run, unit.needs)

    def _is_new(self, unit: Unit) -> bool:
        assert unit.job is not None
        with contextlib.suppress(OSError):
            return os.stat(f"{self._store.job(unit.job.id)}/failure.jsonl").st_mtime > self._began
        return False

    def _stop(self) -> None:
        """Nothing more is started. On an interrupt what runs is ended too; after a failure it may finish."""
        assert self._pool is not None
        for number in self._schedule.drain():
            self._end(self._units[number], State.CANCELLED)
        for unit in self._busy:
            self._end(unit, State.CANCELLED)
        self._busy = []
        if self._stop_reason == "interrupted":
            self._pool.tell_all({"stop": True})
        self._settle()

    # -- scatter-gather

    def _open_scatter(self, unit: Unit) -> bool:
        """The inputs of a scatter-gather have ended: its scatter becomes a unit, and the whole waits for it."""
        job = unit.job
        assert isinstance(job, LabJob)
        if self._culprit(unit) is not None:
            return False
        try:
            whole = ScatterGatherJob(job, job_inputs(job, self._lab.path, self._outcome_of, self._results_of))
        except _NotYetError:
            return False
        part, resolved = whole.scatter()
        scatter = self._steps.get(part.id)
        if scatter is None:
            scatter = self._steps[part.id] = self._new_unit(unit.run, part, 0)
            scatter.needs, scatter.time_s = self._needs_of(part.resource_hints)
            scatter.resolve = lambda _: resolved
            self._settled.append(scatter)
        unit.parts.append(scatter)
        unit.on_ready = lambda gather: self._open_branches(gather, whole, scatter)
        unit.after(scatter)
        return unit.waiting > 0 or unit.on_ready(unit)

    def _open_branches(self, unit: Unit, whole: ScatterGatherJob, scatter: Unit) -> bool:
        """The scatter has ended: each work item gets its steps, and the whole waits for all sinks."""
        if scatter.outcome is None:
            if scatter.state in ENDED:
                unit.culprit = scatter.culprit or scatter
                self._end(unit, State.SKIPPED)
                return True
            unit.resolve = _not_yet
            unit.on_ready = None
            return False
        try:
            items = whole.items(scatter.outcome)
        except (ItemsError, OSError) as error:
            unit.attempt = {"cause": "output", "detail": str(error), "exit": None}
            self._end(unit, State.FAILED)
            return True
        sinks = [self._branch(unit, whole, scatter.outcome, item) for item in items]
        unit.on_ready = lambda gather: self._gather(gather, whole, scatter, sinks)
        for sink in sinks:
            unit.after(sink)
        if not self._dry:
            self._watcher.planned(len(self._units), sum(one.found for one in self._units))
        return unit.waiting > 0 or unit.on_ready(unit)

    def _branch(self, gather: Unit, whole: ScatterGatherJob, scatter: Outcome, item: str) -> Unit:
        """The steps of one item; a step's job is known when its inputs are. Returns the sink."""
        branch: dict[str, Unit] = {}
        for step in whole.steps:
            unit = self._new_unit(gather.run, None, 0)
            unit.on_ready = lambda one, step=step: self._open_step(one, whole, scatter, item, step, branch)
            branch[step["step"]] = unit
            gather.parts.append(unit)
            for _, source, _ in step["wiring"]:
                if source.startswith("step:"):
                    unit.after(branch[source.removeprefix("step:")])
            if unit.waiting == 0:
                self._settled.append(unit)
        return branch[whole.sink]

    def _open_step(
        self,
        unit: Unit,
        whole: ScatterGatherJob,
        scatter: Outcome,
        item: str,
        step: Mapping[str, Any],
        branch: Mapping[str, Unit],
    ) -> bool:
        """The inputs of a step are there, so its id is: equal steps become one, and this one follows."""
        before: dict[str, Outcome] = {}
        for _, source, _ in step["wiring"]:
            if source.startswith("step:"):
                name = source.removeprefix("step:")
                earlier = branch[name]
                if earlier.outcome is None:
                    if earlier.state in ENDED:
                        unit.culprit = earlier.culprit or earlier
                        self._end(unit, State.SKIPPED)
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
        unit.needs, unit.time_s = self._needs_of(part.resource_hints)
        unit.resolve = lambda _: resolved
        return False

    def _follow(self, unit: Unit, leader: Unit) -> bool:
        if leader.outcome is None:
            unit.culprit = leader.culprit or leader
            self._end(unit, State.SKIPPED)
        else:
            unit.found = True
            self._succeed(unit, leader.outcome)
        return True

    def _gather(self, unit: Unit, whole: ScatterGatherJob, scatter: Unit, sinks: list[Unit]) -> bool:
        """All branches have ended: the whole becomes an ordinary job, its gather."""
        outcomes = [sink.outcome for sink in sinks if sink.outcome is not None]
        failed = next((sink for sink in sinks if sink.state in ENDED and sink.outcome is None), None)
        if failed is not None:
            unit.culprit = failed.culprit or failed
            self._end(unit, State.SKIPPED)
            return True
        unit.on_ready = None
        if len(outcomes) < len(sinks) or scatter.outcome is None:
            unit.resolve = _not_yet
            return False
        part, resolved = whole.gather(outcomes, scatter.outcome)
        unit.job = part
        unit.resolve = lambda _: resolved
        return False


class _NotYetError(Exception):
    """An input is not there; only a dry run gets so far."""


def _not_yet(_: Unit) -> Resolved:
    raise _NotYetError

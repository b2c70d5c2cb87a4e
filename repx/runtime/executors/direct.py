"""Units run at once on this machine, by workers: who is next, who is told ahead, what is lost; knows no graph."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from repx.agent.base.layout import Store
from repx.agent.base.record import Attempt
from repx.agent.base.retries import LOST
from repx.agent.base.state import State
from repx.agent.job import HOST
from repx.agent.messages import Answer, Forget, JobAnswer, Message, Stop, Trouble
from repx.agent.resolve import Realized
from repx.runtime.executors.executor import (
    Budget,
    Cancelled,
    Event,
    Failed,
    Notice,
    Requeued,
    Started,
    Succeeded,
    Work,
)
from repx.runtime.executors.schedule import Schedule
from repx.runtime.executors.workers import Worker, WorkerPool
from repx.runtime.images import Images

RETRY_BUSY_S = 0.1
"""How often to ask again for a job that somebody else is doing."""

LOSSES = 2
"""Workers that may be killed over a job before it counts as failed: it may be what kills them.
More where its stage says so."""

AHEAD_S = 0.05
"""A worker is given units ahead that will take about so long, so that it need not wait to be told. Longer ones are
handed out one by one, and what waits behind one that lasts is taken back: another worker might be free sooner."""

MOST_AHEAD = 8
"""Units that a worker is given ahead at most, however short they are."""


class _Tried(NamedTuple):
    """What a unit that had too little memory has had of its retries, and the time that it has now."""

    spent: int
    time_s: float | None


class DirectExecutor:
    """See `repx.runtime.executors.executor.Executor`.

    With `stop_on_failure`, what a worker was told ahead of its turn is dropped when the job before it fails, whatever
    the engine decides then: it would have begun before anybody could say so.
    """

    def __init__(self, store: Store, budget: Budget, images: Images, *, stop_on_failure: bool) -> None:
        self._images = images
        self._stop_on_failure = stop_on_failure
        self._mem = budget.mem
        self._tried: dict[int, _Tried] = {}
        self._schedule = Schedule(budget.slots, budget.cpus, budget.mem)
        self._pool = WorkerPool(store, budget.slots)
        self._works: dict[int, Work] = {}
        self._elsewhere: list[tuple[float, int]] = []
        self._losses: dict[int, list[tuple[float, float, str]]] = {}
        """Attempts that cost a worker its life, by unit: begin, end, host."""
        self._suspects: set[int] = set()
        """Units of which one has cost a worker its life, while it had several: nothing goes ahead until it is found."""
        self._failures_before: dict[int, str | None] = {}
        self._last_trouble = ""
        self._events: list[Event] = []
        self._ends_ready = False
        self._ends_running = False
        self._has_told: list[Message] = []

    def prepare(self, runs: Collection[int], notice: Callable[[str], None]) -> None:
        """See `Executor`."""
        self._images.load(runs, notice)

    def start(self, units: Iterable[Work]) -> None:
        """See `Executor`."""
        for work in units:
            self._works[work.unit] = work
            self._schedule.add(work.unit, work.run, work.needs)

    def events(self) -> Sequence[Event]:
        """See `Executor`."""
        if self._ends_ready:
            self._stop()
        else:
            self._hand_out()
        if not self._events:
            for worker, answer in self._pool.wait(self._patience_s()):
                self._hear(worker, answer)
            self._forget_ahead()
            self._ask_again()
        events, self._events = self._events, []
        return events

    def cancel(self, *, running: bool) -> None:
        """See `Executor`."""
        self._ends_running = self._ends_running or running
        self._ends_ready = True
        self._pool.wake()

    def close(self) -> list[str]:
        """See `Executor`."""
        return self._pool.close()

    def _hand_out(self) -> None:
        """Give ready units to idle workers, and to quick ones their next."""
        while (unit := self._schedule.next()) is not None:
            worker = self._pool.idle()
            assert worker is not None, "as many workers as slots"
            self._begin(worker, unit)
            self._tell(worker, unit)
        if self._suspects:
            return
        quick = [worker for worker in self._pool.workers if worker.unit is not None and worker.last_s < AHEAD_S]
        # One for each, then another one for each: of few units, none is to have all.
        for number in range(MOST_AHEAD):
            quick = [worker for worker in quick if self._has_given_ahead(worker, number)]

    def _has_given_ahead(self, worker: Worker, number: int) -> bool:
        """Let a worker have unit `number` of those ahead; False when it gets no more."""
        if number < len(worker.ahead):
            return True
        assert worker.unit is not None, "it is at work"
        if number * worker.last_s >= AHEAD_S:
            return False
        unit = self._schedule.ahead(self._works[worker.unit].needs)
        if unit is None:
            return False
        worker.ahead.append(unit)
        self._tell(worker, unit, after_success=self._stop_on_failure)
        return True

    def _begin(self, worker: Worker, unit: int) -> None:
        worker.unit, worker.began, worker.since = unit, time.monotonic(), time.time()
        self._events.append(Started(unit))

    def _patience_s(self) -> float | None:
        """How long to wait for answers at most."""
        waits = [RETRY_BUSY_S] if self._elsewhere else []
        waits += [worker.began + AHEAD_S - time.monotonic() for worker in self._pool.workers if worker.ahead]
        least = min(waits, default=math.inf)
        return None if least == math.inf else max(0.0, least)

    def _forget_ahead(self) -> None:
        """Take back what was given ahead and waits behind a unit that lasts; its worker answers for each."""
        now = time.monotonic()
        for worker in self._pool.workers:
            if worker.ahead and now >= worker.began + AHEAD_S:
                # Told once.
                worker.began = math.inf
                worker.last_s = AHEAD_S
                self._pool.tell(worker, Forget())

    def _tell(self, worker: Worker, unit: int, *, after_success: bool = False) -> None:
        order = self._works[unit].order()
        for message in order.before:
            self._pool.tell_once(worker, message)
        job = order.job._replace(
            after_success=after_success, spent=self._lost_retries(unit), lost=self._losses.get(unit)
        )
        tried = self._tried.get(unit)
        if tried is not None:
            limits = {**job.limits, "mem": self._works[unit].needs.mem}
            job = job._replace(spent=job.spent + tried.spent, limits=limits, time_s=tried.time_s)
        if unit in self._failures_before:
            job = job._replace(again=True, failure=self._failures_before[unit])
        self._pool.tell(worker, job)

    def _hear(self, worker: Worker, answer: Answer | None) -> None:
        """Take in what a worker has said; None when it has died."""
        if isinstance(answer, Trouble):
            self._last_trouble = answer.text
            self._events.append(Notice(answer.text))
        elif answer is None or (answer.state is State.CANCELLED and not self._ends_ready):
            self._lose(worker)
        elif answer.unit in worker.ahead:
            assert answer.state is State.READY, "what is answered before its turn was dropped"
            worker.ahead.remove(answer.unit)
            self._give_back(answer.unit)
        elif worker.unit is not None:
            unit = worker.unit
            self._schedule.release(self._works[unit].needs)
            self._go_on(worker, answer.seconds)
            self._end(unit, answer)

    def _end(self, unit: int, answer: JobAnswer) -> None:
        """A worker has done with a unit, one way or another."""
        if answer.state is State.RUNNING and not self._ends_ready:
            # Somebody else has it. What a failure there has left is told by the file that stands there now: no two
            # clocks are compared.
            self._failures_before.setdefault(unit, answer.failure)
            heapq.heappush(self._elsewhere, (time.monotonic() + RETRY_BUSY_S, unit))
            self._events.append(Requeued(unit))
        elif answer.state is State.SUCCEEDED:
            outcome = Realized(answer.directory, answer.outputs, answer.key)
            event = Succeeded(unit, outcome, answer.is_found, answer.is_adopted, answer.peak, answer.spent)
            self._forget(unit, event)
        elif answer.state is State.FAILED:
            if not self._gets_more_memory(unit, answer):
                self._forget(unit, Failed(unit, answer.attempt or Attempt(), answer.spent))
        elif answer.state is State.READY and not self._ends_ready:
            # Dropped because the one before it has failed.
            self._events.append(Requeued(unit))
            self._requeue(unit)
        else:
            self._forget(unit, Cancelled(unit, answer.attempt))

    def _gets_more_memory(self, unit: int, answer: JobAnswer) -> bool:
        """Let a unit that was killed for its memory wait for another turn with more; False where it is to fail."""
        work, tried = self._works[unit], self._tried.get(unit)
        if not answer.wants_memory or self._ends_ready:
            return False
        mem = min(work.more_memory(work.needs.mem, tried is None), self._mem)
        if mem <= work.needs.mem:
            return False
        self._works[unit] = work._replace(needs=work.needs._replace(mem=mem))
        self._tried[unit] = _Tried(answer.spent - self._lost_retries(unit), answer.time_s)
        # What stands there now is its own failure.
        self._failures_before.pop(unit, None)
        self._events.append(Requeued(unit))
        self._requeue(unit)
        return True

    def _lost_retries(self, unit: int) -> int:
        """How many retries of a unit its dead workers have cost."""
        return len(self._losses.get(unit, ())) if LOST in self._works[unit].retries.on else 0

    def _most_losses(self, unit: int) -> int:
        """How many workers may be killed over a unit."""
        tried, retries = self._tried.get(unit), self._works[unit].retries
        return max(LOSSES, 1 + retries.times - (tried.spent if tried else 0)) if LOST in retries.on else LOSSES

    def _lose(self, worker: Worker) -> None:
        """A worker was killed, or told to leave by somebody else. Its claim says to anybody what it was doing."""
        unit, worker.unit = worker.unit, None
        if unit is None:
            return
        self._schedule.release(self._works[unit].needs)
        if worker.ahead and not self._ends_ready:
            # Which of them it was doing is not known: answers of quick ones go together.
            self._suspects.update([unit, *worker.ahead])
        else:
            self._losses.setdefault(unit, []).append((worker.since, time.time(), HOST))
        self._requeue_ahead(worker)
        if len(self._losses.get(unit, ())) < self._most_losses(unit) and not self._ends_ready:
            self._events.append(Requeued(unit))
            self._requeue(unit)
            return
        detail = self._last_trouble or "its worker was killed"
        attempt = Attempt(cause="worker", detail=detail)
        self._forget(unit, Cancelled(unit, attempt) if self._ends_running else Failed(unit, attempt))

    def _go_on(self, worker: Worker, seconds: float) -> None:
        """A worker has done its unit, and is at the next already if it was told one ahead."""
        worker.last_s = seconds
        if not worker.ahead:
            self._pool.rest(worker)
            return
        unit = worker.ahead.popleft()
        self._schedule.take(self._works[unit].needs)
        self._begin(worker, unit)

    def _requeue_ahead(self, worker: Worker) -> None:
        """What a worker was told ahead, and will not do, is anybody's again."""
        while worker.ahead:
            self._give_back(worker.ahead.popleft())

    def _give_back(self, unit: int) -> None:
        """A unit that has not been begun waits for its turn once more, if there will be one."""
        if self._ends_ready:
            self._forget(unit, Cancelled(unit, None))
        else:
            self._requeue(unit)

    def _requeue(self, unit: int) -> None:
        work = self._works[unit]
        self._schedule.add(unit, work.run, work.needs)

    def _ask_again(self) -> None:
        """Try again what somebody else was doing a while ago."""
        now = time.monotonic()
        while self._elsewhere and self._elsewhere[0][0] <= now:
            self._requeue(heapq.heappop(self._elsewhere)[1])

    def _stop(self) -> None:
        """Nothing more begins. When what runs is to end as well its workers are told so, once."""
        for unit in [*self._schedule.drain(), *(unit for _, unit in self._elsewhere)]:
            self._forget(unit, Cancelled(unit, None))
        self._elsewhere = []
        word = Stop() if self._ends_running else Forget()
        if word not in self._has_told:
            self._has_told.append(word)
            self._pool.tell_all(word)

    def _forget(self, unit: int, event: Event) -> None:
        del self._works[unit]
        self._losses.pop(unit, None)
        self._tried.pop(unit, None)
        self._suspects.discard(unit)
        self._failures_before.pop(unit, None)
        self._events.append(event)

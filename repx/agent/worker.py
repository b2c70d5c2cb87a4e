"""A worker: a slot that lives as long as its run; takes orders as lines, does one job at a time, answers in lines.

When its orders end (the runner is gone) a worker ends its job, commits what is finished and leaves.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import time
from collections.abc import Iterable, Sequence

from repx.agent.base.layout import Store, slot
from repx.agent.base.record import Attempt
from repx.agent.base.state import State
from repx.agent.claim import HEARTBEAT_S
from repx.agent.lab.fault import LabFault
from repx.agent.lab.lab import Lab
from repx.agent.messages import (
    Answer,
    JobAnswer,
    JobOrder,
    Trouble,
    UseLab,
    UsePackage,
    UseStage,
    encode_answer,
)
from repx.agent.orders import Orders
from repx.agent.resolve import Realized
from repx.agent.resolved_job import find_pending_too, resolve_order, resolved_job
from repx.agent.resolver import Resolver
from repx.agent.slot import Slot
from repx.agent.stage_start import StageStart
from repx.agent.worker_cgroup import CgroupEntry

ANSWER_S = 0.01
"""Seconds for which an answer may wait for others while there is more to do: each that goes by itself wakes the runner,
which costs a short job as much as its answer does."""

MOST_NOTED = 10_000
"""Results of others that a worker remembers: what it holds counts as memory of the jobs that it starts."""


class Worker:
    """One slot of a runner. `orders` and `answers` are file descriptors; `cgroup` is where its jobs can be found."""

    def __init__(
        self, store: Store, runner: str, number: int, orders: int, answers: int, cgroup: CgroupEntry | None = None
    ) -> None:
        self._store = store
        self._answers = answers
        self._unsaid = bytearray()
        self._unsaid_since = 0.0
        self._orders = Orders(orders)
        self._slot = Slot(store, slot("%s/%s" % (store.tmp, runner), number), runner, number, cgroup, self._pause)
        self._lab: Lab
        self._resolver: Resolver
        self._noted = 0
        self._starts: dict[tuple[str, str], StageStart] = {}
        self._packages: dict[str, str] = {}
        self._has_failed = False

    def serve(self) -> None:
        """Work until told to stop or until nobody gives orders any more.

        Raises ScratchGoneError when somebody has taken this worker for dead and removed its files.
        """
        # A thread: a long digest, or a flush of a slow disk, is no reason to be taken for dead.
        _thread.start_new_thread(self._beat, ())
        try:
            while True:
                # Before anything that was ordered later is answered for.
                self._drop()
                if not self._orders.has_next:
                    self._say()
                message = self._orders.next(self._slot.time_to_commit())
                if message is None:
                    if self._orders.ended:
                        break
                    self._commit_if_old()
                elif isinstance(message, JobOrder):
                    self._take(message)
                elif isinstance(message, UseLab):
                    self._lab = Lab(message.path).seen_from(self._store)
                    self._renew_resolver()
                elif isinstance(message, UseStage):
                    self._starts[message.executable, message.image] = message.start
                elif isinstance(message, UsePackage):
                    self._packages[message.name] = message.value
        finally:
            self._tell_all(self._slot.close())
            self._say()

    def _take(self, order: JobOrder) -> None:
        if order.after_success and self._has_failed:
            self._answer(JobAnswer(State.READY, unit=order.unit))
            return
        answer = self._do(order)
        self._has_failed = answer.state is State.FAILED
        self._answer(answer._replace(unit=order.unit))
        self._commit_if_old()

    def _do(self, order: JobOrder) -> JobAnswer:
        self._noted += len(order.seen)
        if self._noted > MOST_NOTED:
            self._renew_resolver()
        try:
            found = resolve_order(self._lab, self._resolver, order)
            if found is None:
                return JobAnswer(State.FAILED, attempt=Attempt(cause="input", detail="what it takes has no result"))
            job, resolved = found
            start = self._starts[job.stage.executable, self._lab.run(order.run).image]
            whole = resolved_job(self._lab, order, job, resolved, start, self._packages.__getitem__)
        except LabFault as fault:
            return JobAnswer(State.FAILED, attempt=Attempt(cause="lab", detail=str(fault)))
        except OSError as error:
            return self._slot.store_trouble(error)
        if order.aside:
            start = whole.start
            return self._slot.rehearse(
                whole._replace(start=start._replace(env={**start.env, **order.env})), order.aside
            )
        answer = self._slot.do(
            whole,
            force=order.force,
            again=order.again,
            failure=order.failure,
            spent=order.spent,
            lost=order.lost_attempts(),
        )
        if answer.state is State.SUCCEEDED and order.realization == 0:
            # The next order may be of a job that takes this one's outputs.
            self._noted += 1
            self._resolver.note_made(job.id, Realized(answer.directory, answer.outputs, answer.key))
        return answer

    def _renew_resolver(self) -> None:
        self._resolver = Resolver(self._lab, self._store, find_pending_too)
        self._noted = 0

    def _pause(self, seconds: float | None, also: Sequence[int]) -> bool:
        """Wait for the job; meanwhile say and commit what is old enough and listen for a stop."""
        waits = [value for value in (seconds, self._slot.time_to_commit(), self._time_to_say()) if value is not None]
        self._orders.wait(min(waits) if waits else None, also)
        self._drop()
        if self._time_to_say() == 0:
            self._say()
        self._commit_if_old()
        return self._orders.ended

    def _drop(self) -> None:
        """Answer for what will not be done."""
        if self._orders.dropped:
            for order in self._orders.dropped:
                self._answer(JobAnswer(State.READY, unit=order.unit))
            self._orders.dropped = []
            self._say()

    def _commit_if_old(self) -> None:
        if self._slot.time_to_commit() == 0:
            # A flush may take long.
            self._say()
            self._tell_all(self._slot.commit())

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            # Where the disk does not answer, others take this worker for dead, and it asks before it goes on.
            with contextlib.suppress(OSError):
                self._slot.claim.touch()

    def _tell_all(self, trouble: Iterable[str]) -> None:
        for text in trouble:
            self._answer(Trouble(text))

    def _answer(self, answer: Answer) -> None:
        if not self._unsaid:
            self._unsaid_since = time.monotonic()
        self._unsaid += encode_answer(answer)

    def _time_to_say(self) -> float | None:
        return max(0.0, self._unsaid_since + ANSWER_S - time.monotonic()) if self._unsaid else None

    def _say(self) -> None:
        """Send what has been answered."""
        data, self._unsaid = memoryview(self._unsaid), bytearray()
        # A runner that is gone needs no answer; what was done stays done.
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._answers, data) :]

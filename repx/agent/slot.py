"""One slot: claims a job, finds its result or executes it, publishes what came of it; knows no runner and no orders."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from repx.agent.adoption import find_adoptable, is_private, link_outputs
from repx.agent.base.files import mark_of_file
from repx.agent.base.found import find_realization
from repx.agent.base.layout import CLAIM, FAILURE, PENDING, Store
from repx.agent.base.record import Attempt, Outcome, OutputRecord, encode_record
from repx.agent.base.state import State
from repx.agent.claim import ClaimFile, ScratchGoneError, take_over
from repx.agent.execution import Execution
from repx.agent.job import Pause
from repx.agent.messages import JobAnswer
from repx.agent.outputs import cannot_be_kept, collect_outputs
from repx.agent.publish import Batch, publish_failure, publish_success, recover_pending
from repx.agent.resolve import Given, chosen_indexes
from repx.agent.resolved_job import ResolvedJob
from repx.agent.scratch import Scratch
from repx.agent.selections import numbers_of
from repx.agent.stage_lines import StageLines
from repx.agent.tries import earlier_attempts, failed_elsewhere, has_retry, told
from repx.agent.worker_cgroup import CgroupEntry

_STATES = {"": State.SUCCEEDED, "cancelled": State.CANCELLED}
"""What has come of an attempt with this cause; of one with any other, a failure."""


class Slot:
    """Does one job after the other. `cgroup` is where its jobs can be found, `pause` as in `Execution`.

    Results are pending until `commit`.
    """

    def __init__(
        self, store: Store, directory: str, runner: str, number: int, cgroup: CgroupEntry | None, pause: Pause
    ) -> None:
        self._store = store
        self._scratch = Scratch(directory)
        self.claim = ClaimFile(directory + "/" + CLAIM, store.tmp, runner, number)
        self._cgroup = cgroup
        self._execution = Execution(store, self._scratch, self.claim, pause)
        self._batch = Batch(store, self.claim)
        self._lines = StageLines(store)
        self._oldest = 0.0
        self._lost: Sequence[Attempt] = ()
        """Attempts at the job of which no record tells yet."""

    def do(
        self,
        job: ResolvedJob,
        *,
        force: bool,
        again: bool = False,
        failure: str | None = None,
        spent: int = 0,
        lost: Sequence[Attempt] = (),
    ) -> JobAnswer:
        """Do one job. What a disk refuses becomes a failed job. The last four are as in `JobOrder`.

        Raises ScratchGoneError when somebody has taken this slot for dead and removed its files.
        """
        # Each realization is claimed by itself, so that several run at once.
        claimed = job.directory(self._store)
        self._lost = lost
        try:
            is_new = _make_if_new(claimed)
            seen = None if is_new else mark_of_file(claimed + "/" + FAILURE)
            kept = self._take(claimed, is_new=is_new)
            if kept is None:
                return JobAnswer(State.RUNNING, job.key, failure=seen)
        except OSError as error:
            return self.store_trouble(error, job.key)
        answer = None
        try:
            answer = self._find(job, kept, claimed) if kept and (again or not force) else None
            if answer is None and again and FAILURE in kept:
                answer = failed_elsewhere(job, claimed, failure, spent)
            if answer is None and not force:
                answer = self._adopt(job, claimed, is_new=not kept)
            answer = answer or self._try(job, claimed, spent, is_new=not kept, force=force)
            return answer
        except OSError as error:
            return self.store_trouble(error, job.key)
        finally:
            # A result that is pending keeps its claim until it is committed.
            if answer is None or answer.is_found or answer.state is not State.SUCCEEDED:
                self.claim.release(claimed)

    def rehearse(self, job: ResolvedJob, aside: str) -> JobAnswer:
        """Execute a job and put what it has made at `aside`: its result is not looked at, claimed or replaced."""
        scratch = self._scratch
        try:
            scratch.prepare(job)
            if self._cgroup is not None:
                self.claim.say_cgroup(self._cgroup.path())
            attempt, outputs = self._execution.run(job)
            stdout, stderr, trace = scratch.logs.take(scratch.directory, 1)
            attempt = attempt._replace(stdout=stdout, stderr=stderr, trace=trace)
            state = _STATES.get(attempt.cause, State.FAILED)
            if state is State.SUCCEEDED:
                os.rename(scratch.out, aside)
        except OSError as error:
            return self.store_trouble(error, job.key)
        seconds, short = attempt.end - attempt.start, told(attempt, scratch.directory)
        return JobAnswer(state, job.key, directory=aside, outputs=outputs, seconds=seconds, attempt=short)

    def prepare(self, job: ResolvedJob) -> Scratch:
        """Have everything in place that a job finds when it begins, for somebody who does it by hand."""
        self._scratch.prepare(job)
        return self._scratch

    def keep(self, job: ResolvedJob, attempt: Attempt, *, replace: bool) -> JobAnswer:
        """Publish what somebody has made by hand in the scratch's `out`: the job's own result, and nobody else's.

        A result that stands is found, unless it is to be replaced.
        """
        outputs, complaint = collect_outputs(job.job.stage.outputs, self._scratch.out)
        if complaint:
            return JobAnswer(State.FAILED, job.key, attempt=attempt._replace(cause="output", detail=complaint))
        claimed = job.directory(self._store)
        is_new = _make_if_new(claimed)
        kept = self._take(claimed, is_new=is_new)
        if kept is None:
            return JobAnswer(State.RUNNING, job.key)
        answer = None
        try:
            answer = self._find(job, kept, claimed) if kept and not replace else None
            answer = answer or self._publish(job, claimed, [attempt], outputs, is_new=not kept, force=True)
            return answer
        finally:
            # As in `do`: what is pending keeps its claim.
            if answer is None or answer.is_found or answer.state is not State.SUCCEEDED:
                self.claim.release(claimed)

    def time_to_commit(self) -> float | None:
        """Seconds until what is pending should be committed; None when nothing is."""
        if not self._batch:
            return None
        if len(self._batch) >= Batch.LIMIT:
            return 0.0
        return max(0.0, self._oldest + Batch.AGE_S - time.monotonic())

    def commit(self) -> list[str]:
        """Commit what is pending; what went wrong."""
        lost = "a result is lost, for somebody has taken its job while this machine stood still: "
        try:
            return [lost + os.path.basename(directory) for directory in self._batch.commit()]
        except OSError as error:
            self._oldest = time.monotonic()
            return ["results could not be committed: %s" % error]

    def close(self) -> list[str]:
        """Commit, flush the records themselves, take the scratch away; what went wrong."""
        trouble = self.commit()
        try:
            self._batch.flush_records()
        except OSError as error:
            trouble.append("results could not be flushed: %s" % error)
        self._scratch.remove()
        return trouble

    def store_trouble(self, error: OSError, key: str = "") -> JobAnswer:
        """What a disk has refused. Raises ScratchGoneError when this slot's files are gone."""
        if not self.claim.exists():
            raise ScratchGoneError(self.claim.path) from error
        detail = "%s: %s" % (error.filename or "store", error.strerror)
        return JobAnswer(State.FAILED, key, attempt=Attempt(cause="store", detail=detail))

    def _take(self, claimed: str, *, is_new: bool) -> list[str] | None:
        """Claim a job: the names of what is kept of it, or None when somebody else has it."""
        for _ in range(3):
            try:
                kept = self.claim.take(claimed, is_new=is_new)
            except FileNotFoundError:
                os.makedirs(claimed, exist_ok=True)
                continue
            if kept is not None or not take_over(claimed, self._store.tmp):
                return kept
        return None

    def _find(self, job: ResolvedJob, kept: list[str], claimed: str) -> JobAnswer | None:
        """The result that is there already, also where its maker was killed before the record."""
        if PENDING in kept:
            recover_pending(self._store, claimed)
        found = find_realization(self._store.job(job.job.id), job.realization, job.key)
        if found is None:
            return None
        directory, outcome = found
        return JobAnswer(State.SUCCEEDED, job.key, True, directory, outcome.outputs)

    def _try(self, job: ResolvedJob, claimed: str, spent: int, *, is_new: bool, force: bool) -> JobAnswer:
        """Attempt a job, and once more where its stage says so: its claim is kept, each attempt has its record.

        Memory is shared among the slots of a runner, which is asked for more.
        """
        while True:
            answer = self._attempt(job, claimed, is_new=is_new, force=force)._replace(spent=spent)
            if not has_retry(job, answer.attempt, spent):
                return answer
            assert answer.attempt is not None, "it has failed"
            spent, is_new = spent + 1, False
            if answer.attempt.cause == "memory":
                return answer._replace(wants_memory=True, spent=spent, time_s=job.time_s)
            if answer.attempt.cause == "timeout" and job.time_s:
                job = job._replace(time_s=2 * job.time_s)

    def _attempt(self, job: ResolvedJob, claimed: str, *, is_new: bool, force: bool) -> JobAnswer:
        self._scratch.prepare(job)
        # Nothing begins under a claim that somebody may have taken while this machine stood still.
        if self.claim.is_in_doubt() and not self.claim.holds(claimed):
            return JobAnswer(State.RUNNING, job.key)
        if self._cgroup is not None:
            self.claim.say_cgroup(self._cgroup.path())
        attempt, outputs = self._execution.run(job)
        if not self.claim.holds(claimed):
            # Taken over while this machine did not answer: whoever has it now decides.
            return JobAnswer(State.RUNNING, job.key)
        earlier = [*([] if is_new else earlier_attempts(claimed, job.key, force=force)), *self._lost]
        self._lost = ()
        stdout, stderr, trace = self._scratch.logs.take(claimed, len(earlier) + 1)
        attempt = attempt._replace(stdout=stdout, stderr=stderr, trace=trace)
        return self._publish(job, claimed, [*earlier, attempt], outputs, is_new=is_new, force=force)

    def _publish(
        self,
        job: ResolvedJob,
        claimed: str,
        attempts: list[Attempt],
        outputs: dict[str, OutputRecord],
        *,
        is_new: bool,
        force: bool,
    ) -> JobAnswer:
        attempt, scratch = attempts[-1], self._scratch
        state = _STATES.get(attempt.cause, State.FAILED)
        record = self._record(job, state, attempts, outputs, is_private=is_private(job, force=force))
        seconds = attempt.end - attempt.start
        if state is not State.SUCCEEDED:
            publish_failure(claimed, scratch.out, record)
            return JobAnswer(state, job.key, directory=claimed, seconds=seconds, attempt=told(attempt, claimed))
        try:
            directory = self._put_in_place(job, claimed, record, is_new=is_new, force=force)
        except PermissionError as error:
            detail = cannot_be_kept(error, scratch.out, claimed + "/out", self._store.job(job.job.id) + "/out")
            failed = attempt._replace(cause="output", detail=detail)
            return self._publish(job, claimed, [*attempts[:-1], failed], {}, is_new=is_new, force=force)
        return JobAnswer(state, job.key, directory=directory, outputs=outputs, seconds=seconds, peak=attempt.max_rss)

    def _adopt(self, job: ResolvedJob, claimed: str, *, is_new: bool) -> JobAnswer | None:
        """The result of another job that computed the same; None when there is none."""
        if is_private(job, force=False):
            return None
        adoptable = find_adoptable(self._store, job)
        if adoptable is None or not link_outputs(adoptable, self._scratch.out):
            return None
        outputs = dict(adoptable.outcome.outputs)
        record = self._record(job, State.SUCCEEDED, [], outputs, adopted=adoptable.outcome.job)
        directory = self._put_in_place(job, claimed, record, is_new=is_new, force=False)
        return JobAnswer(State.SUCCEEDED, job.key, directory=directory, outputs=outputs, is_adopted=True)

    def _record(
        self,
        job: ResolvedJob,
        state: State,
        attempts: list[Attempt],
        outputs: dict[str, OutputRecord],
        *,
        adopted: str = "",
        is_private: bool = False,
    ) -> bytes:
        stage = job.job.stage
        outcome = Outcome(
            job.job.id,
            stage.name,
            stage.version,
            job.realization,
            job.key,
            state,
            job.lab,
            {name: _digests(value) for name, value in job.inputs.items()},
            outputs,
            chosen_indexes(job.inputs),
            adopted,
            is_private,
            numbers_of(outputs, self._scratch.out) if stage.realizations > 1 else {},
        )
        return encode_record(outcome, attempts, self._lines.fingerprint(job.job.identity))

    def _put_in_place(self, job: ResolvedJob, claimed: str, record: bytes, *, is_new: bool, force: bool) -> str:
        """Publish what is in the scratch's `out`; it is committed with its batch."""
        directory = publish_success(
            self._store.job(job.job.id),
            job.realization,
            job.key,
            self._scratch.out,
            record,
            self._scratch.directory,
            is_new=is_new,
            replace=force,
        )
        if not self._batch:
            self._oldest = time.monotonic()
        self._batch.add(claimed, directory, job.key, after_failure=not is_new)
        return directory


def _make_if_new(directory: str) -> bool:
    """Make a job's directory; whether there was none."""
    try:
        os.mkdir(directory)
    except FileExistsError:
        return False
    except FileNotFoundError:
        os.makedirs(directory, exist_ok=True)
        return False
    return True


def _digests(given: Given) -> object:
    if isinstance(given, list):
        return [one.digest for one in given]
    return None if given is None else given.digest

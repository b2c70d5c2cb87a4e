"""What attempts at a job mean for the next one: which are kept, whether there is one, what is told; runs nothing."""

from __future__ import annotations

from repx.agent.base.files import mark_of_file
from repx.agent.base.layout import COLLECTED, FAILURE, RECORD
from repx.agent.base.record import Attempt, read_attempts, read_outcome
from repx.agent.base.state import State
from repx.agent.messages import JobAnswer
from repx.agent.resolved_job import ResolvedJob
from repx.agent.scratch import end_of_log

_EARLIER = (COLLECTED, FAILURE)
"""Records whose attempts are those of the next one too."""

_FAILED_ELSEWHERE = Attempt(cause="elsewhere", detail="it failed in another run on this store")


def earlier_attempts(directory: str, key: str, *, force: bool) -> list[Attempt]:
    """The attempts that the next record has, too, first to last: with `force` also those of the result it replaces."""
    names: tuple[str, ...] = _EARLIER
    if force:
        outcome = read_outcome(directory + "/" + RECORD)
        names = (RECORD, *names) if outcome is not None and outcome.key == key else names
    found = {one.start: one for name in names for one in read_attempts(directory + "/" + name)}
    return [found[start] for start in sorted(found)]


def has_retry(job: ResolvedJob, attempt: Attempt | None, spent: int) -> bool:
    """Whether an attempt is followed by another one, when `spent` have followed others."""
    retries = job.job.stage.retries
    return attempt is not None and spent < retries.times and retries.covers(attempt)


def failed_elsewhere(job: ResolvedJob, claimed: str, before: str | None, spent: int) -> JobAnswer | None:
    """What another runner's failure is for this one; None where there is only that which stood there `before`.

    Nobody works on the job any more. Where the failure was for memory, both runners may try again, with more.
    """
    outcome = read_outcome(claimed + "/" + FAILURE)
    if outcome is None or (outcome.key, outcome.state) != (job.key, State.FAILED):
        return None
    if mark_of_file(claimed + "/" + FAILURE) == before:
        return None
    last = next(reversed(read_attempts(claimed + "/" + FAILURE)), _FAILED_ELSEWHERE)
    if last.cause == "memory" and has_retry(job, last, spent):
        attempt = told(last, claimed)
        return JobAnswer(State.FAILED, job.key, attempt=attempt, spent=spent + 1, wants_memory=True, time_s=job.time_s)
    return JobAnswer(State.FAILED, job.key, attempt=_FAILED_ELSEWHERE)


def told(attempt: Attempt, directory: str = "") -> Attempt:
    """An attempt as the runner needs it: of a log in a file of `directory` the end, and of a trace its last line."""
    logs = [
        log if isinstance(log, str) else end_of_log("%s/%s" % (directory, log.name)) if directory else ""
        for log in (attempt.stdout, attempt.stderr)
    ]
    trace = attempt.trace.rstrip("\n").rpartition("\n")[2]
    return attempt._replace(host="", boot="", stdout=logs[0], stderr=logs[1], trace=trace)

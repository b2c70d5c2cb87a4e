"""Which log is meant: of a job or step, of which realization and attempt, of one that runs now; prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from repx.agent.base.layout import RECORD, Store
from repx.agent.base.record import Attempt, read_outcome
from repx.analysis.statuses import Statuses
from repx.analysis.steps import StoredJob, find_job_or_step
from repx.errors import UsageError, plural
from repx.lab.directory import LabDirectory
from repx.store.attempts import RunningLog, all_attempts, log_tail


@dataclass(frozen=True, slots=True)
class FoundLog:
    """The logs of one attempt; without `attempt` of the one that is running."""

    job: str
    number: int
    directory: str
    store: Store
    attempt: Attempt | None

    def running(self, stream: str) -> RunningLog:
        """The log as it grows."""
        return RunningLog(self.directory, self.store, self.job, stream)

    def tail(self, stream: str, lines: int) -> tuple[list[str], bool]:
        """Its last lines (all for 0), and whether there are earlier ones."""
        if self.attempt is None:
            return self.running(stream).tail(lines)
        return log_tail(self.directory, self.attempt, stream, lines)


def find_log(lab: LabDirectory, store: Store, name: str, index: int = 0, attempt: int | None = None) -> FoundLog:
    """The log of one job. Raises UsageError when it has not run, or not so often."""
    job = find_job_or_step(lab, store, name)
    directory = job.directory if isinstance(job, StoredJob) else _directory(job, lab, store, index)
    attempts = all_attempts(directory)
    is_running = RunningLog(directory, store, job.id, "stdout").is_running
    count = len(attempts) + is_running
    number = count if attempt is None else attempt
    outcome = read_outcome(f"{directory}/{RECORD}") if count == 0 else None
    if outcome is not None and outcome.adopted:
        raise UsageError(
            f"job {job.id} did not run: it took the result of {outcome.adopted}, which had the same inputs",
            hint=f"its log: repx log {outcome.adopted[:12]}",
        )
    if count == 0:
        raise UsageError(f"job {job.id} has not run", hint=f"run it: repx run {job.id[:12]}")
    if not 1 <= number <= count:
        raise UsageError(f"job {job.id} has {count} {plural('attempt', count)}; there is no attempt {attempt}")
    return FoundLog(job.id, number, directory, store, attempts[number - 1] if number <= len(attempts) else None)


def _directory(job: Any, lab: LabDirectory, store: Store, index: int) -> str:
    statuses = Statuses(lab, store)
    statuses.check_index(job, index)
    return statuses.directory(job, index)

"""How each job of a Lab stands today: by its record, its last failure, its claim and its upstreams; writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from repx.agent.base.layout import Store, realization
from repx.agent.base.selector import ranges
from repx.agent.base.state import State
from repx.agent.lab.run_file import Job, RunFile
from repx.agent.resolver import Resolver
from repx.agent.selections import added_indexes
from repx.analysis.status import unfinished_status
from repx.analysis.steps import PartStatus, parts_of
from repx.errors import UsageError, plural
from repx.lab.directory import LabDirectory
from repx.lab.run_order import RunOrder, blocked_by_runs
from repx.store.complete_runs import known_complete

PATIENCE = 300
"""Jobs of a run that are looked at one by one before asking whether the whole run is known to be done."""


class Statuses:
    """Statuses of a Lab's jobs, each looked at once; what was seen stays, so make a new one to look again."""

    def __init__(self, lab: LabDirectory, store: Store) -> None:
        self.results = Resolver(lab, store)
        self._lab = lab
        self._store = store
        self._order = RunOrder(lab, lab.runs)
        self._known: dict[str, State] = {}
        self._blockers: dict[str, str] = {}
        self._run_blockers: dict[str, str] = {}
        self._asked: Counter[str] = Counter()
        self._complete: dict[str, bool] = {}

    def of(self, job: Job) -> State:
        """How a job stands. Looks at its upstreams too where it has no result."""
        if self._is_complete(job.run):
            return State.SUCCEEDED
        stack = [job]
        seen: set[str] = set()
        while stack:
            top = stack[-1]
            if top.id in self._known:
                stack.pop()
                continue
            if top.id not in seen:
                seen.add(top.id)
                status = self._on_disk(top)
                if status is not None:
                    self._known[top.id] = status
                    continue
            upstreams = self._upstreams(top)
            waiting = [one for one in upstreams if one.id not in self._known]
            if waiting:
                stack.extend(waiting)
                continue
            blocker = self._blocker_among(top, upstreams) or blocked_by_runs(self._order.waits(top), self._blocker_in)
            if blocker:
                self._blockers[top.id] = blocker
            self._known[top.id] = State.BLOCKED if blocker else State.PENDING
        return self._known[job.id]

    def blocked_by(self, job: Job) -> str:
        """What blocks a job, or the step because of which it failed: a job id; empty when nothing does."""
        self.of(job)
        return self._blockers.get(job.id, "")

    def directory(self, job: Job, index: int = 0) -> str:
        """Where a realization stands, or would stand."""
        outcome = self.results.outcome(job, index)
        if outcome is not None:
            return outcome.directory
        directory = self._store.job(job.id)
        resolved = self.results.resolve(job, index) if index else None
        return directory if resolved is None else realization(directory, index, resolved.key)

    def added(self, job: Job) -> list[int]:
        """The indexes of the results that a job has beyond those of its stage."""
        indexes = added_indexes(self._store, job.id, job.stage.realizations)
        return [index for index in indexes if self.results.outcome(job, index) is not None]

    def check_index(self, job: Job, index: int) -> None:
        """Raise UsageError for a realization that a job does not have."""
        count = job.stage.realizations
        if not 0 <= index < count and index not in added_indexes(self._store, job.id, count):
            added = self.added(job)
            more = f", and {ranges(added)} was added" if added else ""
            raise UsageError(
                f"job {job.id} has {count} {plural('realization', count)}{more}; there is no index {index}"
            )

    def parts(self, job: Job) -> Iterable[PartStatus]:
        """The parts of a scatter-gather job, see `repx.analysis.steps`."""
        return parts_of(job, self._store, self.results)

    def count(self, jobs: Iterable[Job]) -> Counter[State]:
        """How many stand how."""
        return Counter(self.of(job) for job in jobs)

    def _is_complete(self, run: RunFile) -> bool:
        if run.name not in self._complete:
            self._asked[run.name] += 1
            if self._asked[run.name] <= PATIENCE:
                return False
            self._complete[run.name] = known_complete(self._lab, self._store, [run.name]) is not None
        return self._complete[run.name]

    def _on_disk(self, job: Job) -> State | None:
        """What its own files say; None when it is neither done nor failed nor being worked on."""
        statuses: list[State | None] = []
        for index in range(job.stage.realizations):
            if self.results.outcome(job, index) is None:
                resolved = self.results.resolve(job, index)
                key = None if resolved is None else resolved.key
                statuses.append(unfinished_status(self.directory(job, index), key, self._store))
        if not statuses:
            return State.SUCCEEDED
        for status in (State.RUNNING, State.FAILED):
            if status in statuses:
                return status
        return self._of_parts(job) if job.parts is not None else None

    def _of_parts(self, job: Job) -> State | None:
        parts = {part.status: part for part in self.parts(job)}
        if State.RUNNING in parts:
            return State.RUNNING
        if State.FAILED in parts:
            self._blockers[job.id] = parts[State.FAILED].id
            return State.FAILED
        return None

    def _upstreams(self, job: Job) -> list[Job]:
        found = (job.run.job(identity) or self._lab.job(identity) for identity in job.upstream_ids())
        return [one for one in found if one is not None]

    def _blocker_among(self, job: Job, upstreams: Iterable[Job]) -> str:
        if job.selections() and self.results.resolve(job) is not None:
            # Of some realizations that failed it takes none.
            return ""
        for one in upstreams:
            if self._known[one.id] in (State.FAILED, State.BLOCKED):
                return self._blockers.get(one.id) or one.id
        return ""

    def _blocker_in(self, run: str) -> str | None:
        """A job of a run that keeps it from succeeding, if there is one."""
        if run not in self._run_blockers:
            # One after the other, so that looking at one run never waits for another.
            for name in self._order.up_to(run):
                self._look_at_run(name)
        return self._run_blockers[run] or None

    def _look_at_run(self, name: str) -> None:
        if name not in self._run_blockers:
            # Said first: a run is never asked for while it is being looked at, whatever the Lab claims.
            self._run_blockers[name] = ""
            for job in self._lab.run(name).jobs():
                if self.of(job) in (State.FAILED, State.BLOCKED):
                    self._run_blockers[name] = self._blockers.get(job.id) or job.id
                    break

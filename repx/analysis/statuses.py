"""How each job of a Lab stands today: by its record, its last failure, its claim and its upstreams; writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from repx.agent.base.layout import Store, realization
from repx.agent.base.state import State
from repx.agent.lab.run_file import Job, RunFile
from repx.analysis.status import unfinished_status
from repx.analysis.steps import Part, parts_of
from repx.lab.directory import LabDirectory
from repx.store.complete_runs import known_complete
from repx.store.current import CurrentResults

PATIENCE = 300
"""Jobs of a run that are looked at one by one before asking whether the whole run is known to be done."""


class Statuses:
    """Statuses of a Lab's jobs, each looked at once; what was seen stays, so make a new one to look again."""

    def __init__(self, lab: LabDirectory, store: Store) -> None:
        self.current = CurrentResults(lab, store)
        self._lab = lab
        self._store = store
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
            blocked_by = self._blocked_by_among(upstreams) or self._blocked_by_before(top)
            if blocked_by:
                self._blockers[top.id] = blocked_by
            self._known[top.id] = State.BLOCKED if blocked_by else State.PENDING
        return self._known[job.id]

    def blocked_by(self, job: Job) -> str:
        """What blocks a job, or the step because of which it failed: a job id; empty when nothing does."""
        self.of(job)
        return self._blockers.get(job.id, "")

    def directory(self, job: Job, index: int = 0) -> str:
        """Where a realization stands, or would stand."""
        outcome = self.current.outcome(job, index)
        if outcome is not None:
            return outcome.directory
        directory = self._store.job(job.id)
        key = self.current.key(job, index) if index else None
        return realization(directory, index, key) if key is not None else directory

    def parts(self, job: Job) -> Iterable[Part]:
        """The parts of a scatter-gather job, see `repx.analysis.steps`."""
        return parts_of(job, self._lab, self._store, self.current)

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
            if self.current.outcome(job, index) is None:
                directory = self.directory(job, index)
                statuses.append(unfinished_status(directory, self.current.key(job, index), self._store))
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

    def _blocked_by_among(self, upstreams: Iterable[Job]) -> str:
        for one in upstreams:
            if self._known[one.id] in (State.FAILED, State.BLOCKED):
                return self._blockers.get(one.id) or one.id
        return ""

    def _blocked_by_before(self, job: Job) -> str:
        """A failed job in a run that must succeed before this job's: only its first jobs and takers of results wait."""
        taken = job.runs_taken()
        if not job.run.dependencies or (job.upstream_ids() and not taken):
            return ""
        for name, kind in self._lab.dependencies(job.run).items():
            if kind == "hard" and (name in taken or not job.upstream_ids()):
                before = self._runs_up_to(name)
                # A job that an earlier run shares cannot wait for that run to end.
                if any(self._lab.run(run).job(job.id) for run in before):
                    continue
                for run in before:
                    self._look_at_run(run)
                if self._run_blockers[name]:
                    return self._run_blockers[name]
        return ""

    def _runs_up_to(self, name: str) -> list[str]:
        """A run and all it comes after, in the Lab's order: so that looking at one never waits for another."""
        wanted: set[str] = set()
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one not in wanted:
                wanted.add(one)
                waiting.extend(self._lab.dependencies(self._lab.run(one)))
        return [run for run in self._lab.runs if run in wanted]

    def _look_at_run(self, name: str) -> None:
        if name not in self._run_blockers:
            # Said first: a run is never asked for while it is being looked at, whatever the Lab claims.
            self._run_blockers[name] = ""
            for job in self._lab.run(name).jobs():
                if self.of(job) in (State.FAILED, State.BLOCKED):
                    self._run_blockers[name] = self._blockers.get(job.id) or job.id
                    break

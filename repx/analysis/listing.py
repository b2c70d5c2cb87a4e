"""Jobs as a listing asks for them, one by one, so that the first comes soon; and how many of each run stand how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from repx.agent.base.layout import Store
from repx.agent.base.state import State
from repx.agent.lab.run_file import Job, RunFile
from repx.analysis.status import SHOWN
from repx.analysis.statuses import Statuses
from repx.analysis.steps import PartStatus
from repx.errors import UsageError, nearest
from repx.lab.directory import LabDirectory
from repx.lab.job_order import sorted_jobs
from repx.lab.params import closest, read_condition
from repx.lab.plain_text import last_words
from repx.lab.selection import ParamNames, find_runs, listed_jobs, stage_names, typed_closeness, varying_params
from repx.model.names import unknown
from repx.store.attempts import all_attempts, cause_text, log_tail
from repx.store.complete_runs import known_complete

TAIL = 20
"""Lines of a log in which its last words are looked for."""

SORTED = 20_000
"""Jobs of a listing that are sorted. Of more than so many the first is to come soon, and nobody reads them in order."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to list. `names` as in `repx.lab.selection.listed_jobs`; `where` are texts `NAME=VALUE`."""

    names: tuple[str, ...] = ()
    stage: str = ""
    statuses: frozenset[State] = field(default_factory=frozenset)
    params: tuple[str, ...] = ()
    where: tuple[str, ...] = ()


class Row(NamedTuple):
    """One job of a listing."""

    job: Job
    statuses: Statuses

    @property
    def params(self) -> Mapping[str, Any]:
        """Its params and those that all it takes from agree on."""
        return self.statuses.results.inherited.of(self.job).one

    def values(self, name: str) -> Sequence[Any]:
        """All values it has under a name: several where what it takes from does not agree."""
        return self.statuses.results.inherited.values(self.job, name)

    @property
    def duration_s(self) -> float | None:
        """How long its last attempt took."""
        attempts = all_attempts(self.statuses.directory(self.job))
        return attempts[-1].end - attempts[-1].start if attempts else None

    @property
    def added(self) -> list[int]:
        """The indexes of the results that it has beyond those of its stage."""
        return self.statuses.added(self.job)

    @property
    def status(self) -> State:
        """How it stands: looked at only when asked, for that reads its record."""
        return self.statuses.of(self.job)

    @property
    def outputs(self) -> dict[str, str]:
        """Absolute paths by name, where there is a result for today's inputs."""
        outcome = self.statuses.results.outcome(self.job)
        return {} if outcome is None or outcome.is_collected else {name: outcome.path(name) for name in outcome.outputs}


class Listing:
    """The jobs of a query. Raises UsageError for names that name nothing, before the first row."""

    def __init__(self, lab: LabDirectory, store: Store, query: Query) -> None:
        self._lab = lab
        self._query = query
        self._statuses = Statuses(lab, store)
        self._where = dict(read_condition(text) for text in query.where)
        self._inherited = self._statuses.results.inherited
        known = ParamNames(lab)
        for name in (*query.params, *self._where):
            if name not in known:
                raise unknown("param", name, known)
        stages = stage_names(lab)
        if query.stage and not any(query.stage in stage for stage in stages):
            raise UsageError(f"no stage has {query.stage!r} in its name", hint=nearest(query.stage, stages))
        self._jobs = self._named(query.names)

    def rows(self) -> Iterator[Row]:
        """Each job once: run after run, each stage after those it takes from, by params; many as the Lab has them."""
        jobs: Iterator[Job] = (job for job in self._jobs if self._query.stage in job.stage.name)
        if self._where:
            jobs = iter(closest((job, job.stage.name, self._closeness(job)) for job in jobs))
        first = list(islice(jobs, SORTED + 1))
        found = chain(first, jobs) if len(first) > SORTED else iter(sorted_jobs(self._lab, first, self._inherited))
        for job in found:
            row = Row(job, self._statuses)
            if not self._query.statuses or row.status in self._query.statuses:
                yield row

    def varying(self, rows: Sequence[Row]) -> list[str]:
        """The names of params in which some rows of one stage differ."""
        names: dict[str, None] = {}
        by_stage: dict[str, list[Job]] = {}
        for row in rows:
            by_stage.setdefault(row.job.stage.name, []).append(row.job)
        for jobs in by_stage.values():
            for params in varying_params(self._lab, jobs, self._inherited):
                names.update(dict.fromkeys(params))
        return list(names)

    def _closeness(self, job: Job) -> list[int]:
        return typed_closeness(self._inherited, job, self._where)

    def parts(self, job: Job) -> Iterator[PartStatus]:
        """The scatter and the steps of a job; nothing for one that has none."""
        yield from self._statuses.parts(job)

    def _named(self, names: tuple[str, ...]) -> Iterator[Job]:
        if not names:
            return self._lab.jobs()
        found = [listed_jobs(self._lab, name) for name in names]
        return _each_once(found) if len(found) > 1 or names[0].startswith("@") else found[0]


class RunCounts(NamedTuple):
    """How the jobs of a run stand."""

    run: str
    counts: Mapping[State, int]
    steps: Mapping[State, int]
    """Of the parts of its scatter-gather jobs, where they are known."""


class Failure(NamedTuple):
    """A failed job, why, the step of it that failed, if it was one, and the last line of its standard error."""

    job: Job
    cause: str
    step: str
    last_words: str


@dataclass(frozen=True, slots=True)
class Summary:
    """How runs stand; `total` counts a job of several runs once."""

    runs: tuple[RunCounts, ...]
    total: Mapping[State, int]
    failures: tuple[Failure, ...]


def summarize(lab: LabDirectory, store: Store, names: tuple[str, ...]) -> Summary:
    """How the named runs and groups stand; all when none is named. Raises UsageError."""
    wanted = dict.fromkeys(run for name in names for run in find_runs(lab, name)) if names else dict.fromkeys(lab.runs)
    counter = _Counter(lab, store, count_once=len(wanted) > 1)
    runs = [counter.count(lab.run(name)) for name in wanted]
    return Summary(tuple(runs), counter.total, tuple(counter.failures))


class _Counter:
    def __init__(self, lab: LabDirectory, store: Store, *, count_once: bool) -> None:
        self._lab = lab
        self._store = store
        self._count_once = count_once
        self._statuses = Statuses(lab, store)
        self._seen: set[str] = set()
        self.total = dict.fromkeys(SHOWN, 0)
        self.failures: list[Failure] = []

    def count(self, run: RunFile) -> RunCounts:
        """How the jobs of one run stand; they are added to the total."""
        counts, steps = dict.fromkeys(SHOWN, 0), dict.fromkeys(SHOWN, 0)
        has_parts = any(stage.parts is not None for stage in run.stages.values())
        if not has_parts and known_complete(self._lab, self._store, [run.name]) is not None:
            counts[State.SUCCEEDED] = run.count
            self.total[State.SUCCEEDED] += sum(map(self._is_new, run.ids())) if self._count_once else run.count
            return RunCounts(run.name, counts, steps)
        for job in run.jobs():
            status = self._statuses.of(job)
            counts[status] += 1
            for part in self._statuses.parts(job) if job.parts is not None else ():
                steps[part.status] += 1
            if not self._count_once or self._is_new(job.id):
                self.total[status] += 1
                if status is State.FAILED:
                    self.failures.append(self._failure(job))
        return RunCounts(run.name, counts, steps)

    def _failure(self, job: Job) -> Failure:
        step = self._statuses.blocked_by(job)
        directory = self._store.job(step) if step else self._statuses.directory(job)
        attempts = all_attempts(directory)
        if not attempts:
            return Failure(job, "", step, "")
        tail, _ = log_tail(directory, attempts[-1], "stderr", TAIL)
        return Failure(job, cause_text(attempts[-1]), step, last_words("\n".join(tail)))

    def _is_new(self, identity: str) -> bool:
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True


def _each_once(found: list[Iterator[Job]]) -> Iterator[Job]:
    seen: set[str] = set()
    for jobs in found:
        for job in jobs:
            if job.id not in seen:
                seen.add(job.id)
                yield job

"""What stands of a Lab's jobs today, each looked at once: pulled through their inputs; starts and writes nothing.

It knows results alone. Whether a job that has none has failed, runs or is blocked, is for others to say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Optional, Protocol, Union

from repx.agent.base.layout import OUT, Store
from repx.agent.base.selector import SelectionError
from repx.agent.lab.inherited import Inherited
from repx.agent.lab.job_line import FromJob
from repx.agent.lab.place import LabRoot
from repx.agent.lab.run_file import Job, RunFile
from repx.agent.resolve import (
    Inputs,
    Realized,
    Reason,
    Resolved,
    ResultsInput,
    Upstreams,
    job_inputs,
    key_of,
    look_up,
    reason_to_run,
)
from repx.agent.run_results import RunResults, results_of_run, results_path
from repx.agent.scatter import PartJob, ScatterGather
from repx.agent.selections import Awaited, AwaitedError, Looked, Selections


class LabJobs(Protocol):
    """What a resolver needs of a Lab."""

    root: LabRoot
    """Where its stored paths are places of."""

    def run(self, name: str) -> RunFile:
        """A run by its name."""

    def job(self, identity: str) -> Job | None:
        """A job by its id."""


AWAITED = Awaited()

Missing = Union[Awaited, None]
Find = Callable[[Store, str, int, str], Optional[Realized]]


class Resolver:
    """Inputs, keys and results of a Lab's jobs as they are today.

    What was seen stays, unless `note` or `forget_missing` says otherwise. `find` looks for what stands under a key, by
    store, job, index and key.
    """

    def __init__(self, lab: LabJobs, store: Store, find: Find = look_up) -> None:
        self._lab = lab
        self._store = store
        self._find = find
        self._realized: dict[str, Realized] = {}
        self._missing: dict[str, Missing] = {}
        self._further: dict[tuple[str, int], Looked] = {}
        self.selections = Selections(store, self._look)
        """The realizations of jobs, and what selectors choose of them."""
        self._upstreams = Upstreams(self._must, self._must_results, self._must_selected)
        self._results: dict[str, RunResults] = {}
        self._open_runs: set[str] = set()
        self._told_results: dict[str, ResultsInput] = {}
        self.inherited = Inherited(lab.job)
        """The params of jobs and of everything upstream."""
        self._looks: dict[str, int] = {}
        """Which directories the outputs of results were in that somebody has told of."""

    def note(self, job: str, known: Realized | Missing) -> None:
        """What has become of a job meanwhile: its outcome, AWAITED while it is to run, None when it will have none."""
        if self._open_runs and isinstance(self._missing.get(job), Awaited):
            self._open_runs.clear()
        if isinstance(known, Realized):
            before = self._realized.get(job)
            if before is not None and before.is_collected:
                # It was made again, maybe with other contents.
                self._results.clear()
            self._realized[job] = known
            self._missing.pop(job, None)
        else:
            self._missing[job] = known
            self._realized.pop(job, None)

    def note_further(self, job: str, index: int, known: Looked) -> None:
        """What has become of a further realization meanwhile."""
        self._further[job, index] = known
        self.selections.forget()

    def note_key(self, job: str, key: str) -> None:
        """A result of this key is said to be the job's of today. Where there is none, the job is looked at as ever."""
        known = self._realized.get(job)
        if known is None or known.key != key or self._looks.get(job) != _look_at(known):
            found = self._find(self._store, job, 0, key)
            if found is not None:
                self.note_made(job, found)

    def note_made(self, job: str, made: Realized) -> None:
        """A result that stands now. Where another one takes its place under the same key, that is seen."""
        self._looks[job] = _look_at(made)
        self.note(job, made)

    def note_results(self, run: str, digest: str) -> None:
        """The results of a run are said to be these, and their file to be there."""
        self._told_results[run] = ResultsInput(run, results_path(self._store, run, digest), digest)

    def seen(self, job: str) -> Realized | None:
        """The result of a job, if it has been seen."""
        return self._realized.get(job)

    def forget_missing(self) -> None:
        """Look again for what was not there: others may have made it."""
        if self._missing:
            self._results.clear()
            self._open_runs.clear()
        self._missing.clear()
        # A forced run may put others in place of these, under the same keys: nobody tells of them one by one.
        self._further.clear()
        self.selections.forget()

    def outcome(self, job: Job, index: int = 0) -> Realized | None:
        """The realization that is valid for today's inputs; None when there is none."""
        found = self._look(job, index)
        return found if isinstance(found, Realized) else None

    def resolve(self, job: Job, index: int = 0) -> Resolved | None:
        """The inputs and the key of a realization; None while something upstream, or a part of it, has no result."""
        self._pull(job)
        return self.resolve_seen(job, index)

    def resolve_seen(self, job: Job, index: int = 0) -> Resolved | None:
        """The same of a job all of whose upstreams have been seen or noted."""
        try:
            inputs = job_inputs(job, self._lab.root, self._upstreams)
        except _MissingError:
            return None
        if job.parts is not None:
            return ScatterGather(job, inputs).resolve_gather(self.look_up_part)
        return Resolved(inputs, key_of(job.recipe, index, inputs))

    def inputs(self, job: Job) -> Inputs | None:
        """The inputs of a job, of a scatter-gather those of the whole; None while something upstream has no result."""
        self._pull(job)
        try:
            return job_inputs(job, self._lab.root, self._upstreams)
        except _MissingError:
            return None

    def chosen_of(self, source: FromJob) -> list[int]:
        """The indexes of the realizations that an input takes; none while its selector cannot choose."""
        try:
            return [index for index, _ in self._selected(source)]
        except (SelectionError, AwaitedError):
            return []

    def selection_problem(self, job: Job) -> tuple[FromJob, str] | None:
        """The first input of a job whose selector cannot choose among what has been made, and why."""
        for source in job.selections():
            try:
                self._selected(source)
            except (SelectionError, AwaitedError) as error:
                return source, str(error)
        return None

    def resolve_part(self, job: Job, step: str, item: str | None) -> tuple[PartJob, Resolved] | None:
        """The scatter of a scatter-gather job, or a step of it for one item; None while what makes it is not there."""
        whole = self.scatter_gather(job)
        if whole is None:
            return None
        if item is None:
            return whole.scatter()
        for part in whole.branch(item, self.look_up_part):
            if part.step == step and part.job is not None and part.resolved is not None:
                return part.job, part.resolved
        return None

    def scatter_gather(self, job: Job) -> ScatterGather | None:
        """The inside of a scatter-gather job; None while something upstream has no result."""
        inputs = self.inputs(job)
        return None if inputs is None else ScatterGather(job, inputs)

    def look_up(self, job: Job | PartJob, resolved: Resolved, index: int = 0) -> Realized | None:
        """What stands under a key, looked for on disk."""
        return self._find(self._store, job.id, index, resolved.key)

    def look_up_part(self, part: PartJob, resolved: Resolved) -> Realized | None:
        """What stands of a part of a scatter-gather, looked for once; equal items share their steps."""
        if not self._is_seen(part.id):
            self.note(part.id, self.look_up(part, resolved))
        return self._realized.get(part.id)

    def reason(self, job: Job | PartJob, resolved: Resolved | None, index: int = 0) -> Reason:
        """Why a job without a result is to run."""
        return Reason.UPSTREAM if resolved is None else reason_to_run(self._store, job.id, index, resolved.key)

    def results(self, run: str) -> RunResults | None:
        """The results of a run all of whose jobs have been looked at; None while one of them is to run."""
        # Many may take the results of one run: it is gone through once, whether they are there or not.
        if run not in self._results and run not in self._open_runs:
            file = self._lab.run(run)
            if any(isinstance(self._missing.get(identity), Awaited) for identity in file.ids()) or any(
                isinstance(one, Awaited) for one in self._further.values()
            ):
                self._open_runs.add(run)
            else:
                self._results[run] = results_of_run(file, self._all_realized, self.inherited)
        return self._results.get(run)

    def _all_realized(self, job: Job) -> Iterable[tuple[int, Realized | None]]:
        """Every realization of a job with its index; one without a result has failed."""
        if job.stage.realizations == 1:
            return [(0, self._realized.get(job.id))]
        made, missing = self.selections.realizations(job)
        found: list[tuple[int, Realized | None]] = [*made.items(), *((index, None) for index in missing)]
        return sorted(found, key=lambda one: one[0])

    def _look(self, job: Job, index: int) -> Looked:
        if index:
            if (job.id, index) not in self._further:
                resolved = self.resolve(job, index)
                self._further[job.id, index] = None if resolved is None else self.look_up(job, resolved, index)
            return self._further[job.id, index]
        self._pull(job)
        if not self._is_seen(job.id):
            self._see(job)
        return self._realized.get(job.id) or self._missing.get(job.id)

    def _pull(self, job: Job) -> None:
        """Look at everything that a job takes from, and at what that takes from."""
        stack = [job]
        opened: set[str] = set()
        while stack:
            top = stack[-1]
            waiting = self._unknown_upstreams(top)
            if waiting:
                if top.id in opened:
                    raise top.run.circle(top.id)
                opened.add(top.id)
                stack.extend(waiting)
                continue
            stack.pop()
            if stack and not self._is_seen(top.id):
                self._see(top)

    def _see(self, job: Job) -> None:
        """Look for a job all of whose upstreams have been seen."""
        resolved = self.resolve_seen(job, 0)
        self.note(job.id, None if resolved is None else self.look_up(job, resolved))

    def _is_seen(self, identity: str) -> bool:
        return identity in self._realized or identity in self._missing

    def _unknown_upstreams(self, job: Job) -> list[Job]:
        unknown = []
        for identity in job.upstream_ids():
            if not self._is_seen(identity):
                upstream = job.run.job(identity) or self._lab.job(identity)
                if upstream is None:
                    self._missing[identity] = None
                else:
                    unknown.append(upstream)
        for name in job.runs_taken():
            if name not in self._results and name not in self._told_results and name not in self._open_runs:
                run = self._lab.run(name)
                waiting = [identity for identity in run.ids() if not self._is_seen(identity)]
                unknown.extend(one for one in map(run.job, waiting) if one is not None)
        return unknown

    def _must(self, identity: str) -> Realized:
        try:
            return self._realized[identity]
        except KeyError:
            raise _MissingError from None

    def _must_selected(self, source: FromJob) -> list[tuple[int, Realized]]:
        try:
            return self._selected(source)
        except (SelectionError, AwaitedError):
            raise _MissingError from None

    def _selected(self, source: FromJob) -> list[tuple[int, Realized]]:
        job = self._lab.job(source.job)
        if job is None or source.selector is None:
            raise SelectionError("job %s is not in the Lab" % source.job)
        return self.selections.choose(job, source.selector)

    def _must_results(self, run: str) -> ResultsInput:
        if run in self._told_results:
            return self._told_results[run]
        results = self.results(run)
        if results is None:
            raise _MissingError
        return ResultsInput(run, results.path(self._store), results.digest)


def _look_at(made: Realized) -> int:
    """Which directory a result's outputs are in: a forced run may put others there under the same key."""
    try:
        return os.stat("%s/%s" % (made.directory, OUT)).st_ino
    except OSError:
        return 0


class _MissingError(Exception):
    """Something upstream has no result."""

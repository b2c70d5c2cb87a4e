"""What stands of a Lab's jobs today, each looked at once: pulled through their inputs; starts and writes nothing.

It knows results alone. Whether a job that has none has failed, runs or is blocked, is for others to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Union

from repx.agent.base.layout import Store
from repx.agent.lab.inherited import effective_params
from repx.agent.lab.run_file import Job, RunFile
from repx.agent.resolve import (
    Inputs,
    Realized,
    Reason,
    Resolved,
    ResultsInput,
    job_inputs,
    key_of,
    look_up,
    reason_to_run,
)
from repx.agent.run_results import RunResults, results_of_run
from repx.agent.scatter import PartJob, ScatterGather


class LabJobs(Protocol):
    """What a resolver needs of a Lab."""

    @property
    def path(self) -> str:
        """The Lab's directory."""

    def run(self, name: str) -> RunFile:
        """A run by its name."""

    def job(self, identity: str) -> Job | None:
        """A job by its id."""


class Awaited:
    """In place of an outcome: the job is to run, so what takes from it cannot be resolved yet."""


AWAITED = Awaited()

Known = Union[Realized, Awaited, None]


class Resolver:
    """Inputs, keys and results of a Lab's jobs as they are today. What was seen stays, unless `note` says otherwise."""

    def __init__(self, lab: LabJobs, store: Store) -> None:
        self._lab = lab
        self._store = store
        self._known: dict[str, Known] = {}
        self._further: dict[tuple[str, int], Realized | None] = {}
        self._results: dict[str, RunResults | None] = {}
        self._effective: dict[str, dict[str, Any]] = {}

    def note(self, job: str, known: Known) -> None:
        """What has become of a job meanwhile: its outcome, AWAITED while it is to run, None when it will have none."""
        self._known[job] = known

    def outcome(self, job: Job, index: int = 0) -> Realized | None:
        """The realization that is valid for today's inputs; None when there is none."""
        if index:
            if (job.id, index) not in self._further:
                resolved = self.resolve(job, index)
                self._further[job.id, index] = None if resolved is None else self.look_up(job, resolved, index)
            return self._further[job.id, index]
        self._pull(job)
        if job.id not in self._known:
            resolved = self._resolve(job, 0)
            self._known[job.id] = None if resolved is None else self.look_up(job, resolved)
        known = self._known[job.id]
        return None if isinstance(known, Awaited) else known

    def resolve(self, job: Job, index: int = 0) -> Resolved | None:
        """The inputs and the key of a realization; None while something upstream, or a part of it, has no result."""
        self._pull(job)
        return self._resolve(job, index)

    def inputs(self, job: Job) -> Inputs | None:
        """The inputs of a job, of a scatter-gather those of the whole; None while something upstream has no result."""
        self._pull(job)
        try:
            return job_inputs(job, self._lab.path, self._must, self._must_results)
        except _MissingError:
            return None

    def scatter_gather(self, job: Job) -> ScatterGather | None:
        """The inside of a scatter-gather job; None while something upstream has no result."""
        inputs = self.inputs(job)
        return None if inputs is None else ScatterGather(job, inputs)

    def look_up(self, job: Job | PartJob, resolved: Resolved, index: int = 0) -> Realized | None:
        """What stands under a key, looked for on disk."""
        return look_up(self._store, job.id, index, resolved.key)

    def look_up_part(self, part: PartJob, resolved: Resolved) -> Realized | None:
        """What stands of a part of a scatter-gather, looked for once; equal items share their steps."""
        if part.id not in self._known:
            self._known[part.id] = self.look_up(part, resolved)
        known = self._known[part.id]
        return None if isinstance(known, Awaited) else known

    def reason(self, job: Job | PartJob, resolved: Resolved | None, index: int = 0) -> Reason:
        """Why a job without a result is to run."""
        return Reason.UPSTREAM if resolved is None else reason_to_run(self._store, job.id, index, resolved.key)

    def results(self, run: str) -> RunResults | None:
        """The results of a run all of whose jobs have been looked at; None while one of them is to run."""
        if self._results.get(run) is None:
            file = self._lab.run(run)
            known = [self._known[identity] for identity in file.ids()]
            is_open = any(isinstance(one, Awaited) for one in known)
            self._results[run] = None if is_open else results_of_run(file, self._outcome_of, self.effective_params)
        return self._results[run]

    def effective_params(self, job: Job) -> Mapping[str, Any]:
        """Its params and those of everything upstream, its own last."""
        return effective_params(job, self._lab.job, self._effective)

    def _pull(self, job: Job) -> None:
        """Look at everything that a job takes from, and at what that takes from."""
        stack = [job]
        while stack:
            top = stack[-1]
            waiting = self._unknown_upstreams(top)
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if stack and top.id not in self._known:
                resolved = self._resolve(top, 0)
                self._known[top.id] = None if resolved is None else self.look_up(top, resolved)

    def _unknown_upstreams(self, job: Job) -> list[Job]:
        known = self._known
        unknown = []
        for identity in job.upstream_ids():
            if identity not in known:
                upstream = job.run.job(identity) or self._lab.job(identity)
                if upstream is None:
                    known[identity] = None
                else:
                    unknown.append(upstream)
        for name in job.runs_taken():
            if name not in self._results:
                run = self._lab.run(name)
                missing = [identity for identity in run.ids() if identity not in known]
                unknown.extend(one for one in map(run.job, missing) if one is not None)
        return unknown

    def _resolve(self, job: Job, index: int) -> Resolved | None:
        try:
            inputs = job_inputs(job, self._lab.path, self._must, self._must_results)
        except _MissingError:
            return None
        if job.parts is not None:
            return ScatterGather(job, inputs).resolve_gather(self.look_up_part)
        return Resolved(inputs, key_of(job.recipe, index, inputs))

    def _outcome_of(self, identity: str) -> Realized | None:
        known = self._known[identity]
        return None if isinstance(known, Awaited) else known

    def _must(self, identity: str) -> Realized:
        outcome = self._outcome_of(identity)
        if outcome is None:
            raise _MissingError
        return outcome

    def _must_results(self, run: str) -> ResultsInput:
        results = self.results(run)
        if results is None:
            raise _MissingError
        return ResultsInput(run, results.path(self._store), results.digest)


class _MissingError(Exception):
    """Something upstream has no result."""

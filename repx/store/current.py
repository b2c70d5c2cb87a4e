"""Which jobs of a Lab are done today: looked up once each, upstreams first; writes nothing."""

from __future__ import annotations

from typing import Any

from repx.agent.base.layout import Store
from repx.agent.base.record import resolved_key
from repx.agent.lab.run_file import Job, RunFile
from repx.lab.directory import LabDirectory
from repx.lab.inherited import effective_params
from repx.store.outcomes import (
    Outcome,
    hashed_inputs,
    job_inputs,
    look_up,
    resolve,
    results_text,
)
from repx.store.scatter import ScatterResults


class CurrentResults:
    """Which jobs of a Lab are done today: each looked up once, its upstreams first."""

    def __init__(self, lab: LabDirectory, store: Store) -> None:
        self._lab = lab
        self._store = store
        self._known: dict[tuple[str, int], Outcome | None] = {}
        self._keys: dict[str, str] = {}
        self._results: dict[str, tuple[str, str] | None] = {}
        self._effective: dict[str, dict[str, Any]] = {}

    def outcome(self, job: Job, index: int = 0) -> Outcome | None:
        """The realization that is valid for today's inputs; None when there is none."""
        stack = [job]
        while stack:
            top = stack[-1]
            if (top.id, 0) not in self._known:
                waiting = self._missing_upstreams(top)
                if waiting:
                    stack.extend(waiting)
                    continue
                self._known[top.id, 0] = self._look_up(top, 0)
            stack.pop()
        if index and (job.id, index) not in self._known:
            self._known[job.id, index] = self._look_up(job, index)
        return self._known[job.id, index]

    def key(self, job: Job, index: int = 0) -> str | None:
        """The resolved key of a realization; None while an upstream has no result."""
        self.outcome(job)
        if index == 0:
            return self._keys.get(job.id)
        inputs = self.inputs(job)
        return None if inputs is None else resolved_key(job.recipe, index, hashed_inputs(inputs))

    def inputs(self, job: Job) -> dict[str, Any] | None:
        """A job's inputs as a worker takes them; None while an upstream has no result."""
        self.outcome(job)
        try:
            return job_inputs(job, self._lab.path, self._must, self._must_results)
        except _MissingError:
            return None

    def effective_params(self, job: Job) -> dict[str, Any]:
        """Its params and those of everything upstream, its own last."""
        return effective_params(job, self._lab.job, self._effective)

    def _missing_upstreams(self, job: Job) -> list[Job]:
        missing = []
        for identity in job.upstream_ids():
            if (identity, 0) not in self._known:
                upstream = job.run.job(identity) or self._lab.job(identity)
                if upstream is not None:
                    missing.append(upstream)
        for name in job.runs_taken():
            if name not in self._results:
                waiting = [one for one in self._lab.run(name).jobs() if (one.id, 0) not in self._known]
                if waiting:
                    missing.extend(waiting)
                else:
                    self._results[name] = self._results_of(self._lab.run(name))
        return missing

    def _look_up(self, job: Job, index: int) -> Outcome | None:
        if job.parts is not None:
            return self._scatter_gather(job)
        try:
            resolved = resolve(job, index, self._lab.path, self._must, self._must_results)
        except _MissingError:
            return None
        if index == 0:
            self._keys[job.id] = resolved.key
        return look_up(self._store, job.id, index, resolved.key)

    def _scatter_gather(self, job: Job) -> Outcome | None:
        try:
            resolved = ScatterResults(job, self._lab.path, self._store, self._must, self._must_results).gather()
        except _MissingError:
            return None
        if resolved is None:
            return None
        self._keys[job.id] = resolved.key
        return look_up(self._store, job.id, 0, resolved.key)

    def _must(self, identity: str) -> Outcome:
        outcome = self._known.get((identity, 0))
        if outcome is None:
            raise _MissingError
        return outcome

    def _must_results(self, run: str) -> tuple[str, str]:
        results = self._results.get(run)
        if results is None:
            raise _MissingError
        return results

    def _results_of(self, run: RunFile) -> tuple[str, str]:
        outcomes = {job.id: self._known[job.id, 0] for job in run.jobs()}
        return "", results_text(run, outcomes, self.effective_params).digest


class _MissingError(Exception):
    """Something upstream has no result."""

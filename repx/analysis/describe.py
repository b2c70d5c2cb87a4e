"""Everything there is to say of one job, as a value that a command prints: recipe, inputs, outputs, last attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repx.agent.base.layout import Store
from repx.agent.lab.inherited import effective_params
from repx.agent.lab.job_line import FromJob, FromRun, InputSource
from repx.agent.lab.run_file import Job
from repx.analysis.status import SHOWN
from repx.analysis.statuses import Statuses
from repx.analysis.steps import StoredJob
from repx.lab.directory import LabDirectory
from repx.store.attempts import all_attempts, cause_text

_ATTEMPT = ("start", "end", "host", "exit", "signal", "cause", "detail", "max_rss", "cpu", "isolation")


def describe_job(job: Job, lab: LabDirectory, store: Store) -> dict[str, Any]:
    """A job of the Lab; all paths are absolute."""
    statuses = Statuses(lab, store)
    status = statuses.of(job)
    outcome = statuses.results.outcome(job)
    directory = statuses.directory(job)
    stage = job.stage
    known: dict[str, dict[str, Any]] = {}
    effective = effective_params(job, lab.job, known)
    described: dict[str, Any] = {
        "id": job.id,
        "stage": stage.name,
        "version": stage.version,
        "runs": [run.name for run in lab.runs.values() if run.job(job.id) is not None],
        "status": status.value,
        "because_of": statuses.blocked_by(job) or None,
        "stage_type": job.stage_type,
        "kind": stage.kind,
        "about": stage.doc or None,
        "source": stage.source,
        "script": f"{lab.path}/{stage.executable}",
        "realizations": stage.realizations,
        "params": job.params,
        "inherited": {
            name: {"value": value, "from": _origin(job, name, lab, known)}
            for name, value in effective.items()
            if name not in job.params
        },
        "resources": {name: _resource(job, name, lab) for name in job.hints.said()},
        "inputs": [_input(source, lab, statuses) for source in job.inputs],
        "outputs": {
            name: {"path": f"{directory}/out/{path}", "there": outcome is not None}
            | ({"size": outcome.outputs[name].size} if outcome is not None else {})
            for name, path in stage.outputs.items()
        },
    }
    if job.parts is not None:
        counts = dict.fromkeys(SHOWN, 0)
        for part in statuses.parts(job):
            counts[part.status] += 1
        described["steps"] = {one.value: count for one, count in counts.items() if count}
    return described | _attempts(directory)


def describe_stored(job: StoredJob) -> dict[str, Any]:
    """A step of a scatter-gather, as far as its record says."""
    outputs = {} if job.record is None else job.record.outputs
    return {
        "id": job.id,
        "stage": job.stage,
        "status": job.status.value,
        "stage_type": "step",
        "outputs": {
            name: {"path": f"{job.directory}/out/{output.path}", "there": True, "size": output.size}
            for name, output in outputs.items()
        },
    } | _attempts(job.directory)


def _attempts(directory: str) -> dict[str, Any]:
    attempts = all_attempts(directory)
    if not attempts:
        return {"attempts": 0, "attempt": None}
    last = attempts[-1]
    told = {name: getattr(last, name) for name in _ATTEMPT} | {"isolation": last.isolation or None}
    told["failure"] = cause_text(last) or None
    return {"attempts": len(attempts), "attempt": told}


def _origin(job: Job, name: str, lab: LabDirectory, known: Mapping[str, Mapping[str, Any]]) -> str:
    """The job a param is inherited from: of the upstreams that have it the last, and so on."""
    while name not in job.params:
        upstreams = [one for identity in job.upstream_ids() if (one := job.run.job(identity) or lab.job(identity))]
        job = next(one for one in reversed(upstreams) if name in known[one.id])
    return job.id


def _resource(job: Job, name: str, lab: LabDirectory) -> dict[str, Any]:
    """What is asked for, and the upstream job that asks for as much, if one does: requests grow downstream."""
    value = job.hints.said()[name]
    top = job
    seen: set[str] = set()
    while top.id not in seen:
        seen.add(top.id)
        for identity in top.upstream_ids():
            one = top.run.job(identity) or lab.job(identity)
            if one is not None and one.hints.said().get(name) == value:
                top = one
                break
    return {"value": value, "from": None if top is job else top.id}


def _input(source: InputSource, lab: LabDirectory, statuses: Statuses) -> dict[str, Any]:
    described: dict[str, Any] = {"name": source.input}
    if isinstance(source, FromJob):
        upstream = lab.job(source.job)
        outcome = None if upstream is None else statuses.results.outcome(upstream)
        path = None if outcome is None else outcome.path(source.output)
        return described | {"job": source.job, "output": source.output, "path": path}
    if isinstance(source, FromRun):
        return described | {"run": source.run}
    return described | {"path": f"{lab.path}/{source.place}"}

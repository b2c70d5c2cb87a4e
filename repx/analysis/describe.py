"""Everything there is to say of one job, as a value that a command prints: recipe, inputs, outputs, last attempt."""

from __future__ import annotations

from typing import Any

from repx.agent.base.files import read_if_there
from repx.agent.base.layout import RECORD, Store
from repx.agent.base.record import Attempt, RecordError, decode_way, read_outcome
from repx.agent.lab.inherited import Inherited, is_same
from repx.agent.lab.job_line import FromJob, FromRun, InputSource, Stored
from repx.agent.lab.run_file import Job
from repx.analysis.status import SHOWN
from repx.analysis.statuses import Statuses
from repx.analysis.steps import StoredJob
from repx.lab.directory import LabDirectory
from repx.lab.params import named
from repx.store.attempts import all_attempts, cause_text

_ATTEMPT = ("start", "end", "host", "exit", "signal", "cause", "detail", "max_rss", "cpu", "isolation", "passed_env")


_MOST_EARLIER = 20
"""Earlier attempts that are described, the last ones."""


def describe_job(job: Job, lab: LabDirectory, store: Store, index: int = 0) -> dict[str, Any]:
    """A job of the Lab, with the outputs and attempts of one realization; all paths are absolute."""
    statuses = Statuses(lab, store)
    statuses.check_index(job, index)
    status = statuses.of(job)
    outcome = statuses.results.outcome(job, index)
    directory = statuses.directory(job, index)
    record = None if outcome is None else read_outcome(f"{directory}/{RECORD}")
    stage = job.stage
    inherited = statuses.results.inherited
    effective = inherited.of(job)
    # A path that it takes itself stands among its inputs.
    own = {*job.params, *(source.input for source in job.inputs if isinstance(source, Stored))}
    origins = {name: _origin(job, name, inherited) for name in effective.one if name not in own}
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
        "added": statuses.added(job),
        "params": {name: named(value) for name, value in job.params.items()},
        "inherited": {
            name: {"value": named(effective.one[name]), "from": origin} for name, origin in origins.items() if origin
        },
        "arguments": {name: named(effective.one[name]) for name, origin in origins.items() if not origin},
        "resources": {name: _resource(job, name, lab) for name in job.hints.said()},
        "adopted_from": None if record is None else record.adopted or None,
        "inputs": [_input(source, lab, statuses) for source in job.inputs],
        "chosen": {} if record is None else {name: list(indexes) for name, indexes in record.chosen.items()},
        "outputs": {
            name: {"path": f"{directory}/out/{path}", "there": outcome is not None and not outcome.is_collected}
            | ({"size": outcome.outputs[name].size} if outcome is not None else {})
            for name, path in stage.outputs.items()
        },
    }
    if job.parts is not None:
        counts = dict.fromkeys(SHOWN, 0)
        for part in statuses.parts(job):
            counts[part.status] += 1
        described["steps"] = {one.value: count for one, count in counts.items() if count}
    return described | _attempts(directory) | _way(directory)


def describe_stored(job: StoredJob) -> dict[str, Any]:
    """A step of a scatter-gather, as far as its record says."""
    outputs = {} if job.record is None else job.record.outputs
    return (
        {
            "id": job.id,
            "stage": job.stage,
            "status": job.status.value,
            "stage_type": "step",
            "outputs": {
                name: {"path": f"{job.directory}/out/{output.path}", "there": not job.is_collected, "size": output.size}
                for name, output in outputs.items()
            },
        }
        | _attempts(job.directory)
        | _way(job.directory)
    )


def _way(directory: str) -> dict[str, Any]:
    """Out of which stores and archives a result has come here; nothing for one that was made here."""
    try:
        way = decode_way(read_if_there(f"{directory}/{RECORD}") or b"")
    except RecordError:
        return {}
    return {"came_from": [journey._asdict() for journey in way]} if way else {}


def _attempts(directory: str) -> dict[str, Any]:
    attempts = all_attempts(directory)
    if not attempts:
        return {"attempts": 0, "attempt": None, "earlier": []}
    *earlier, last = map(_attempt, attempts)
    return {"attempts": len(attempts), "attempt": last, "earlier": earlier[-_MOST_EARLIER:]}


def _attempt(one: Attempt) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in _ATTEMPT} | {"isolation": one.isolation or None}
    return told | {"failure": cause_text(one) or None}


def _origin(job: Job, name: str, inherited: Inherited) -> str:
    """The job a param is inherited from: of those that have it so, the first on the way up; empty for an argument."""
    value, param = inherited.of(job).one[name], name.rpartition(".")[2]
    stack, seen = [job], {job.id}
    while stack:
        top = stack.pop()
        own = {**{source.input: source.place for source in top.inputs if isinstance(source, Stored)}, **top.params}
        if top is not job and param in own and is_same(own[param], value):
            return top.id
        ids = [identity for identity in top.upstream_ids() if identity not in seen]
        seen.update(ids)
        stack.extend(one for identity in ids if (one := inherited.upstream(top, identity)) is not None)
    return ""


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
        if source.selector is not None:
            return described | {"job": source.job, "output": source.output, "selector": source.selector.text}
        upstream = lab.job(source.job)
        outcome = None if upstream is None else statuses.results.outcome(upstream)
        path = None if outcome is None else outcome.path(source.output)
        return described | {"job": source.job, "output": source.output, "path": path}
    if isinstance(source, FromRun):
        return described | {"run": source.run}
    return described | {"path": f"{lab.path}/{source.place}"}

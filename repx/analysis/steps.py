"""The parts of scatter-gather jobs, once the scatter has run, and jobs known by their records alone; starts nothing.

The steps of a scatter-gather job stand in no run file: their ids come of their items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repx.agent.base.digest import ID_LENGTH
from repx.agent.base.layout import RECORD, Store
from repx.agent.base.names import is_job_id
from repx.agent.base.record import Outcome as RecordedOutcome
from repx.agent.base.record import failure_of, read_outcome
from repx.agent.base.state import State
from repx.agent.lab.run_file import Job
from repx.analysis.status import unfinished_status
from repx.errors import UsageError
from repx.lab.directory import LabDirectory
from repx.lab.selection import find_job
from repx.model.names import parse_job_id
from repx.store.current import CurrentResults
from repx.store.outcomes import Outcome, Resolved, look_up
from repx.store.scatter import ItemsError, PartJob, ScatterGatherJob


@dataclass(frozen=True, slots=True)
class Part:
    """The scatter or one step of a scatter-gather; `id` is empty while what makes it is not known yet."""

    id: str
    step: str
    stage: str
    item: str | None
    status: State
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job of which the store has something and the Lab no line: a step, or the scatter before them."""

    id: str
    directory: str
    record: RecordedOutcome | None
    status: State

    @property
    def stage(self) -> str:
        """Its stage's name."""
        return parse_job_id(self.id)[1]


def parts_of(job: Job, lab: LabDirectory, store: Store, current: CurrentResults) -> Iterator[Part]:
    """The scatter, then the steps of each work item, equal ones once; nothing while the inputs are not there."""
    inputs = current.inputs(job)
    if inputs is None or job.parts is None:
        return
    whole = ScatterGatherJob(job, inputs)
    part, resolved = whole.scatter()
    scatter = look_up(store, part.id, 0, resolved.key)
    yield _part("scatter", None, part, resolved, scatter, store)
    if scatter is None:
        return
    try:
        items = whole.items(scatter)
    except (ItemsError, OSError):
        return
    seen: set[str] = set()
    for item in items:
        for one in _branch(whole, item, scatter, store):
            if not one.id or one.id not in seen:
                seen.add(one.id)
                yield one


def find_job_or_step(lab: LabDirectory, store: Store, name: str) -> Job | StoredJob:
    """One job of the Lab, else one that only the store knows, by the start of its id. Raises UsageError."""
    try:
        return find_job(lab, name)
    except UsageError:
        stored = _stored(lab, store, name)
        if stored is None:
            raise
        return stored


def _branch(whole: ScatterGatherJob, item: str, scatter: Outcome, store: Store) -> Iterator[Part]:
    done: dict[str, Outcome] = {}
    stuck: set[str] = set()
    for step in whole.steps:
        stage = step.stage.name
        if any(name not in done for name in step.before):
            is_stuck = any(name in stuck for name in step.before)
            stuck.update([step.name] if is_stuck else [])
            yield Part("", step.name, stage, item, State.BLOCKED if is_stuck else State.PENDING, {})
            continue
        part, resolved = whole.step(step, item, done, scatter)
        outcome = look_up(store, part.id, 0, resolved.key)
        one = _part(step.name, item, part, resolved, outcome, store)
        if outcome is not None:
            done[step.name] = outcome
        elif one.status is State.FAILED:
            stuck.add(step.name)
        yield one


def _part(
    step: str, item: str | None, part: PartJob, resolved: Resolved, outcome: Outcome | None, store: Store
) -> Part:
    status = State.SUCCEEDED
    if outcome is None:
        status = unfinished_status(store.job(part.id), resolved.key, store) or State.PENDING
    return Part(part.id, step, part.stage.name, item, status, part.params)


def _stored(lab: LabDirectory, store: Store, name: str) -> StoredJob | None:
    # One list of names per command; shorter starts are no ids anybody means.
    if len(name) < 4 or not name[: min(len(name), ID_LENGTH)].isalnum():
        return None
    if any(run.with_prefix(name, 1) for run in lab.runs.values()):
        return None
    try:
        found = sorted(path.name for path in Path(store.outputs).iterdir() if path.name.startswith(name))
    except OSError:
        return None
    found = [one for one in found if is_job_id(one)]
    if len(found) > 1:
        facts = [("they are", "\n".join(found[:12]))]
        raise UsageError(f"{name!r} is the start of several job ids", facts=facts, hint="give more of it")
    return _read_stored(found[0], store) if found else None


def _read_stored(identity: str, store: Store) -> StoredJob:
    directory = store.job(identity)
    outcome = read_outcome(f"{directory}/{RECORD}")
    if outcome is not None:
        return StoredJob(identity, directory, outcome, State.SUCCEEDED)
    failure = failure_of(directory)
    status = unfinished_status(directory, None if failure is None else failure.key, store)
    return StoredJob(identity, directory, failure, status or State.PENDING)

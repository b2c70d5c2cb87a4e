"""The parts of scatter-gather jobs, once the scatter has run, and jobs known by their records alone; starts nothing.

The steps of a scatter-gather job stand in no run file: their ids come of their items.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repx.agent.base.digest import ID_LENGTH
from repx.agent.base.found import failure_of
from repx.agent.base.layout import COLLECTED, RECORD, Store
from repx.agent.base.names import is_job_id
from repx.agent.base.record import Outcome as RecordedOutcome
from repx.agent.base.record import read_outcome
from repx.agent.base.state import State
from repx.agent.lab.run_file import Job
from repx.agent.resolver import Resolver
from repx.agent.scatter import ItemsError, Part
from repx.analysis.status import unfinished_status
from repx.errors import UsageError
from repx.lab.directory import LabDirectory
from repx.lab.selection import find_job
from repx.model.names import parse_job_id


@dataclass(frozen=True, slots=True)
class PartStatus:
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
    is_collected: bool = False

    @property
    def stage(self) -> str:
        """Its stage's name."""
        return parse_job_id(self.id)[1]


def parts_of(job: Job, store: Store, results: Resolver) -> Iterator[PartStatus]:
    """The scatter, then the steps of each work item, equal ones once; nothing while the inputs are not there."""
    whole = None if job.parts is None else results.scatter_gather(job)
    if whole is None:
        return
    seen: set[str] = set()
    stuck: set[tuple[str | None, str]] = set()
    with contextlib.suppress(ItemsError):
        for part in whole.walk(results.look_up_part):
            is_stuck = any((part.item, name) in stuck for name in part.after)
            status = _status(part, store, is_stuck=is_stuck)
            if status in (State.FAILED, State.BLOCKED):
                stuck.add((part.item, part.step))
            identity, params = ("", {}) if part.job is None else (part.job.id, part.job.params)
            if not identity or identity not in seen:
                seen.add(identity)
                yield PartStatus(identity, part.step, part.stage.name, part.item, status, params)


def find_job_or_step(lab: LabDirectory, store: Store, name: str) -> Job | StoredJob:
    """One job of the Lab, else one that only the store knows, by the start of its id. Raises UsageError."""
    try:
        return find_job(lab, name)
    except UsageError:
        stored = _stored(lab, store, name)
        if stored is None:
            raise
        return stored


def _status(part: Part, store: Store, *, is_stuck: bool) -> State:
    if part.outcome is not None:
        return State.SUCCEEDED
    if part.job is None or part.resolved is None:
        return State.BLOCKED if is_stuck else State.PENDING
    return unfinished_status(store.job(part.job.id), part.resolved.key, store) or State.PENDING


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
    collected = read_outcome(f"{directory}/{COLLECTED}")
    if collected is not None:
        return StoredJob(identity, directory, collected, State.SUCCEEDED, is_collected=True)
    failure = failure_of(directory)
    status = unfinished_status(directory, None if failure is None else failure.key, store)
    return StoredJob(identity, directory, failure, status or State.PENDING)

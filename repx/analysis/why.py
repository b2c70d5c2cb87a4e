"""Why jobs are to run, or have run: how they stand, and in what they differ from earlier ones; writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from repx.agent.base.layout import RECORD, Store
from repx.agent.base.record import read_outcome
from repx.agent.base.state import State
from repx.agent.lab.run_file import Job
from repx.agent.resolve import Inputs, Reason, Resolved
from repx.analysis.changes import Change, find_changes, stage_lines_by
from repx.analysis.differences import Kind
from repx.analysis.earlier import Scripts, StoredJobs, lab_stages, lines_of_job
from repx.analysis.script_changes import Changed, changed_definitions, text_diff
from repx.analysis.statuses import Statuses
from repx.lab.directory import LabDirectory
from repx.lab.selection import Selection, select
from repx.model.garbage import no_collection
from repx.store.complete_runs import known_complete

EXPLAINED_DONE = 2000
"""Jobs that are all done and whose earlier ones are looked for nevertheless."""


@dataclass(frozen=True, slots=True)
class ScriptChange:
    """How the script of a stage changed. `definitions` are of Python; `diff` is empty where no Lab has the old one."""

    stage: str
    definitions: tuple[Changed, ...]
    diff: tuple[str, ...]
    is_known: bool


@dataclass(slots=True)
class Standing:
    """Jobs that the store knows and that are to run: how many of a stage, why, and which inputs have other contents."""

    stage: str
    reason: str
    inputs: tuple[str, ...]
    count: int = 0
    example: str = ""


@dataclass(slots=True)
class Why:
    """The answer. `is_past`: nothing is to run, and the changes are those that the jobs once ran for."""

    jobs: int = 0
    done: int = 0
    is_past: bool = False
    changes: list[Change] = field(default_factory=list)
    standing: list[Standing] = field(default_factory=list)
    scripts: dict[tuple[str, str], ScriptChange] = field(default_factory=dict)


def explain(lab: LabDirectory, store: Store, names: Sequence[str]) -> Why:
    """Why the named jobs are to run; if all are done, in what they differ from the nearest that ran besides."""
    complete = known_complete(lab, store, names)
    if complete is not None and complete > EXPLAINED_DONE:
        return Why(complete, complete, is_past=True)
    with no_collection():
        return _explain(lab, store, select(lab, names))


def _explain(lab: LabDirectory, store: Store, selection: Selection) -> Why:
    asked = [job for identity, job in selection.jobs.items() if identity in selection.asked]
    kept = {identity for run in lab.runs.values() for identity in run.ids()}
    stored = StoredJobs(store, kept)
    why = Why(len(asked))
    present = [job for job in asked if job.id in stored.ids]
    why.standing = _standing(present, Statuses(lab, store), store)
    why.done = len(present) - sum(one.count for one in why.standing)
    why.is_past = why.done == why.jobs
    stages = lab_stages(lab)
    lines_of = stage_lines_by({digest: stage.fingerprint for digest, stage in stages.items()}, stored.stage_lines)
    if why.is_past:
        if why.jobs > EXPLAINED_DONE:
            return why
        # What made others of the Lab differ from each other is its sweep; of one job it is to be told.
        fresh = set(selection.asked)
        stored = StoredJobs(store, kept, without=selection.asked if why.jobs == 1 else kept)
    else:
        fresh = {identity for identity in selection.jobs if identity not in stored.ids}
    jobs = (lines_of_job(job) for job in upstream_first(selection) if job.id in fresh)
    found = find_changes(jobs, lambda stage: stored.of(stage, lines_of), lines_of, kept)
    asked_stages = {job.stage.name for job in asked}
    why.changes = [change for change in found if change.stage in asked_stages]
    why.scripts = script_changes(why.changes, Scripts([lab], store))
    return why


def upstream_first(selection: Selection) -> Iterator[Job]:
    """Jobs, each after those it takes from."""
    seen: set[str] = set()
    for job in selection.jobs.values():
        stack = [job]
        while stack:
            top = stack[-1]
            waiting = [
                selection.jobs[identity]
                for identity in (() if top.id in seen else top.upstream_ids())
                if identity in selection.jobs and identity not in seen
            ]
            if waiting and len(stack) <= len(selection.jobs):
                stack.extend(waiting)
                continue
            stack.pop()
            if top.id not in seen:
                seen.add(top.id)
                yield top


def script_changes(changes: Iterable[Change], scripts: Scripts) -> dict[tuple[str, str], ScriptChange]:
    """How the scripts differ of the stages that changes are between."""
    found: dict[tuple[str, str], ScriptChange] = {}
    for change in changes:
        pair = (change.before, change.after)
        if pair in found or not any(one.kind is Kind.SCRIPT for one in change.of_stage):
            continue
        after, new_lab, is_python = scripts.of(change.after)
        before, old_lab, _ = scripts.of(change.before)
        if not before or not after:
            found[pair] = ScriptChange(change.stage, (), (), is_known=False)
            continue
        definitions = [
            one
            for file, text in after.items()
            if is_python and file in before
            for one in changed_definitions(before[file], text)
        ]
        old, new = ({file: one.text for file, one in side.items()} for side in (before, after))
        diff = text_diff(old, new, (f"Lab {old_lab[:8]}", f"Lab {new_lab[:8]}"))
        found[pair] = ScriptChange(change.stage, tuple(definitions), tuple(diff), is_known=True)
    return found


def _standing(jobs: Iterable[Job], statuses: Statuses, store: Store) -> list[Standing]:
    """Why those are to run that are not done."""
    found: dict[tuple[str, str, tuple[str, ...]], Standing] = {}
    for job in jobs:
        status = statuses.of(job)
        if status is State.SUCCEEDED:
            continue
        resolved = statuses.results.resolve(job)
        reason = statuses.results.reason(job, resolved)
        inputs = _other_inputs(job, resolved, store) if reason is Reason.CHANGED else ()
        told = f"is {status}" if status in (State.RUNNING, State.BLOCKED) else str(reason)
        one = found.setdefault((job.stage.name, told, inputs), Standing(job.stage.name, told, inputs))
        one.count += 1
        one.example = one.example or job.id
    return list(found.values())


def _other_inputs(job: Job, resolved: Resolved | None, store: Store) -> tuple[str, ...]:
    """The inputs that have other contents than when the job last ran."""
    outcome = read_outcome(f"{store.job(job.id)}/{RECORD}")
    if outcome is None or resolved is None:
        return ()
    today = _digests(resolved.inputs)
    return tuple(name for name in today if outcome.inputs.get(name) != today[name])


def _digests(inputs: Inputs) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, given in inputs.items():
        found[name] = (
            [one.digest for one in given] if isinstance(given, list) else None if given is None else given.digest
        )
    return found

"""From what the user names to the jobs that must be done: runs, groups, stages, job prefixes, and all they need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from repx.errors import UsageError, nearest
from repx.store.lab import LabDirectory, LabJob


@dataclass(frozen=True, slots=True)
class Selection:
    """`jobs` by id, in the Lab's order of runs, closed under inputs; `asked` are the ids that were named."""

    jobs: dict[str, LabJob]
    asked: frozenset[str]
    runs: tuple[str, ...]
    """Runs whose end others wait for: all of each one's jobs are selected."""


def select(lab: LabDirectory, names: Sequence[str]) -> Selection:
    """The jobs for run names, `@group`, stage names and unique job-id prefixes; everything when nothing is named.

    A run brings in what it comes after. Raises UsageError with the nearest names.
    """
    named: dict[str, LabJob] = {}
    runs: dict[str, None] = {}
    for name in names or list(lab.runs):
        if name.startswith("@"):
            if name[1:] not in lab.groups:
                raise UsageError(f"there is no group {name!r}", hint=nearest(name[1:], lab.groups))
            runs.update(dict.fromkeys(lab.groups[name[1:]]))
        elif name in lab.runs:
            runs[name] = None
        else:
            named.update((job.id, job) for job in find_jobs(lab, name))
    needed, whole = _closure(lab, named, runs)
    asked = set(named)
    for run in runs:
        asked.update(lab.run(run).ids())
    return Selection(needed, frozenset(asked), tuple(name for name in lab.runs if name in whole))


def find_jobs(lab: LabDirectory, name: str) -> list[LabJob]:
    """The job of a unique id prefix, or all jobs of a stage. Raises UsageError when it names none or several."""
    found: dict[str, LabJob] = {}
    for run in lab.runs.values():
        found.update((job.id, job) for job in run.with_prefix(name))
    if len(found) == 1:
        return list(found.values())
    if found and len(name) >= 1 and not _is_stage(lab, name):
        shown = "\n".join(sorted(found)[:8])
        raise UsageError(
            f"{name!r} is the start of several job ids", facts=[("they are", shown)], hint="give more of it"
        )
    jobs = [job for job in lab.jobs() if job.stage["name"] == name] if _is_stage(lab, name) else []
    if not jobs:
        stages = {stage["name"] for run in lab.runs.values() for stage in run.stages.values()}
        raise UsageError(
            f"there is no run, group, stage or job {name!r}",
            hint=nearest(name, {*lab.runs, *(f"@{group}" for group in lab.groups), *stages}),
        )
    return jobs


def _is_stage(lab: LabDirectory, name: str) -> bool:
    return any(stage["name"] == name for run in lab.runs.values() for stage in run.stages.values())


def _closure(
    lab: LabDirectory, named: Mapping[str, LabJob], runs: Iterable[str]
) -> tuple[dict[str, LabJob], dict[str, None]]:
    """All that jobs and runs need: their upstream jobs, and the whole runs that are taken or come first."""
    needed: dict[str, LabJob] = {}
    whole: dict[str, None] = {}
    jobs = list(named.values())
    waiting = list(runs)
    while jobs or waiting:
        if waiting:
            name = waiting.pop()
            if name not in whole:
                whole[name] = None
                # A run is closed under inputs, but for the runs it comes after: no job of it needs a look.
                needed.update((job.id, job) for job in lab.run(name).jobs() if job.id not in needed)
                waiting.extend(lab.dependencies(lab.run(name)))
            continue
        job = jobs.pop()
        if job.id in needed:
            continue
        needed[job.id] = job
        for mapping in job.inputs:
            if "source_run" in mapping:
                waiting.append(mapping["source_run"])
            elif "job_id" in mapping and mapping["job_id"] not in needed:
                upstream = job.run.job(mapping["job_id"])
                if upstream is not None:
                    jobs.append(upstream)
    return needed, whole

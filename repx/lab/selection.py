"""From names to jobs: runs, groups, stages, `stage[param=value]`, ids and their starts; reads no results."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repx.agent.base.digest import ID_LENGTH, canonical_json
from repx.agent.lab.inherited import Inherited
from repx.agent.lab.run_file import Job
from repx.errors import UsageError, nearest
from repx.lab.directory import LabDirectory
from repx.lab.params import closeness_to_text, closest, condition, read_conditions, shown
from repx.model.garbage import no_collection
from repx.model.names import unknown

_NUMBERS = re.compile(r"(\d+)")

_SHOWN_JOBS = 12
"""How many jobs an error names."""


@dataclass(frozen=True, slots=True)
class Selection:
    """`jobs` by id, in the Lab's order of runs, closed under inputs; `asked` are the ids that were named."""

    jobs: dict[str, Job]
    asked: frozenset[str]
    runs: tuple[str, ...]
    """Runs whose end others wait for: all of each one's jobs are selected."""


def select(lab: LabDirectory, names: Sequence[str]) -> Selection:
    """The jobs for run names, `@group`, stage names and unique job-id prefixes; everything when nothing is named.

    A run brings in what it comes after. Raises UsageError with the nearest names.
    """
    with no_collection():
        return _select(lab, names)


def _select(lab: LabDirectory, names: Sequence[str]) -> Selection:
    named: dict[str, Job] = {}
    runs: dict[str, None] = {}
    for name in names or list(lab.runs):
        whole = whole_runs(lab, name)
        if whole is None:
            named.update((job.id, job) for job in find_jobs(lab, name))
        else:
            runs.update(dict.fromkeys(whole))
    needed, closed = _closure(lab, named, runs)
    asked = set(named)
    for run in runs:
        asked.update(lab.run(run).ids())
    return Selection(needed, frozenset(asked), tuple(name for name in lab.runs if name in closed))


def whole_runs(lab: LabDirectory, name: str) -> list[str] | None:
    """The runs of `@group`, or the run of that name; None when it is neither. Raises UsageError."""
    if name.startswith("@"):
        if name[1:] not in lab.groups:
            raise UsageError(f"there is no group {name!r}", hint=nearest(name, (f"@{group}" for group in lab.groups)))
        return list(lab.groups[name[1:]])
    return [name] if name in lab.runs else None


def find_runs(lab: LabDirectory, name: str) -> list[str]:
    """The runs of `@group`, a run, or the start of one run's name. Raises UsageError."""
    whole = whole_runs(lab, name)
    if whole is not None:
        return whole
    found = [run for run in lab.runs if run.startswith(name)] if name else []
    if len(found) > 1:
        raise UsageError(f"{name!r} is the start of several runs", facts=[("they are", "\n".join(found))])
    if not found:
        raise unknown("run or group", name, [*lab.runs, *(f"@{group}" for group in lab.groups)])
    return found


def listed_jobs(lab: LabDirectory, name: str) -> Iterator[Job]:
    """The jobs a name stands for in a listing: also the start of a run's name. Raises UsageError before the first."""
    runs = whole_runs(lab, name)
    if runs is None and name and not _is_stage(lab, name) and sum(run.startswith(name) for run in lab.runs) == 1:
        runs = find_runs(lab, name)
    if runs is None:
        return iter(find_jobs(lab, name))
    return (job for run in runs for job in lab.run(run).jobs())


def find_jobs(lab: LabDirectory, name: str) -> list[Job]:
    """All jobs of a stage, of `stage[param=value,...]`, or the job of a unique id prefix. Raises UsageError."""
    stage, bracket, rest = name.partition("[")
    if bracket and rest.endswith("]") and _is_stage(lab, stage):
        return _that_match(lab, name, _jobs_of_stage(lab, stage), rest[:-1])
    if _is_stage(lab, name):
        return list(_jobs_of_stage(lab, name))
    found: dict[str, Job] = {}
    for run in lab.runs.values():
        found.update((job.id, job) for job in (run.with_prefix(name) if name else ()))
    if len(found) > 1:
        facts = [("they are", "\n".join(sorted(found)[:_SHOWN_JOBS]))]
        raise UsageError(f"{name!r} is the start of several job ids", facts=facts, hint="give more of it")
    if not found:
        known = {*lab.runs, *(f"@{group}" for group in lab.groups), *stage_names(lab)}
        hint = nearest(stage if bracket else name, known)
        raise UsageError(f"there is no run, group, stage or job {name!r}", hint=hint)
    return list(found.values())


def find_job(lab: LabDirectory, name: str) -> Job:
    """Exactly one job. Raises UsageError; when a stage has several, with what tells them apart."""
    if name in lab.runs and not _is_stage(lab, name):
        raise UsageError(f"{name!r} is a run, and one job is needed", hint=f"its jobs: repx list jobs {name}")
    jobs = find_jobs(lab, name)
    if len(jobs) == 1:
        return jobs[0]
    few = jobs[:_SHOWN_JOBS]
    told = sorted(zip(varying_params(lab, few), few, strict=True), key=lambda one: natural(_conditions(one[0], "  ")))
    lines = [f"{job.id}  {_conditions(params, '  ')}".rstrip() for params, job in told]
    if len(jobs) > len(lines):
        lines.append(f"… and {len(jobs) - len(lines)} more")
    example = next((_conditions(params, ",") for params, _ in told if params), "param=value")
    raise UsageError(
        f"{name!r} has {len(jobs)} jobs, and one is needed",
        facts=[("they are", "\n".join(lines))],
        hint=f"give the start of an id, or '{name.partition('[')[0]}[{example}]'",
    )


def varying_params(lab: LabDirectory, jobs: Sequence[Job], inherited: Inherited | None = None) -> list[dict[str, Any]]:
    """For each job, the params in which these jobs differ, by name."""
    inherited = inherited or Inherited(lab.job)
    params = [inherited.of(job).one for job in jobs]
    texts: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    for one in params:
        counts.update(one.keys())
        for name, value in one.items():
            texts.setdefault(name, set()).add(canonical_json(value))
    varying = [name for name, found in texts.items() if len(found) > 1 or counts[name] < len(params)]
    return [{name: one[name] for name in varying if name in one} for one in params]


def stage_names(lab: LabDirectory) -> set[str]:
    """The names of all stages."""
    return {stage.name for run in lab.runs.values() for stage in run.stages.values()}


class ParamNames(Collection[str]):
    """The names of all params that a stage or a pipeline declares, and of the inputs that a swept path may come in by.

    `a.b` is one too: the param b of what comes in by the input a, or of the stage a.
    """

    def __init__(self, lab: LabDirectory) -> None:
        stages = [stage for run in lab.runs.values() for stage in run.stages.values()]
        inputs = {spec.name: spec.kind for stage in stages for spec in stage.inputs.values()}
        self._names = {name for name, kind in inputs.items() if kind in ("path", "paths")}
        self._names.update(*(stage.params for stage in stages), *(run.arguments for run in lab.runs.values()))
        self._first = {*inputs, *(stage.name for stage in stages)}

    def __contains__(self, name: object) -> bool:
        if name in self._names:
            return True
        first, dot, rest = str(name).partition(".")
        return bool(dot) and first in self._first and rest in self

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


def stage_of(identity: str) -> str:
    """The stage name in a job id: without reading the job."""
    return identity[ID_LENGTH + 1 :].rpartition("-")[0]


def _is_stage(lab: LabDirectory, name: str) -> bool:
    return name in stage_names(lab)


def _jobs_of_stage(lab: LabDirectory, name: str) -> Iterator[Job]:
    seen: set[str] = set()
    for run in lab.runs.values():
        for identity in run.ids():
            if stage_of(identity) == name and identity not in seen:
                seen.add(identity)
                job = run.job(identity)
                if job is not None:
                    yield job


def _that_match(lab: LabDirectory, name: str, jobs: Iterable[Job], conditions: str) -> list[Job]:
    wanted = read_conditions(conditions)
    names = ParamNames(lab)
    for param in wanted:
        if param not in names:
            raise unknown("param", param, names)
    inherited = Inherited(lab.job)
    seen = list(jobs)
    found = closest((job, job.stage.name, typed_closeness(inherited, job, wanted)) for job in seen)
    if not found:
        values = [f"{param}: {_values(inherited, seen, param)}" for param in wanted]
        raise UsageError(f"there is no job {name!r}", facts=[("values are", "\n".join(values))])
    return found


def typed_closeness(inherited: Inherited, job: Job, wanted: Mapping[str, str]) -> list[int]:
    """How close a job is to each of some texts `NAME=VALUE`: by the closest of the values it has under that name."""
    return [
        max((closeness_to_text(value, text) for value in inherited.values(job, name)), default=0)
        for name, text in wanted.items()
    ]


def _conditions(params: Mapping[str, Any], separator: str) -> str:
    return separator.join(condition(name, value) for name, value in params.items())


def _values(inherited: Inherited, jobs: Sequence[Job], name: str) -> str:
    values = sorted({shown(value) for job in jobs for value in inherited.values(job, name)}, key=natural)
    return ", ".join([*values[:_SHOWN_JOBS], *(["…"] if len(values) > _SHOWN_JOBS else [])]) or "it takes none"


def natural(text: str) -> list[tuple[int, str]]:
    """The order people expect of texts with numbers in them: 2 before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERS.split(text)]


def _closure(
    lab: LabDirectory, named: Mapping[str, Job], runs: Iterable[str]
) -> tuple[dict[str, Job], dict[str, None]]:
    """All that jobs and runs need: their upstream jobs, and the whole runs that are taken or come first."""
    needed: dict[str, Job] = {}
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
        waiting.extend(job.runs_taken())
        for identity in job.upstream_ids():
            upstream = None if identity in needed else job.run.job(identity)
            if upstream is not None:
                jobs.append(upstream)
    return needed, whole

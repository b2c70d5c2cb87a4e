"""Outputs put under names that people read, as a layout says, and never two under one; runs nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from repx.agent.base.digest import TreeError, tree_digest
from repx.agent.base.files import copy_tree, random_name, remove_tree, walk
from repx.agent.base.layout import Store
from repx.agent.base.record import OutputRecord
from repx.agent.lab.inherited import Inherited
from repx.agent.lab.run_file import Job
from repx.agent.resolver import Resolver
from repx.analysis.layout import Field, check_fields, fill, parse_layout
from repx.errors import RepxError, UsageError, nearest
from repx.lab.directory import LabDirectory
from repx.lab.params import named, shown
from repx.lab.selection import select, varying_params

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Exported:
    """One output of one realization, and the name that it gets, below the directory that is exported to."""

    name: str
    source: str
    output: OutputRecord
    job: Job
    index: int
    output_name: str


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What would be exported, by name; how many realizations have no result, or one whose outputs were collected."""

    exported: tuple[Exported, ...]
    missing: int


def plan_export(
    lab: LabDirectory, store: Store, names: Sequence[str], layout: str, outputs: Sequence[str] = ()
) -> ExportPlan:
    """Give each output of what is named its name; only those called as in `outputs`, if any are given.

    Raises UsageError for an unknown name or field, and where two outputs would have one name.
    """
    fields = parse_layout(layout)
    selection = select(lab, names)
    jobs = [selection.jobs[identity] for identity in sorted(selection.asked)]
    known = {name for job in jobs for name in job.stage.outputs}
    for name in outputs:
        if name not in known:
            raise UsageError(f"there is no output {name!r}", hint=nearest(name, known))
    resolver = Resolver(lab, store)
    inherited = resolver.inherited
    check_fields(fields, jobs, inherited)
    telling = _telling(lab, jobs, inherited)
    exported, missing = [], 0
    for job in jobs:
        realizations = resolver.selections.realizations(job)
        missing += len(realizations.missing)
        several = len(realizations.made) + len(realizations.missing) > 1
        for index, made in realizations.made.items():
            if made.is_collected:
                missing += 1
                continue
            for name, output in made.outputs.items():
                if outputs and name not in outputs:
                    continue
                values = _own_values(job, str(index) if several else "", name, output) | {"params": telling[job.id]}
                place = fill(fields, values, job, inherited)
                exported.append(Exported(place, made.path(name), output, job, index, name))
    _check_names(exported, fields, lab, inherited)
    return ExportPlan(tuple(sorted(exported, key=lambda one: one.name)), missing)


def export(plan: ExportPlan, directory: str, *, link: bool, replace: bool) -> int:
    """Copy or link what was planned into a directory; how many were not there already.

    Raises UsageError where something else has a name, unless it is to be replaced; OSError.
    """
    base = str(Path(directory).absolute())
    new = [one for one in plan.exported if not _is_there(f"{base}/{one.name}", one, link=link)]
    taken = [one.name for one in new if os.path.lexists(f"{base}/{one.name}")]
    if taken and not replace:
        raise UsageError(
            f"something else is in {directory} under {len(taken)} of the names",
            facts=[("such as", "\n".join(taken[:_SHOWN]))],
            hint="export to another directory, or put these in their place: --replace",
        )
    for one in new:
        _put(f"{base}/{one.name}", one, link=link)
    return len(new)


def _telling(lab: LabDirectory, jobs: Sequence[Job], inherited: Inherited) -> dict[str, str]:
    """For each job, by id, the params that tell it from the others of its stage, as `a=1,b=2`."""
    by_stage: dict[str, list[Job]] = {}
    for job in jobs:
        by_stage.setdefault(job.stage.name, []).append(job)
    return {
        job.id: ",".join(f"{name}={shown(named(value))}" for name, value in sorted(params.items()))
        for several in by_stage.values()
        for job, params in zip(several, varying_params(lab, several, inherited), strict=True)
    }


def _own_values(job: Job, index: str, name: str, output: OutputRecord) -> dict[str, Any]:
    file = PurePosixPath(output.path).name
    ending = "".join(PurePosixPath(file).suffixes[-2:] if ".tar." in file else PurePosixPath(file).suffixes[-1:])
    return {
        "stage": job.stage.name,
        "version": job.stage.version,
        "run": job.run.name,
        "job": job.id[:12],
        "index": index,
        "output": name if name.endswith(ending) and ending else name + ending,
        "file": file,
    }


def _check_names(
    exported: Sequence[Exported], fields: Sequence[Field], lab: LabDirectory, inherited: Inherited
) -> None:
    """Whether every output has a name of its own, inside none of the others."""
    by_name: dict[str, list[Exported]] = {}
    for one in exported:
        by_name.setdefault(one.name, []).append(one)
    for name in sorted(by_name):
        if len(by_name[name]) > 1:
            raise _collision(name, by_name[name], fields, lab, inherited)
        for parent in _parents(name):
            if parent in by_name:
                raise _collision(parent, [*by_name[parent], *by_name[name]], fields, lab, inherited)


def _parents(name: str) -> Iterator[str]:
    place = name.find("/")
    while place >= 0:
        yield name[:place]
        place = name.find("/", place + 1)


def _collision(
    name: str, several: Sequence[Exported], fields: Sequence[Field], lab: LabDirectory, inherited: Inherited
) -> UsageError:
    """The error for outputs that would have one name, with the fields that would tell them apart."""
    used = {field.name for field in fields}
    jobs = list({one.job.id: one.job for one in several}.values())
    params = {param for values in varying_params(lab, jobs, inherited) for param in values} - used
    differing = {
        "stage": len({job.stage.name for job in jobs}),
        "index": len({(one.job.id, one.index) for one in several}) - len(jobs) + 1,
        "output": len({one.output_name for one in several}),
    }
    own = [field for field, count in differing.items() if count > 1 and field not in used]
    tell = [*own, *sorted(params)] or [field for field in ("job",) if field not in used]
    shown_jobs = [f"{one.job.stage.name} {one.job.id[:12]} {one.output_name}" for one in several[:_SHOWN]]
    if len(several) > _SHOWN:
        shown_jobs.append(f"… and {len(several) - _SHOWN} more")
    return UsageError(
        f"{len(several)} outputs would be called {name}",
        facts=[("they are of", "\n".join(shown_jobs))],
        hint=f"what tells them apart: {', '.join(f'{{{field}}}' for field in tell)}" if tell else "",
    )


def _is_there(path: str, one: Exported, *, link: bool) -> bool:
    place, source = Path(path), Path(one.source)
    if link:
        return place.is_symlink() and place.readlink() == source
    try:
        # What an output is may be a link to another file of its result, which is copied in its place.
        wanted = tree_digest(str(source.resolve())) if source.is_symlink() else one.output.digest
        return not place.is_symlink() and tree_digest(path) == wanted
    except (OSError, TreeError):
        return False


def _put(path: str, one: Exported, *, link: bool) -> None:
    """Put one output in place whole: made beside, then renamed."""
    place, beside = Path(path), Path(f"{path}.{random_name()}.tmp")
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        if link:
            beside.symlink_to(one.source)
        else:
            _copy(str(Path(one.source).resolve()), str(beside))
        remove_tree(path)
        beside.rename(place)
    except BaseException:
        remove_tree(str(beside))
        raise


def _copy(source: str, target: str) -> None:
    """Copy a file or a directory; what links lead to that is not in it is copied in their place."""
    copy_tree(source, target)
    for entry in walk(target):
        if Path(entry).is_symlink() and not Path(entry).exists():
            Path(entry).unlink()
            copy_tree(str(Path(source + entry[len(target) :]).resolve()), entry)


def cannot_write(directory: str, error: OSError) -> RepxError:
    """What a failing disk means to the user."""
    return RepxError(
        f"{directory} cannot be written: {error.strerror}",
        facts=[("path", error.filename)] if error.filename else [],
        hint="what was exported before that is whole; give the same command again",
    )

"""The order in which people expect jobs: each stage after those it takes from, then by params; reads no results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from repx.agent.lab.inherited import Inherited
from repx.agent.lab.run_file import Job
from repx.lab.directory import LabDirectory
from repx.lab.params import is_number, shown
from repx.lab.selection import natural


def sorted_jobs(lab: LabDirectory, jobs: Sequence[Job], inherited: Inherited) -> list[Job]:
    """Run after run as the Lab has them, stage after stage, by params."""
    runs = {name: number for number, name in enumerate(lab.runs)}
    stages = stage_order(jobs)

    def key(job: Job) -> tuple[Any, ...]:
        return runs[job.run.name], stages[job.stage.name], *params_order(inherited.of(job).one), job.id

    return sorted(jobs, key=key)


def params_order(params: Mapping[str, Any]) -> tuple[Any, ...]:
    """What to sort jobs of a stage by: numbers as such, and texts as people count."""
    names = sorted(params)
    return names, [_natural_value(params[name]) for name in names]


def stage_order(jobs: Iterable[Job]) -> dict[str, int]:
    """The place of each stage: by how many jobs its first one waits for in a row, then as the source has them."""
    by_id = {job.id: job for job in jobs}
    depths: dict[str, int] = {}
    for job in by_id.values():
        stack = [job]
        while stack:
            top = stack[-1]
            above = [one for identity in top.upstream_ids() if (one := by_id.get(identity)) is not None]
            waiting = [one for one in above if one.id not in depths]
            if waiting and top.id not in depths:
                # Said first, so that jobs of a broken Lab that wait for themselves end.
                depths[top.id] = 0
                stack.extend(waiting)
                continue
            stack.pop()
            depths[top.id] = 1 + max((depths[one.id] for one in above), default=-1)
    first: dict[str, tuple[Any, ...]] = {}
    for job in by_id.values():
        place = (depths[job.id], natural(job.stage.source), job.stage.name)
        first[job.stage.name] = min(place, first.get(job.stage.name, place))
    return {name: number for number, name in enumerate(sorted(first, key=first.__getitem__))}


def _natural_value(value: Any) -> tuple[Any, ...]:
    return (0, value) if is_number(value) else (1, natural(shown(value)))

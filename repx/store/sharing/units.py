"""What is carried of a Lab's jobs, each thing after what it takes from; asks no store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from repx.agent.lab.run_file import Job
from repx.agent.scatter import SCATTER
from repx.lab.directory import LabDirectory


class Unit(NamedTuple):
    """A realization of a job; or, of a scatter-gather, the scatter, or a step for one item."""

    job: Job
    realization: int = 0
    step: str = ""
    item: str | None = None


Items = Callable[[Job], Iterable[str]]
"""The work items of a scatter-gather whose scatter has been carried; none where it has not."""


Added = Callable[[Job], Iterable[int]]
"""The indexes of realizations that a job has beyond those that its stage has."""


def units(lab: LabDirectory, jobs: Mapping[str, Job], items: Items, added: Added) -> Iterator[Unit]:
    """The units of some jobs, which are closed under inputs; `items` is asked when the scatter has been handled."""
    for job in in_order(lab, jobs):
        if job.stage.parts is not None:
            yield Unit(job, step=SCATTER)
            for item in dict.fromkeys(items(job)):
                yield from (Unit(job, step=step.name, item=item) for step in job.stage.parts.steps)
        yield from (Unit(job, index) for index in [*range(job.stage.realizations), *added(job)])


def in_order(lab: LabDirectory, jobs: Mapping[str, Job]) -> Iterator[Job]:
    """Jobs, each once and after those it takes from. Runs stand after those whose results they take."""
    seen: set[str] = set()
    for run in lab.runs.values():
        for identity in run.ids():
            stack = [jobs[identity]] if identity in jobs and identity not in seen else []
            opened: set[str] = set()
            while stack:
                top = stack[-1]
                waiting = [one for one in top.upstream_ids() if one in jobs and one not in seen]
                if waiting:
                    if top.id in opened:
                        raise top.run.circle(top.id)
                    opened.add(top.id)
                    stack.extend(jobs[one] for one in waiting)
                    continue
                stack.pop()
                if top.id not in seen:
                    seen.add(top.id)
                    yield top

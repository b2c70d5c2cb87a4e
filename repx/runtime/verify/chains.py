"""Which of the results that differ come first: none of what they are made from differs; a pure look at a Lab."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from repx.agent.lab.run_file import Job
from repx.agent.scatter import SCATTER, PartJob
from repx.lab.directory import LabDirectory
from repx.runtime.verify.subjects import Subject


def firsts(lab: LabDirectory, differing: Iterable[Subject]) -> dict[str, str]:
    """For each name of what differs, the title of the first that differs in its chain; empty where that is itself."""
    # Parts of one scatter-gather, and the realizations of a job, stand in order.
    by_job: dict[str, list[Subject]] = {}
    for subject in differing:
        by_job.setdefault(subject.whole.id, []).append(subject)
    heads = _Heads(lab, {job: subjects[0].title for job, subjects in by_job.items()})
    found = {}
    for subjects in by_job.values():
        above = heads.above(subjects[0].whole)
        for subject in subjects:
            found[subject.name] = above or _before_in_whole(subject, subjects)
    return found


class _Heads:
    """The first that differs above each job, each job looked at once."""

    def __init__(self, lab: LabDirectory, titles: Mapping[str, str]) -> None:
        self._lab = lab
        self._titles = titles
        self._above: dict[str, str] = {}

    def above(self, job: Job) -> str:
        """The title of the first job that differs among all that a job is made from; empty where there is none."""
        stack = [job]
        opened: set[str] = set()
        while stack:
            top = stack[-1]
            upstream = self._upstream(top)
            waiting = [one for one in upstream if one.id not in self._above]
            if waiting and top.id not in opened:
                opened.add(top.id)
                stack.extend(waiting)
                continue
            stack.pop()
            heads = (self._above.get(one.id) or self._titles.get(one.id, "") for one in upstream)
            self._above[top.id] = next(filter(None, heads), "")
        return self._above[job.id]

    def _upstream(self, job: Job) -> list[Job]:
        ids = [*job.upstream_ids(), *(one for run in job.runs_taken() for one in self._lab.run(run).ids())]
        return [one for identity in ids if (one := self._lab.job(identity)) is not None]


def _before_in_whole(subject: Subject, subjects: list[Subject]) -> str:
    """The title of the first part that differs and that a part of the same scatter-gather is made from."""
    part = subject.job
    if not isinstance(part, PartJob):
        return ""
    for other in subjects:
        if other is subject:
            return ""
        above = other.job
        if isinstance(above, PartJob) and (above.step == SCATTER or part.step == "" or above.item == part.item):
            return other.title
    return ""

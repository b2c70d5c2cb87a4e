"""What a job takes from, all the way up: as a tree of lines, or as edges; reads no results."""

from __future__ import annotations

from collections.abc import Iterator

from repx.agent.lab.job_line import FromJob, FromRun
from repx.agent.lab.run_file import Job
from repx.lab.directory import LabDirectory

MAX_INDENT = 24
"""Levels that are indented; deeper ones say their depth instead, or a chain would print a triangle."""


def tree(lab: LabDirectory, job: Job) -> Iterator[str]:
    """Indented lines, the job first; what was met before is named once more with `(see above)` and not unfolded."""
    seen: set[str] = set()
    stack: list[tuple[int, str, Job | None]] = [(0, job.id, job)]
    while stack:
        depth, text, top = stack.pop()
        again = text in seen
        seen.add(text)
        indent = "  " * min(depth, MAX_INDENT) + (f"[{depth}] " if depth > MAX_INDENT else "")
        yield indent + text + (" (see above)" if again else "")
        if top is not None and not again:
            stack.extend((depth + 1, name, one) for name, one in reversed(_taken(lab, top)))


def edges(lab: LabDirectory, job: Job) -> dict[str, list[str]]:
    """Each job of the tree with what it takes from: job ids, and `run NAME` for the results of a run."""
    found: dict[str, list[str]] = {}
    stack = [job]
    while stack:
        top = stack.pop()
        if top.id not in found:
            taken = _taken(lab, top)
            found[top.id] = [name for name, _ in taken]
            stack.extend(one for _, one in reversed(taken) if one is not None)
    return found


def _taken(lab: LabDirectory, job: Job) -> list[tuple[str, Job | None]]:
    taken: dict[str, Job | None] = {}
    for source in job.inputs:
        if isinstance(source, FromJob):
            taken[source.job] = job.run.job(source.job) or lab.job(source.job)
        elif isinstance(source, FromRun):
            taken[f"run {source.run}"] = None
    return list(taken.items())

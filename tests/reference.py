"""What an experiment means, said once more and smaller: which jobs succeed, fail or are blocked, and what they make.

Knows no store, no cache, no processes and no order of work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["succeeded", "failed", "blocked"]


@dataclass(frozen=True)
class Job:
    """A job by number, with the jobs it takes from, in the order of its list. With `items` it is a scatter-gather."""

    number: int
    upstreams: tuple[int, ...] = ()
    items: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Run:
    """Jobs that belong together, and the runs that come first: name to hard or soft. Runs may share jobs."""

    name: str
    jobs: tuple[Job, ...]
    after: Mapping[str, Literal["hard", "soft"]] = field(default_factory=dict)

    @property
    def numbers(self) -> set[int]:
        """Its jobs by number."""
        return {job.number for job in self.jobs}


def states(runs: Collection[Run], failing: Collection[int], failing_items: Collection[int] = ()) -> dict[int, State]:
    """How every job ends when whatever can run does run. `failing` are the jobs whose script fails.

    A scatter-gather fails by its scatter, and is blocked then, as it is by an item that fails.
    """
    known: dict[int, State] = {}
    jobs = {job.number: job for run in runs for job in run.jobs}
    while len(known) < len(jobs):
        for job in jobs.values():
            ways = [list(_needed(job, run, runs)) for run in runs if job in run.jobs]
            awaited = {number for way in ways for number, _ in way}
            # A job that several runs share waits for whatever any of them waits for, unless one waits for nothing.
            if job.number in known or not (all(number in known for number in awaited) or [] in ways):
                continue
            if all(any(is_hard and known[number] != "succeeded" for number, is_hard in way) for way in ways):
                known[job.number] = "blocked"
            elif job.items is None:
                known[job.number] = "failed" if job.number in failing else "succeeded"
            else:
                is_bad = job.number in failing or not set(job.items).isdisjoint(failing_items)
                known[job.number] = "blocked" if is_bad else "succeeded"
    return known


def _needed(job: Job, run: Run, runs: Collection[Run]) -> Iterator[tuple[int, bool]]:
    """What a job waits for as one of a run, and whether that must succeed: its upstreams; without any, earlier runs.

    A run that has the job itself, or comes after one that has, is not waited for.
    """
    by_name = {one.name: one for one in runs}

    def has_it(name: str) -> bool:
        return job in by_name[name].jobs or any(map(has_it, by_name[name].after))

    yield from ((number, True) for number in job.upstreams)
    if not job.upstreams:
        for name, kind in run.after.items():
            if not has_it(name):
                yield from ((other.number, kind == "hard") for other in by_name[name].jobs)


def texts(runs: Collection[Run], states: Mapping[int, State]) -> dict[int, str]:
    """What each job that succeeds writes: its number, then what it was given, in brackets; or its items."""
    jobs = {job.number: job for run in runs for job in run.jobs}

    def text(number: int) -> str:
        job = jobs[number]
        if job.items is not None:
            return "[" + "".join(f"<{item}>" for item in job.items) + "]"
        return f"{number}(" + "".join(map(text, job.upstreams)) + ")"

    return {number: text(number) for number, state in states.items() if state == "succeeded"}

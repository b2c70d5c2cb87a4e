"""What an experiment means, said once more and smaller: which jobs succeed, fail or are blocked, and what they make.

Knows no store, no cache, no processes and no order of work.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["succeeded", "failed", "blocked"]


@dataclass(frozen=True)
class Job:
    """A job by number, with the jobs it takes from, in the order of its list."""

    number: int
    upstreams: tuple[int, ...] = ()


@dataclass(frozen=True)
class Run:
    """Jobs that belong together, and the runs that come first: name to hard or soft."""

    name: str
    jobs: tuple[Job, ...]
    after: Mapping[str, Literal["hard", "soft"]] = field(default_factory=dict)


def states(runs: Collection[Run], failing: Collection[int]) -> dict[int, State]:
    """How every job ends when whatever can run does run. `failing` are the jobs whose script fails."""
    known: dict[int, State] = {}
    by_name = {run.name: run for run in runs}
    while len(known) < sum(len(run.jobs) for run in runs):
        for run in runs:
            for job in run.jobs:
                if job.number in known:
                    continue
                # What a job waits for: its upstreams; without any, the runs that come before its own.
                needed = list(job.upstreams)
                awaited = list(job.upstreams)
                if not job.upstreams:
                    for name, kind in run.after.items():
                        numbers = [other.number for other in by_name[name].jobs]
                        awaited += numbers
                        needed += numbers if kind == "hard" else []
                if not all(number in known for number in awaited):
                    continue
                if any(known[number] != "succeeded" for number in needed):
                    known[job.number] = "blocked"
                else:
                    known[job.number] = "failed" if job.number in failing else "succeeded"
    return known


def texts(runs: Collection[Run], states: Mapping[int, State]) -> dict[int, str]:
    """What each job that succeeds writes: its number, then what it was given, in brackets."""
    jobs = {job.number: job for run in runs for job in run.jobs}

    def text(number: int) -> str:
        return f"{number}(" + "".join(map(text, jobs[number].upstreams)) + ")"

    return {number: text(number) for number, state in states.items() if state == "succeeded"}

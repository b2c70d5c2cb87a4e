"""Which runs a job waits for, because its run comes after them, and when they block it; knows no state and no store.

Only the first jobs of a run wait, and those that take a run's results: the others wait for them. A job that several
runs share waits for what the most patient of them waits for, and may run as soon as one of them lets it: where one run
comes after nothing, not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from repx.agent.lab.run_file import Job
from repx.lab.directory import LabDirectory

Waits = Sequence[Mapping[str, str]]
"""For each run that a job is of, the runs that it waits for, with the kind of each: "hard" or "soft"."""

T = TypeVar("T")


class RunOrder:
    """The order of some runs of a Lab; jobs wait for these alone."""

    def __init__(self, lab: LabDirectory, runs: Collection[str]) -> None:
        self._lab = lab
        self._runs = runs
        self._dependencies = {name: lab.dependencies(run) for name, run in lab.runs.items()}
        self._is_free = not any(self._dependencies[name] for name in runs)
        self._ids: dict[frozenset[str], set[str]] = {}
        self._before: dict[str, frozenset[str]] = {}
        for name, after in self._dependencies.items():
            self._before[name] = frozenset({name}).union(*(self._before.get(other, {other}) for other in after))
        self._shared = {} if self._is_free else self._shared_jobs()

    def waits(self, job: Job) -> Waits:
        """What a job waits for; empty when it waits for no run."""
        if self._is_free:
            return ()
        is_first = not job.upstream_ids()
        taken = job.runs_taken()
        if not (is_first or taken):
            return ()
        waits = [
            {
                name: kind
                for name, kind in self._dependencies[run].items()
                # A job that an earlier run shares with this one cannot wait for that run to end.
                if name in self._runs and (is_first or name in taken) and job.id not in self._ids_of(name)
            }
            for run in self._shared.get(job.id, [job.run.name])
        ]
        return waits if all(waits) else ()

    def up_to(self, name: str) -> list[str]:
        """A run and all it comes after, in the order of the Lab: each after those that it comes after."""
        return [run for run in self._lab.runs if run in self._before[name]]

    def _ids_of(self, run: str) -> set[str]:
        """The ids of a run and of all it comes after; looked at once."""
        runs = self._before[run]
        if runs not in self._ids:
            self._ids[runs] = {identity for name in runs for identity in self._lab.run(name).ids()}
        return self._ids[runs]

    def _shared_jobs(self) -> dict[str, list[str]]:
        """The runs of each job that is of several."""
        if len(self._runs) < 2:
            return {}
        counts = Counter(identity for name in self._runs for identity in self._lab.run(name).ids())
        shared: dict[str, list[str]] = {identity: [] for identity, count in counts.items() if count > 1}
        if shared:
            for name in self._runs:
                for identity in self._lab.run(name).ids():
                    if identity in shared:
                        shared[identity].append(name)
        return shared


def blocked_by_runs(waits: Waits, blocker_in: Callable[[str], T | None]) -> T | None:
    """What keeps a job with these `waits` from running, when all of them have ended: None when one run lets it go on.

    `blocker_in` says what has not succeeded in a run, if anything; only where a dependency is hard does it count.
    """
    first: T | None = None
    for runs in waits:
        found = (blocker_in(name) for name, kind in runs.items() if kind == "hard")
        blocker = next((one for one in found if one is not None), None)
        if blocker is None:
            return None
        first = first or blocker
    return first

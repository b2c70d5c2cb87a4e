"""Which runs a job waits for, because its run comes after them; knows no unit and no state.

Only the first jobs of a run wait, and those that take a run's results: the others wait for them. A job that several
runs share waits for what the most patient of them waits for, and may run as soon as one of them lets it: where one run
comes after nothing, not at all.
"""

from __future__ import annotations

from collections import Counter

from repx.agent.lab.run_file import Job
from repx.lab.directory import LabDirectory
from repx.lab.selection import Selection


class RunOrder:
    """The order of the selected runs of a Lab."""

    def __init__(self, lab: LabDirectory, selection: Selection) -> None:
        self._lab = lab
        self._runs = selection.runs
        self._dependencies = {name: lab.dependencies(run) for name, run in lab.runs.items()}
        self._ids: dict[frozenset[str], set[str]] = {}
        self._before: dict[str, frozenset[str]] = {}
        for name, after in self._dependencies.items():
            self._before[name] = frozenset({name}).union(*(self._before.get(other, {other}) for other in after))
        self._shared = self._shared_jobs() if any(self._dependencies.values()) else {}

    def waits(self, job: Job, *, is_first: bool) -> list[list[tuple[str, str]]]:
        """(run, kind) of what a job waits for, for each run it is of; `is_first` when it takes from no job."""
        waits = []
        taken = job.runs_taken()
        for run in self._shared.get(job.id, [job.run.name]):
            waits.append(
                [
                    (name, kind)
                    for name, kind in self._dependencies[run].items()
                    # A job that an earlier run shares with this one cannot wait for that run to end.
                    if name in self._runs and (name in taken or is_first) and job.id not in self._ids_of(name)
                ]
            )
        return waits if all(waits) else []

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

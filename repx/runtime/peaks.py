"""How much memory the jobs of each stage have used, for one of them that had too little; starts nothing."""

from __future__ import annotations

from collections.abc import Iterable

from repx.agent.base.state import State
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Stage
from repx.agent.scatter import PartJob
from repx.model.resources import MIB
from repx.runtime.units import Unit
from repx.store.attempts import all_attempts

_MOST_READ = 100
"""Records of a stage's earlier results that are read, at most, and once."""


class Peaks:
    """The highest peak of each stage, as far as it was told or stands in records."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self._read: set[str] = set()

    def note(self, stage: Stage, peak: int) -> None:
        """A job of a stage has succeeded with this peak."""
        if peak > self._of.get(stage.executable, 0):
            self._of[stage.executable] = peak

    def more_than(self, had: int, stage: Stage, units: Iterable[Unit], *, is_first: bool) -> int:
        """Bytes for a job to which `had` was too little: first what others of its stage have used, else twice as much.

        A quarter is added to a peak: the memory of a group is more than that of its largest process.
        """
        if is_first:
            self._read_records(stage, units)
            wanted = -(-self._of.get(stage.executable, 0) * 5 // 4 // MIB) * MIB
            if wanted > had:
                return wanted
        return 2 * had

    def _read_records(self, stage: Stage, units: Iterable[Unit]) -> None:
        """Take in what earlier runs have done of a stage."""
        if stage.executable in self._read:
            return
        self._read.add(stage.executable)
        left = _MOST_READ
        for unit in units:
            if unit.job is None or unit.state is not State.SUCCEEDED or not unit.found or unit.outcome is None:
                continue
            if stage_with_script(unit.job).executable == stage.executable:
                for attempt in all_attempts(unit.outcome.directory):
                    self.note(stage, attempt.max_rss)
                left -= 1
                if left == 0:
                    return


def stage_with_script(job: Job | PartJob) -> Stage:
    """The stage whose script a unit runs: of a whole scatter-gather, the gather's."""
    return job.stage if job.stage.parts is None else job.stage.parts.gather

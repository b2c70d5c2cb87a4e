"""A small store with Labs, results put there by hand, and whatever a test adds; collects nothing by itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repx import Run
from repx.agent.base.layout import COLLECTED, OUT, RECORD, Store
from repx.agent.resolver import Resolver
from repx.agent.scatter import PartJob
from repx.lab.directory import LabDirectory
from repx.store.gc.collect import Collected, collect
from repx.store.gc.plan import Plan, make_plan
from repx.store.gc.reading import Policy
from repx.store.roots import keep_realized
from tests.small_labs import put_result, small_lab

NONE_BEFORE = Policy(keep_last=0)
"""No Lab counts only because it was realized before."""


class Filled:
    """A store below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(str(root / "store"))

    def lab(self, *runs: Run, done: bool = True) -> LabDirectory:
        """A Lab of these runs, all of its jobs done."""
        lab = small_lab(self.root, runs).seen_from(self.store)
        if done:
            self.do(lab)
        return lab

    def do(self, lab: LabDirectory) -> None:
        """Put a result under today's key of every job, and of every part of a scatter-gather."""
        resolver = Resolver(lab, self.store)
        for run in lab.runs.values():
            for job in self._in_order(lab, run.name):
                if job.parts is not None:
                    whole = resolver.scatter_gather(job)
                    assert whole is not None
                    while missing := [
                        one for one in whole.walk(resolver.look_up_part) if one.outcome is None and one.job
                    ]:
                        for part in missing:
                            assert part.job is not None
                            assert part.resolved is not None
                            self._put(resolver, part.job, part.resolved)
                for index in range(job.stage.realizations):
                    resolved = resolver.resolve(job, index)
                    assert resolved is not None
                    made = put_result(self.store, job, resolved, dict.fromkeys(job.stage.outputs, job.id[:4]), index)
                    if index == 0:
                        resolver.note(job.id, made)

    def _put(self, resolver: Resolver, part: PartJob, resolved: Any) -> None:
        text = "[1, 2]" if "items" in part.stage.outputs else part.id[:4]
        resolver.note(part.id, put_result(self.store, part, resolved, dict.fromkeys(part.stage.outputs, text)))

    def _in_order(self, lab: LabDirectory, run: str) -> list[Any]:
        jobs = {job.id: job for job in lab.run(run).jobs()}
        ordered: dict[str, Any] = {}
        while len(ordered) < len(jobs):
            for job in jobs.values():
                if all(one in ordered or one not in jobs for one in job.upstream_ids()):
                    ordered[job.id] = job
        return list(ordered.values())

    def keep(self, lab: LabDirectory, project: str = "/project/e.py") -> None:
        """Let a Lab be one that was realized lately."""
        keep_realized(self.store, "lab", project, lab.lab_id)

    def plan(self, policy: Policy | None = None) -> Plan:
        """What would go."""
        return make_plan(self.store, policy or Policy())

    def collect(self, policy: Policy | None = None) -> Collected:
        """Collect all that can go."""
        return collect(self.store, policy or Policy(), self.plan(policy))

    def directory(self, job: str) -> Path:
        """What is kept of a job."""
        return Path(self.store.job(job))

    def having(self, name: str) -> set[str]:
        """The jobs that have a file of this name."""
        return {path.name for path in Path(self.store.outputs).iterdir() if os.path.lexists(path / name)}

    @property
    def done(self) -> set[str]:
        """The jobs whose outputs and record are there."""
        return self.having(OUT) & self.having(RECORD)

    @property
    def collected(self) -> set[str]:
        """The jobs of which there is the record alone."""
        return self.having(COLLECTED) - self.having(OUT)


def ids(lab: LabDirectory) -> set[str]:
    """The jobs of a Lab."""
    return {job.id for job in lab.jobs()}


def names_in(directory: str) -> Sequence[str]:
    """What is in a directory."""
    return sorted(path.name for path in Path(directory).iterdir())

"""A Lab and what came of it, for notebooks and scripts: jobs by id, stage or param, files, tables; runs nothing."""

from __future__ import annotations

import os

from repx.agent.base.layout import Store
from repx.agent.lab.run_file import RunFile
from repx.analysis.jobs import JobCollection, JobView, Source
from repx.lab.selection import find_job
from repx.store.location import open_lab


class RunView:
    """One run: what it comes after, by kind (`hard`, `soft`), and its jobs."""

    def __init__(self, run: RunFile, source: Source) -> None:
        self._run = run
        self._source = source
        self.name = run.name
        self.after = source.lab.dependencies(run)

    def jobs(self) -> JobCollection:
        """Its jobs, by id."""
        return JobCollection(self._source, list(self._run.ids()))

    def __repr__(self) -> str:
        return f"<RunView {self.name} of {self._run.count} jobs>"


class Experiment:
    """The Lab at `lab` and the store its results are in. Raises LabError; statuses are of when they are first asked."""

    def __init__(
        self, lab: str | os.PathLike[str] = "./result", store: str | os.PathLike[str] | Store | None = None
    ) -> None:
        self._source = Source(*open_lab(lab, store))

    def runs(self) -> dict[str, RunView]:
        """Runs by name, each after those it comes after."""
        return {name: RunView(run, self._source) for name, run in self._source.lab.runs.items()}

    def jobs(self) -> JobCollection:
        """All jobs, each once; none is read before it is asked for."""
        return JobCollection(self._source)

    def get_job(self, name: str) -> JobView:
        """One job: by its id, a unique start of it, its stage, or `stage[param=value]`. Raises UsageError."""
        return JobView(find_job(self._source.lab, name), self._source)

    def __repr__(self) -> str:
        return f"<Experiment {self._source.lab.path}>"

"""Jobs as an analysis meets them: one with its params, files and log; many as a sequence to filter; changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from repx.agent.base.layout import Store
from repx.agent.base.state import State
from repx.agent.lab.inherited import effective_params
from repx.agent.lab.run_file import Job
from repx.analysis.filters import Condition, read_conditions
from repx.analysis.outputs import result_of
from repx.analysis.statuses import Statuses
from repx.errors import UsageError
from repx.lab.directory import LabDirectory
from repx.lab.selection import param_names
from repx.store.attempts import all_attempts, log_text

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("job_id", "stage", "run", "status")


class Source:
    """What all jobs of one experiment share: the Lab, the store, what was looked at already."""

    def __init__(self, lab: LabDirectory, store: Store) -> None:
        self.lab = lab
        self.store = store
        self.statuses = Statuses(lab, store)
        self.effective: dict[str, dict[str, Any]] = {}
        self.param_names = param_names(lab)

    def job(self, identity: str) -> JobView:
        """The job of a whole id."""
        found = self.lab.job(identity)
        assert found is not None, "ids come from the Lab"
        return JobView(found, self)


class JobView:
    """One job. Params as the Lab spells them: a stored path is its place in the Lab."""

    def __init__(self, job: Job, source: Source) -> None:
        self._job = job
        self._source = source
        self.id = job.id
        self.stage: str = job.stage.name
        self.version: str = job.stage.version
        self.name = f"{self.stage}-{self.version}"
        self.stage_type = job.stage_type
        self.run = job.run.name

    @property
    def runs(self) -> tuple[str, ...]:
        """All runs it is in."""
        return tuple(run.name for run in self._source.lab.runs.values() if run.job(self.id) is not None)

    @property
    def params(self) -> dict[str, Any]:
        """The params its stage declares."""
        return dict(self._job.params)

    @property
    def effective_params(self) -> dict[str, Any]:
        """Its params and those it inherits from everything upstream; its own win, then the nearer ones."""
        return dict(effective_params(self._job, self._source.lab.job, self._source.effective))

    @property
    def dependencies(self) -> JobCollection:
        """The jobs it takes from, in the order of its inputs."""
        return JobCollection(self._source, self._job.upstream_ids())

    @property
    def status(self) -> State:
        """How it stands; looked at once, so make a new Experiment to look again."""
        return self._source.statuses.of(self._job)

    @property
    def outputs(self) -> dict[str, Path]:
        """Its outputs by name, as absolute paths. Raises UsageError when it has no result for today's inputs."""
        return {name: self.path(name) for name in self._job.stage.outputs}

    def path(self, name: str, index: int = 0) -> Path:
        """An output by its name, or a file below `$out` by its path, of a realization. Raises UsageError."""
        return result_of(self._job, self._source.lab, self._source.store, index, self._source.statuses).find(name).path

    def load_csv(self, name: str, **options: Any) -> pd.DataFrame:
        """An output as a DataFrame; `options` are those of `pandas.read_csv`."""
        import pandas as pd

        frame: pd.DataFrame = pd.read_csv(self.path(name), **options)
        return frame

    def load_json(self, name: str) -> Any:
        """An output as the JSON value it holds."""
        return json.loads(self.load_text(name))

    def load_text(self, name: str) -> str:
        """An output as text in UTF-8."""
        return self.path(name).read_text(encoding="utf-8")

    def log(self, *, stderr: bool = False, attempt: int | None = None) -> str:
        """What it printed in its last attempt, or in the one of that number, from 1. Raises UsageError."""
        directory = self._source.statuses.directory(self._job)
        attempts = all_attempts(directory)
        number = len(attempts) if attempt is None else attempt
        if not 1 <= number <= len(attempts):
            raise UsageError(f"job {self.id} has {len(attempts)} attempts" + (f", not {number}" if attempt else ""))
        return log_text(directory, attempts[number - 1], "stderr" if stderr else "stdout")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobView) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.effective_params.items())
        return f"<JobView {self.id}{' ' if params else ''}{params}>"


class JobCollection(Sequence[JobView]):
    """Jobs in the order of the Lab. Without `ids` all of them, of which none is read before it is asked for."""

    def __init__(self, source: Source, ids: Sequence[str] | None = None) -> None:
        self._source = source
        self._listed = ids

    def filter(self, predicate: Callable[[JobView], bool] | None = None, **conditions: Any) -> JobCollection:
        """Those that hold to all conditions: `seed=1, name__contains="train", lr__in=[0.1, 0.01]`.

        A keyword is an effective param, else name, stage, id, run, status, version or stage_type; a job without that
        param is left out. After two underscores: contains startswith endswith in gt ge lt le ne regex. Raises
        UsageError for a name that no job has.
        """
        tests = read_conditions(conditions, self._source.param_names)
        found = [job.id for job in self if all(map(job_holds(job), tests)) and (predicate is None or predicate(job))]
        return JobCollection(self._source, found)

    def to_dataframe(self, *, outputs: bool = False) -> pd.DataFrame:
        """A row for each job: job_id, stage, run, status, effective params; with `outputs` their paths too.

        A param named like one of these columns is called `param.<name>`; paths are in `output.<name>`.
        """
        import pandas as pd

        rows = [_row(job, outputs) for job in self]
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys((*_COLUMNS, *names))}
        return pd.DataFrame(columns, columns=list(columns))

    @overload
    def __getitem__(self, index: int) -> JobView: ...
    @overload
    def __getitem__(self, index: slice) -> JobCollection: ...
    def __getitem__(self, index: int | slice) -> JobView | JobCollection:
        if isinstance(index, slice):
            return JobCollection(self._source, self._ids[index])
        return self._source.job(self._ids[index])

    def __len__(self) -> int:
        runs = list(self._source.lab.runs.values())
        if self._listed is None and len(runs) == 1:
            return runs[0].count
        return len(self._ids)

    def __iter__(self) -> Iterator[JobView]:
        if self._listed is None:
            return (JobView(job, self._source) for job in self._source.lab.jobs())
        return map(self._source.job, self._listed)

    def __repr__(self) -> str:
        return f"<JobCollection of {len(self)} jobs>"

    @property
    def _ids(self) -> Sequence[str]:
        if self._listed is None:
            self._listed = list(dict.fromkeys(one for run in self._source.lab.runs.values() for one in run.ids()))
        return self._listed


def job_holds(job: JobView) -> Callable[[Condition], bool]:
    """Whether a job is as a condition wants it."""

    def holds(condition: Condition) -> bool:
        if condition.is_param:
            params = job.effective_params
            return condition.name in params and condition.holds(params[condition.name])
        if condition.name == "run":
            return any(map(condition.holds, job.runs))
        return condition.holds(getattr(job, condition.name))

    return holds


def _row(job: JobView, outputs: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"job_id": job.id, "stage": job.stage, "run": job.run, "status": str(job.status)}
    for name, value in job.effective_params.items():
        row[f"param.{name}" if name in _COLUMNS else name] = value
    if outputs and job.status is State.SUCCEEDED:
        row.update((f"output.{name}", str(path)) for name, path in job.outputs.items())
    return row

"""Jobs as an analysis meets them: one with its params, files and log; many as a sequence to filter; changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from repx.agent.base.layout import Store
from repx.agent.base.state import State
from repx.agent.lab.run_file import Job
from repx.analysis.filters import Condition, read_conditions
from repx.analysis.outputs import result_of
from repx.analysis.status import SHOWN
from repx.analysis.statuses import Statuses
from repx.errors import UsageError
from repx.lab.directory import LabDirectory
from repx.lab.params import named
from repx.lab.selection import ParamNames, stage_names
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
        self.inherited = self.statuses.results.inherited
        self.param_names = ParamNames(lab)
        self.attribute_values = {
            "stage": stage_names(lab),
            "run": set(lab.runs),
            "status": {state.value for state in SHOWN},
        }

    def job(self, identity: str) -> JobView:
        """The job of a whole id."""
        found = self.lab.job(identity)
        assert found is not None, "ids come from the Lab"
        return JobView(found, self)


class JobView:
    """One job. A stored path among its params is told by the name that it has where it was swept."""

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
        return {name: named(value) for name, value in self._job.params.items()}

    @property
    def effective_params(self) -> dict[str, Any]:
        """Its params, which win, and those that all it takes from agree on.

        Where they do not agree, `train.seed` is the seed of what comes in by the input `train`; `values` has all.
        """
        return {name: named(value) for name, value in self._source.inherited.of(self._job).one.items()}

    def values(self, name: str) -> list[Any]:
        """All values of a param, its own or inherited: several where what it takes from does not agree."""
        return [named(value) for value in self.stored_values(name)]

    def stored_values(self, name: str) -> Sequence[Any]:
        """The same as the Lab spells them: a stored path is its place in the Lab."""
        return self._source.inherited.values(self._job, name)

    @property
    def dependencies(self) -> JobCollection:
        """The jobs it takes from, in the order of its inputs."""
        return JobCollection(self._source, self._job.upstream_ids())

    @property
    def status(self) -> State:
        """How it stands; looked at once, so make a new Experiment to look again."""
        return self._source.statuses.of(self._job)

    @property
    def is_collected(self) -> bool:
        """Whether it is done and its outputs were collected: a job that needs them makes them again."""
        outcome = self._source.statuses.results.outcome(self._job)
        return outcome is not None and outcome.is_collected

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
        tests = read_conditions(conditions, self._source.param_names, self._source.attribute_values)
        return JobCollection(
            self._source, [job.id for job in chosen(self, tests) if predicate is None or predicate(job)]
        )

    def to_dataframe(self, *, outputs: bool = False) -> pd.DataFrame:
        """A row for each job: job_id, stage, run, status, effective params; with `outputs` their paths too.

        A param named like one of these columns is called `param.<name>`; paths are in `output.<name>`. Where what a job
        takes from does not agree on a param, `<input>.<param>` has that of each input. Integers stay integers.
        """
        import pandas as pd

        jobs = list(self)
        rows = [_row(job, outputs) for job in jobs]
        _qualify(jobs, rows)
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: _column([row.get(name) for row in rows]) for name in dict.fromkeys((*_COLUMNS, *names))}
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


def chosen(jobs: Iterable[JobView], conditions: Sequence[Condition]) -> list[JobView]:
    """The jobs that hold to all conditions.

    A param is what is asked for when it is that value; where no job of its stage has it, when it is called so.
    """
    attributes = [one for one in conditions if not one.is_param]
    params = [one for one in conditions if one.is_param]
    best: dict[tuple[str, int], tuple[int, ...]] = {}
    looked_at: list[tuple[JobView, list[tuple[int, ...]]]] = []
    for job in jobs:
        if not all(one.holds_itself(_attribute(job, one.name)) for one in attributes):
            continue
        values = [job.stored_values(one.name) for one in params]
        close = [one.closeness(found) for one, found in zip(params, values, strict=True)]
        for number, ranks in enumerate(close):
            known = best.get((job.stage, number), ranks)
            best[job.stage, number] = tuple(map(max, known, ranks))
        if all(values):
            looked_at.append((job, close))
    return [
        job for job, close in looked_at if all(one.holds(close[n], best[job.stage, n]) for n, one in enumerate(params))
    ]


def _attribute(job: JobView, name: str) -> Sequence[Any]:
    return job.runs if name == "run" else [getattr(job, name)]


def _row(job: JobView, outputs: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"job_id": job.id, "stage": job.stage, "run": job.run, "status": str(job.status)}
    for name, value in job.effective_params.items():
        row[f"param.{name}" if name in _COLUMNS else name] = value
    if outputs and job.status is State.SUCCEEDED and not job.is_collected:
        row.update((f"output.{name}", str(path)) for name, path in job.outputs.items())
    return row


def _qualify(jobs: Sequence[JobView], rows: Sequence[dict[str, Any]]) -> None:
    """Give all jobs of a stage the columns `input.param` that one of them has."""
    names: dict[str, dict[str, None]] = {}
    for job in jobs:
        names.setdefault(job.stage, {}).update((name, None) for name in job.effective_params if "." in name)
    for job, row in zip(jobs, rows, strict=True):
        for name in names[job.stage]:
            if name not in row and len(found := job.values(name)) == 1:
                row[name] = found[0]


def _column(values: list[Any]) -> pd.Series[Any] | list[Any]:
    """A column that holds the values as they are: pandas would make floats of integers with gaps or among floats."""
    import pandas as pd

    kinds = {type(value) for value in values if value is not None}
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pd.Series(values, dtype="Int64" if None in values else "int64")
    if kinds == {bool} and None in values:
        return pd.Series(values, dtype="boolean")
    return values if kinds <= {str} or (len(kinds) == 1 and int not in kinds) else pd.Series(values, dtype="object")

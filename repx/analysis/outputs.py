"""The files of a job's result: which there are, and the one that was asked for; never outside the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from repx.agent.base.files import is_inside
from repx.agent.base.layout import FAILED, Store
from repx.agent.base.record import OutputRecord
from repx.agent.base.state import State
from repx.agent.lab.run_file import Job
from repx.analysis.statuses import Statuses
from repx.analysis.steps import StoredJob
from repx.errors import UsageError, nearest
from repx.lab.directory import LabDirectory


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One output, or a file of one: `name` is empty for what was not declared; `size` counts a directory's files."""

    name: str
    place: str
    """Its path below `$out`."""
    path: Path
    size: int
    is_directory: bool


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a job: its `out` directory and the declared outputs, name to place."""

    job: str
    out: Path
    declared: dict[str, str]
    sizes: dict[str, int]

    def files(self) -> list[OutputFile]:
        """The declared outputs, then whatever else the job has left in `$out`."""
        found = [
            OutputFile(name, place, self.out / place, self.sizes[name], (self.out / place).is_dir())
            for name, place in self.declared.items()
        ]
        tops = {place.split("/")[0] for place in self.declared.values()}
        for path in sorted(self.out.iterdir()):
            if path.name not in tops:
                found.append(_plain(path, self.out))
        return found

    def find(self, wanted: str) -> OutputFile:
        """An output by its name, or anything below `$out` by its path. Raises UsageError."""
        place = self.declared.get(wanted, wanted)
        path = self.out / place
        # A link may lead anywhere inside the result, and nowhere else.
        if not is_inside(place) or not path.exists() or not path.resolve().is_relative_to(self.out.resolve()):
            names = [*self.declared, *self.declared.values()]
            raise UsageError(f"job {self.job} has no output {wanted!r}", hint=nearest(wanted, names))
        return _plain(path, self.out, next((name for name, one in self.declared.items() if one == place), ""))


def files_below(directory: OutputFile) -> list[OutputFile]:
    """Every file of an output that is a directory, by path."""
    root = directory.path
    base = root.parents[directory.place.count("/")]
    return [_plain(path, base) for path in sorted(root.rglob("*")) if path.is_symlink() or not path.is_dir()]


def result_of(
    job: Job | StoredJob, lab: LabDirectory, store: Store, index: int = 0, statuses: Statuses | None = None
) -> Result:
    """The result of a job for today's inputs. Raises UsageError when there is none, with what to do."""
    if isinstance(job, StoredJob):
        if job.record is None or job.status is not State.SUCCEEDED:
            raise _no_result(job.id, job.status, job.directory)
        if job.is_collected:
            raise _collected(job.id)
        outputs = job.record.outputs
        return _result(job.id, job.directory, outputs)
    statuses = statuses or Statuses(lab, store)
    statuses.check_index(job, index)
    outcome = statuses.results.outcome(job, index)
    if outcome is None:
        raise _no_result(job.id, statuses.of(job), statuses.directory(job, index), statuses.blocked_by(job))
    if outcome.is_collected:
        raise _collected(job.id)
    return _result(job.id, outcome.directory, outcome.outputs)


def _collected(job: str) -> UsageError:
    return UsageError(
        f"the outputs of job {job} were collected",
        facts=[("kept", "its record: it counts as done, and a job that needs its outputs makes them again")],
        hint=f"make them again: repx run --outputs {job[:12]}",
    )


def _result(job: str, directory: str, outputs: Mapping[str, OutputRecord]) -> Result:
    declared = {name: output.path for name, output in outputs.items()}
    return Result(job, Path(directory) / "out", declared, {name: output.size for name, output in outputs.items()})


def _no_result(job: str, status: State, directory: str, blocked_by: str = "") -> UsageError:
    facts: list[tuple[str, object]] = [("status", status.value)]
    hint = f"run it: repx run {job[:12]}"
    if blocked_by:
        facts.append(("because of", blocked_by))
        hint = f"see repx log {blocked_by[:12]} --stderr"
    elif status is State.FAILED:
        hint = f"see repx log {job[:12]} --stderr"
    elif status is State.RUNNING:
        hint = f"see repx log {job[:12]} --follow"
    if (Path(directory) / FAILED).is_dir():
        facts.append(("it left", f"{directory}/{FAILED}"))
    return UsageError(f"job {job} has no result for today's inputs", facts=facts, hint=hint)


def _plain(path: Path, base: Path, name: str = "") -> OutputFile:
    size = (
        sum(one.lstat().st_size for one in path.rglob("*") if one.is_file()) if path.is_dir() else path.stat().st_size
    )
    return OutputFile(name, str(path.relative_to(base)), path, size, path.is_dir())

"""What the id of a job is made of, as a Lab says it; opens no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from repx.agent.base.fingerprint import (
    JobFingerprint,
    Line,
    input_line,
    job_source,
    param_lines,
    run_source,
)
from repx.agent.base.value import ParamValue
from repx.agent.lab.job_line import FromJob, FromRun, InputSource
from repx.agent.lab.stage import Stage


class LabJob(Protocol):
    """What is asked of a job: a line of a run file has it, and so has `repx.agent.lab.run_file.Job`."""

    @property
    def stage(self) -> Stage:
        """Its stage."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Params as the Lab writes them."""

    @property
    def references(self) -> Mapping[str, str]:
        """What of the params is a reference."""

    @property
    def inputs(self) -> Iterable[InputSource]:
        """Where each input comes from."""


class Identity(NamedTuple):
    """What a job's id is made of. Params beyond the stage's do not count; `inputs` are lines."""

    stage: Stage
    params: Mapping[str, Any]
    references: Mapping[str, str]
    inputs: tuple[Line, ...]

    def fingerprint(self) -> JobFingerprint:
        """The lines of the job, and the digest of its stage's."""
        names = self.stage.params
        values = {name: ParamValue.from_lab(self.params[name], self.references.get(name, "")) for name in names}
        return JobFingerprint(self.stage.fingerprint_digest, param_lines(values, names), self.inputs)


def job_identity(job: LabJob) -> Identity:
    """What the id of a job is made of."""
    return Identity(job.stage, job.params, job.references, _input_lines(job.inputs))


def scatter_identity(job: LabJob) -> Identity:
    """What the id of a scatter is made of, which is a job of its own; `job` is the scatter-gather."""
    assert job.stage.parts is not None, "it is a scatter-gather"
    scatter = job.stage.parts.scatter
    taken = [source for source in job.inputs if source.input in scatter.inputs]
    return Identity(scatter, job.params, job.references, _input_lines(taken))


def _input_lines(sources: Iterable[InputSource]) -> tuple[Line, ...]:
    return tuple(input_line(source.input, source_text(source)) for source in sources)


def source_text(source: InputSource) -> str:
    """Where an input comes from, as it is hashed."""
    if isinstance(source, FromJob):
        return job_source(source.job, source.output, source.selector.text if source.selector else "")
    if isinstance(source, FromRun):
        return run_source(source.digest)
    return ParamValue.from_lab(source.place, "path").identity()

"""What a job's inputs are today, the key that they make, and whether a result stands under it; writes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Callable, NamedTuple, Union

from repx.agent.base.fingerprint import Line, content_source, input_line
from repx.agent.base.found import find_collected, find_realization, read_outputs
from repx.agent.base.layout import FAILURE, RECORD, Store, realization
from repx.agent.base.record import OutputRecord, read_outcome, resolved_key
from repx.agent.base.state import State
from repx.agent.lab.job_line import FromJob, FromRun, InputSource
from repx.agent.lab.place import LabRoot
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Stage


class Realized(NamedTuple):
    """A complete realization: the directory that its `out` is in, its outputs, the key that it stands under.

    Of one that `is_collected` there is only the record: it is done, and is made again when a job needs its outputs.
    """

    directory: str
    outputs: Mapping[str, OutputRecord]
    key: str
    is_collected: bool = False

    def path(self, output: str) -> str:
        """The absolute path of an output."""
        return "%s/out/%s" % (self.directory, self.outputs[output].path)


class FileInput(NamedTuple):
    """An input that is a file or a directory; `file` is the name by which the job sees it.

    `realization` is the index of the one it is of, where a selector has chosen that.
    """

    path: str
    file: str
    digest: str
    realization: int | None = None


class ResultsInput(NamedTuple):
    """An input that is the results of a run: a file that names outputs of many jobs. `digest` covers no paths."""

    run: str
    path: str
    digest: str

    @property
    def file(self) -> str:
        """The name by which the job sees it."""
        return self.run + ".json"


class ItemInput(NamedTuple):
    """A work item of a scatter, as canonical JSON."""

    text: str
    digest: str

    @property
    def file(self) -> str:
        """The name by which the job sees it."""
        return "item.json"


InputValue = Union[FileInput, ResultsInput, ItemInput]
Given = Union[None, InputValue, "list[InputValue]"]
"""What an input is given: one value, those of a list, or nothing where it is optional."""

Inputs = Mapping[str, Given]


class Resolved(NamedTuple):
    """A job that could run: its inputs, and the key of what they make."""

    inputs: Inputs
    key: str


class Reason(str, Enum):
    """Why a job is to run."""

    NEW = "never ran"
    CHANGED = "inputs changed"
    GONE = "outputs are gone"
    COLLECTED = "outputs were collected"
    FAILED = "failed before"
    CANCELLED = "was stopped before"
    FORCED = "forced"
    UPSTREAM = "after others"
    """Something that it takes from is to run; what that makes may be what it has taken already."""

    def __str__(self) -> str:
        return str(self.value)


OutcomeOf = Callable[[str], Realized]
ResultsOf = Callable[[str], ResultsInput]
SelectedOf = Callable[[FromJob], "list[tuple[int, Realized]]"]
"""The realizations that an input takes, each with its index."""


class Upstreams(NamedTuple):
    """What a job can take from: results of jobs and of runs, and the selections of realizations."""

    outcome_of: OutcomeOf
    results_of: ResultsOf
    selected_of: SelectedOf


def job_inputs(job: Job, lab: LabRoot, upstreams: Upstreams) -> Inputs:
    """The inputs of a job; `lab` has its stored paths. It raises what `lab` and `upstreams` raise."""
    if not job.inputs:
        return empty_inputs(job.stage)
    values = [(source.input, _input_value(source, lab, upstreams)) for source in job.inputs]
    return filled_inputs(job.stage, values)


def empty_inputs(stage: Stage) -> dict[str, Given]:
    """The inputs of a stage of which none is given."""
    return {spec.name: [] if spec.kind == "paths" else None for spec in stage.inputs.values()}


def filled_inputs(stage: Stage, values: Iterable[tuple[str, Given]]) -> Inputs:
    """The inputs of a stage from (name, value); a list takes all values of its name, in order."""
    inputs = empty_inputs(stage)
    for name, value in values:
        several = inputs[name]
        if isinstance(several, list):
            several.extend(_values(value))
        else:
            inputs[name] = value
    return inputs


def key_of(recipe: str, index: int, inputs: Inputs) -> str:
    """The resolved key of a realization with these inputs."""
    return resolved_key(recipe, index, _by_content(inputs))


def content_lines(inputs: Inputs) -> tuple[Line, ...]:
    """Inputs as lines that say their contents, whatever made them."""
    return tuple(input_line(name, content_source(digest, file)) for name, file, digest in _by_content(inputs))


def _by_content(inputs: Inputs) -> list[tuple[str, str, str]]:
    return [(name, one.file, one.digest) for name, value in sorted(inputs.items()) for one in _values(value)]


def output_input(outcome: Realized, name: str, index: int | None = None) -> FileInput:
    """An output of a job as an input of another."""
    output = outcome.outputs[name]
    file = output.path.rpartition("/")[2]
    return FileInput("%s/out/%s" % (outcome.directory, output.path), file, output.digest, index)


def chosen_indexes(inputs: Inputs) -> dict[str, list[int]]:
    """Which realizations each input is of, where a selector has chosen them."""
    found: dict[str, list[int]] = {}
    for name, given in inputs.items():
        for one in _values(given):
            if isinstance(one, FileInput) and one.realization is not None:
                found.setdefault(name, []).append(one.realization)
    return found


def look_up(store: Store, job: str, index: int, key: str) -> Realized | None:
    """A complete or collected realization by job, index and resolved key."""
    directory = store.job(job)
    if index == 0:
        outputs = read_outputs(directory, key)
        if outputs is not None:
            return Realized(directory, outputs, key)
    if not os.path.exists(directory):
        # Most jobs that have no result have never run.
        return None
    found = find_realization(directory, index, key)
    if found is not None:
        return Realized(found[0], found[1].outputs, key)
    collected = find_collected(directory, index, key)
    return None if collected is None else Realized(collected[0], collected[1].outputs, key, is_collected=True)


def reason_to_run(store: Store, job: str, index: int, key: str) -> Reason:
    """Why a job without a result under `key` is to run: what the store keeps of it."""
    aside = realization(store.job(job), index, key)
    directory = store.job(job) if index == 0 else aside
    others = []
    for name in (RECORD, FAILURE):
        outcome = read_outcome("%s/%s" % (directory, name))
        if outcome is not None and outcome.key == key:
            if name == RECORD:
                return Reason.GONE
            return Reason.CANCELLED if outcome.state is State.CANCELLED else Reason.FAILED
        others.append(outcome)
    # A record under this key that is not intact may stand aside as well; what stands there under others is a change.
    if read_outcome(aside + "/" + RECORD) is not None:
        return Reason.GONE
    if any(others) or any(name.startswith("%d-" % index) for name in _names(store.job(job))):
        return Reason.CHANGED
    return Reason.NEW


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _input_value(source: InputSource, lab: LabRoot, upstreams: Upstreams) -> Given:
    if isinstance(source, FromJob):
        if source.selector is None:
            return output_input(upstreams.outcome_of(source.job), source.output)
        chosen: list[InputValue] = [
            output_input(one, source.output, index) for index, one in upstreams.selected_of(source)
        ]
        return chosen if source.selector.is_list else chosen[0]
    if isinstance(source, FromRun):
        return upstreams.results_of(source.run)
    return FileInput(lab.place(source.place).path, source.file_name, source.digest)


def _values(given: Given) -> Iterable[InputValue]:
    if given is None:
        return ()
    return given if isinstance(given, list) else (given,)

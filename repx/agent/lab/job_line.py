"""One job as its line in a run file says it: where each input comes from, params, what it asks for; opens no file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from sys import intern
from typing import Any, NamedTuple, Union

from repx.agent.base.names import (
    is_digest,
    is_file_name,
    is_job_id,
    is_output_name,
    is_place,
    is_sha256,
    is_stored_place,
    is_variable,
)
from repx.agent.base.selector import Selector, parse_selector
from repx.agent.base.wire import InputSpec
from repx.agent.lab.checks import (
    Check,
    are_plain,
    complaints,
    dict_of,
    is_count,
    is_object,
    is_param,
    is_text,
    list_of,
    short,
    values_complaints,
)
from repx.agent.lab.stage import Stage


class FromJob(NamedTuple):
    """An input that is an output of another job; with `selector`, of some of its realizations."""

    input: str
    job: str
    output: str
    selector: Selector | None = None


class FromRun(NamedTuple):
    """An input that is the results of a whole run; `digest` is over the ids of its jobs."""

    input: str
    run: str
    digest: str


class Stored(NamedTuple):
    """An input that the Lab carries; `digest` is that of its tree."""

    input: str
    place: str
    digest: str

    @property
    def file_name(self) -> str:
        """What the job sees it as: `store/<digest>-<file name>`."""
        return self.place.partition("-")[2]


InputSource = Union[FromJob, FromRun, Stored]


class Hints(NamedTuple):
    """The resources a job asks for, as the Lab spells them; None is "not said"."""

    mem: str | None = None
    cpus: int | None = None
    time: str | None = None
    partition: str | None = None
    sbatch_opts: tuple[str, ...] = ()

    def said(self) -> dict[str, Any]:
        """What is said, by name."""
        return {name: value for name, value in self._asdict().items() if value not in (None, ())}


NO_HINTS = Hints()


class PartRecipes(NamedTuple):
    """The recipe digests of a scatter-gather's parts with this job's params, what each asks for, its scatter's id."""

    scatter_id: str
    scatter: str
    steps: Mapping[str, str]
    scatter_hints: Hints
    step_hints: Mapping[str, Hints]
    gather_hints: Hints


class JobLine(NamedTuple):
    """What stands in a line. `references` says which params are not what their text says: `ParamValue.reference`.

    `arguments` are those of the pipeline that no stage takes: they tell jobs apart, and are in no id.
    """

    stage: Stage
    recipe: str
    params: Mapping[str, Any]
    references: Mapping[str, str]
    inputs: tuple[InputSource, ...]
    hints: Hints
    parts: PartRecipes | None
    arguments: Mapping[str, Any]


def parse_job(body: Any, stages: Mapping[str, Stage]) -> tuple[JobLine | None, list[str]]:
    """A job's line, or all that keeps it from being one."""
    wrong: list[str] = []
    if type(body) is not dict:
        return None, list(complaints("it", body, _JOB))
    found: Iterator[Any] = map(body.get, _JOB)
    recipe, executables, given, digest = found
    # Written out, and not by the table: every job is looked at so.
    if type(executables) is not dict or type(given) is not dict or type(digest) is not str or not is_digest(recipe):
        return None, list(complaints("it", body, _JOB))
    stage = stages.get(digest)
    if stage is None:
        return None, [f"its stage {short(digest)} is not in the run file"]
    if stage.parts is None:
        main, parts = executables.get("main"), None
        mappings = main.get("inputs") if isinstance(main, dict) else None
    else:
        mappings, parts = body.get("inputs"), _part_recipes(stage, body.get("parts"), executables, wrong)
    inputs = _inputs(mappings, stage, wrong) if mappings != [] else ()
    params = _params(stage, given, wrong)
    references = body.get("references", _NOTHING)
    if references or not are_plain(params):
        wrong.extend(values_complaints("it", params, references))
    hints = _hints(body["resource_hints"], wrong) if "resource_hints" in body else NO_HINTS
    arguments = body.get("arguments", _NOTHING)
    if arguments is not _NOTHING and not _ARGUMENTS(arguments):
        wrong.append(f"its arguments are {short(arguments)}")
    if wrong:
        return None, wrong
    return JobLine(stage, recipe, params, references, inputs, hints, parts, arguments), []


def _params(stage: Stage, given: Mapping[str, Any], wrong: list[str]) -> Mapping[str, Any]:
    """Exactly those its stage declares; their names are kept once for all jobs."""
    if len(given) == len(stage.params):
        with contextlib.suppress(KeyError):
            return {name: given[name] for name in stage.params}
    wrong.append(f"its params are {short(sorted(given))}, and its stage has {short(sorted(stage.params))}")
    return given


def _inputs(mappings: Any, stage: Stage, wrong: list[str]) -> tuple[InputSource, ...]:
    if isinstance(mappings, list):
        return tuple(_sources(mappings, stage, wrong))
    wrong.append(f"its inputs are {short(mappings)}")
    return ()


def _sources(mappings: list[Any], stage: Stage, wrong: list[str]) -> Iterator[InputSource]:
    for mapping in mappings:
        spec = stage.inputs.get(mapping["target_input"]) if _is_mapping(mapping) else None
        if spec is None:
            wrong.append(f"it has the input {short(mapping)}")
        elif "job_id" in mapping:
            job, output = mapping["job_id"], mapping.get("source_output")
            if is_job_id(job) and is_output_name(output):
                selector = parse_selector(mapping["selection"]) if "selection" in mapping else None
                if ("selection" in mapping and selector is None) or (selector and not _takes(spec, selector)):
                    wrong.append(f"its input {spec.name} has the selection {short(mapping['selection'])}")
                # Each id and each output is named by many jobs, and kept once.
                yield FromJob(spec.name, intern(job), intern(output), selector)
            else:
                wrong.extend(complaints(f"input {spec.name}", mapping, _FROM_JOB))
        elif "source_run" in mapping:
            if _fits(f"input {spec.name}", mapping, _FROM_RUN, wrong):
                yield FromRun(spec.name, mapping["source_run"], mapping["results"])
        elif not is_place(mapping.get("source_value")):
            wrong.append(f"its input {spec.name} is {short(mapping.get('source_value'))}, outside the Lab")
        elif _fits(f"input {spec.name}", mapping, _STORED, wrong):
            yield Stored(spec.name, mapping["source_value"], mapping["digest"])


def _takes(spec: InputSpec, selector: Selector) -> bool:
    return spec.kind == "paths" or (spec.kind == "path" and not selector.is_list)


def _is_mapping(mapping: Any) -> bool:
    return type(mapping) is dict and type(mapping.get("target_input")) is str


def _fits(what: str, value: Any, schema: Mapping[str, Check], wrong: list[str]) -> bool:
    """Whether `complaints` has none; quick where that is so."""
    if type(value) is dict:
        for key, check in schema.items():
            if key not in value or not check(value[key]):
                break
        else:
            return True
    wrong.extend(complaints(what, value, schema))
    return False


def _hints(given: Any, wrong: list[str]) -> Hints:
    if not isinstance(given, dict):
        wrong.append(f"its resource_hints are {short(given)}")
        return NO_HINTS
    for name, value in given.items():
        if name not in _HINTS or not _HINTS[name](value):
            wrong.append(f"its resource_hints have {name}: {short(value)}")
            return NO_HINTS
    return Hints(**{**given, "sbatch_opts": tuple(given.get("sbatch_opts", ()))})


def _part_recipes(stage: Stage, given: Any, executables: Mapping[str, Any], wrong: list[str]) -> PartRecipes | None:
    assert stage.parts is not None
    names = [step.name for step in stage.parts.steps]
    roles = ["scatter", *(f"step-{name}" for name in names)]
    if not isinstance(given, dict) or not all(is_digest(given.get(role)) for role in roles):
        wrong.append(f"its parts are {short(given)}")
        return None
    if not is_job_id(given.get("scatter_id")):
        wrong.append(f"its scatter_id is {short(given.get('scatter_id'))}")
        return None
    hints = dict(_part_hints([*roles, "gather"], executables, wrong))
    return PartRecipes(
        scatter_id=given["scatter_id"],
        scatter=given["scatter"],
        steps={name: given[f"step-{name}"] for name in names},
        scatter_hints=hints["scatter"],
        step_hints={name: hints[f"step-{name}"] for name in names},
        gather_hints=hints["gather"],
    )


def _part_hints(roles: Iterable[str], executables: Mapping[str, Any], wrong: list[str]) -> Iterator[tuple[str, Hints]]:
    for role in roles:
        executable = executables.get(role)
        if not isinstance(executable, dict):
            wrong.append(f"it has no executable {role}")
            executable = {}
        yield role, _hints(executable["resource_hints"], wrong) if "resource_hints" in executable else NO_HINTS


_NOTHING: Mapping[str, str] = {}

_JOB: Mapping[str, Check] = {
    "recipe": is_digest,
    "executables": is_object,
    "params": is_object,
    "stage": is_text,
}
_ARGUMENTS = dict_of(is_variable, is_param)
_FROM_JOB: Mapping[str, Check] = {"job_id": is_job_id, "source_output": is_output_name}
_FROM_RUN: Mapping[str, Check] = {"source_run": is_file_name, "results": is_text}
_STORED: Mapping[str, Check] = {"source_value": is_stored_place, "digest": is_sha256}
_HINTS: Mapping[str, Check] = {
    "mem": is_text,
    "cpus": is_count,
    "time": is_text,
    "partition": is_text,
    "sbatch_opts": list_of(is_text),
}

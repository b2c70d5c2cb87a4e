"""Whether digests are those of what they claim to be of: stages, jobs, runs, and the names of files; opens no file.

A job's id is a digest of its recipe and of where its inputs come from, which names other ids. So once all of them are
recomputed, the graph has no circle: its ids would have to be digests of themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from repx.agent.base.digest import ID_LENGTH, short_digest
from repx.agent.base.fingerprint import (
    Encoded,
    Line,
    encode,
    input_line,
    job_digest,
    join,
    param_line,
    recipe_digest,
)
from repx.agent.base.value import STORE, ParamValue
from repx.agent.lab.fault import Complaint
from repx.agent.lab.identity import source_text
from repx.agent.lab.job_line import FromRun
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Parts, Stage
from repx.model.names import job_id

_ALONE = frozenset(["arguments", "contract", "script", "script.kind"])
"""Lines of a stage that say what nothing else in a run file says; those of its software are others."""


def name_complaints(files: Mapping[str, str], named: Iterable[str]) -> Iterator[Complaint]:
    """Which of the files that are named by their content are not what their names say; `files` have their SHA-256."""
    for place in sorted(named):
        name = place.rpartition("/")[2]
        sha256 = files.get(place)
        if sha256 is None:
            yield place, "it is not in the manifest"
        elif name[:ID_LENGTH] != short_digest(bytes.fromhex(sha256)):
            yield place, "its content is not what its name says"


def stage_complaints(stage: Stage) -> Iterator[str]:
    """What of a stage, or of its parts, its fingerprint says otherwise."""
    for one in (stage, *_parts_of(stage)):
        expected = dict(_expected_lines(one))
        found = dict(one.fingerprint)
        wrong = [label for label, text in expected.items() if found.get(label) != text]
        wrong += [
            label
            for label in found.keys() - expected.keys()
            if label not in _ALONE and not label.startswith("software.")
        ]
        if list(one.fingerprint) != sorted(found.items()):
            yield f"stage {stage.digest}: the fingerprint of {one.name} is not in order"
        for label in sorted(wrong):
            yield f"stage {stage.digest}: the fingerprint of {one.name} says otherwise: {label}"
    for script, name in _scripts(stage):
        if script.executable != f"{STORE}{stage.digest}/bin/{name}":
            yield f"stage {stage.digest}: its script {name} is called {script.executable}"


class JobIdentities:
    """The digests of jobs, computed anew. Equal values and equal sources are encoded once."""

    def __init__(self, results: Mapping[str, str]) -> None:
        """`results` are the digests of all runs by name."""
        self._results = results
        self._params: dict[tuple[str, type, Any, str], Encoded] = {}

    def complaints(self, job: Job) -> Iterator[str]:
        """What of a job is not the digest of what it claims to be of."""
        recipe = self._recipe(job.stage, job.params, job.references)
        if job.recipe != recipe:
            yield "its recipe is not the digest of its stage and params"
        sources = [(source.input, encode([input_line(source.input, source_text(source))])) for source in job.inputs]
        if job.id != _job_id(job.stage, recipe, sources):
            yield "its id is not the digest of its recipe and inputs"
        for source in job.inputs:
            if isinstance(source, FromRun) and source.digest != self._results.get(source.run):
                yield f"it takes the results of {source.run}, which are others"
        if job.stage.parts is not None and job.parts is not None:
            yield from self._part_complaints(job, job.stage.parts, sources)

    def _part_complaints(self, job: Job, parts: Parts, sources: Iterable[tuple[str, Encoded]]) -> Iterator[str]:
        assert job.parts is not None
        scatter = self._recipe(parts.scatter, job.params, job.references)
        taken = [(name, source) for name, source in sources if name in parts.scatter.inputs]
        if job.parts.scatter != scatter or job.parts.scatter_id != _job_id(parts.scatter, scatter, taken):
            yield "its scatter's recipe and id are not the digests of what it is made of"
        for step in parts.steps:
            references = {name: kind for name, kind in job.references.items() if name not in step.fixed}
            given = {**job.params, **step.fixed}
            if job.parts.steps[step.name] != self._recipe(step.stage, given, {**references, **step.references}):
                yield f"the recipe of its step {step.name} is not the digest of stage and params"

    def _recipe(self, stage: Stage, params: Mapping[str, Any], references: Mapping[str, str]) -> str:
        pieces = [self._param(name, params[name], references.get(name, "")) for name in stage.params]
        return recipe_digest(stage.fingerprint_digest, join(pieces))

    def _param(self, name: str, value: Any, reference: str) -> Encoded:
        # Not by the value alone: 1 == 1.0 == True.
        key = (name, type(value), value, reference)
        if key not in self._params:
            self._params[key] = encode([param_line(name, ParamValue.from_lab(value, reference).identity())])
        return self._params[key]


def _job_id(stage: Stage, recipe: str, sources: Iterable[tuple[str, Encoded]]) -> str:
    return job_id(job_digest(recipe, join(source for _, source in sources)), stage.name, stage.version)


def _parts_of(stage: Stage) -> tuple[Stage, ...]:
    parts = stage.parts
    return () if parts is None else (parts.scatter, *(step.stage for step in parts.steps), parts.gather)


def _scripts(stage: Stage) -> Iterator[tuple[Stage, str]]:
    """What has a script, with the script's name."""
    if stage.parts is None:
        yield stage, stage.name
        return
    yield stage.parts.scatter, f"{stage.name}-scatter"
    yield from ((step.stage, f"{stage.name}-step-{step.name}") for step in stage.parts.steps)
    yield stage.parts.gather, f"{stage.name}-gather"


def _expected_lines(stage: Stage) -> Iterator[Line]:
    yield "hash-mode", stage.hash_mode
    yield "stage.name", stage.name
    yield "stage.version", stage.version
    yield from ((f"output.{name}", path) for name, path in stage.outputs.items())
    yield from ((f"takes.{spec.name}", spec.kind) for spec in stage.inputs.values())
    if stage.takes_index:
        yield "takes-index", "true"
    if stage.is_impure:
        yield "impure", "true"
    if stage.hash_mode == "pure":
        yield from ((f"env.{name}", text) for name, text in stage.env.items())
        if stage.parts is None:
            yield "script.kind", stage.kind
    if stage.parts is not None:
        yield from _lines_of_parts(stage.parts)


def _lines_of_parts(parts: Parts) -> Iterator[Line]:
    stages = [("scatter", parts.scatter), ("gather", parts.gather)]
    stages += [(f"step:{step.name}", step.stage) for step in parts.steps]
    for role, stage in stages:
        yield from ((f"{role}:{label}", text) for label, text in stage.fingerprint)
    for step in parts.steps:
        for wire in step.wires:
            yield f"step:{step.name}:wiring.{wire.input}", f"{wire.source_text} {wire.name}"
        for name, value in step.fixed.items():
            label, text = param_line(name, ParamValue.from_lab(value, step.references.get(name, "")).identity())
            yield f"step:{step.name}:{label}", text
    for wire in parts.gather_wires:
        yield f"gather:wiring.{wire.input}", f"{wire.source_text} {wire.name}"
    yield "scatter:items", parts.items

"""What identifies a stage and a job: their labelled lines and the digests of these; reads nothing.

A job has two digests. Its *recipe* covers the stage and the params; its *id* covers the recipe and where the inputs
come from. At run time the recipe and the contents of the inputs make the resolved key
(`repx.agent.base.record.resolved_key`). `repx.agent.base.fingerprint` has the format, which a Lab and a record share.

Not covered, so that changing them reruns nothing: resources (how a job runs is not what it computes), the target, the
run's name, groups and descriptions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from repx.agent.base.digest import short_digest
from repx.agent.base.fingerprint import (
    Encoded,
    JobFingerprint,
    Line,
    digest_of_lines,
    encode,
    encode_line,
    input_line,
    job_digest,
    job_source,
    join,
    param_line,
    param_lines,
    recipe_digest,
    run_source,
    stage_digest,
)
from repx.model.derivation import Derivation, Edge, Parts, RunResults, StageRecipe
from repx.model.names import JobId, job_id
from repx.model.values import Value, identity, param_value

CONTRACT = 1
"""The contract between a script and its runtime. Raising it gives every job a new id: never for a new template."""


def fingerprinted(stage: StageRecipe) -> StageRecipe:
    """A stage with its lines and their digest."""
    lines = stage_lines(stage)
    return replace(stage, lines=lines, digest=stage_digest(lines))


def stage_lines(stage: StageRecipe) -> tuple[Line, ...]:
    """The lines of a stage, sorted by label; only a step's input that takes a list has several lines, in its order."""
    lines = [
        ("contract", str(CONTRACT)),
        ("hash-mode", stage.hash_mode),
        ("stage.name", stage.name),
        ("stage.version", stage.version),
    ]
    lines += [(f"output.{name}", path) for name, path in stage.outputs]
    lines += [(f"takes.{spec.name}", spec.kind) for spec in stage.inputs]
    if stage.takes_index:
        lines.append(("takes-index", "true"))
    if stage.impure:
        lines.append(("impure", "true"))
    if stage.hash_mode == "pure":
        lines += [(f"env.{name}", value) for name, value in stage.env]
        lines += [(f"software.{label}", value) for label, value in stage.software.identity]
        if stage.script is not None:
            lines.append(("script.kind", stage.script.kind))
            lines.append(("script", _text_digest(stage.script.identity)))
        if arguments := stage.arguments:
            lines.append(("arguments", arguments))
    if stage.parts is not None:
        lines += _lines_of_parts(stage.parts)
    return tuple(sorted(lines, key=lambda line: line[0]))


def _lines_of_parts(parts: Parts) -> Iterator[Line]:
    """The lines of each part with its role before the label (no name holds a colon), and how the parts are wired."""
    stages = [("scatter", parts.scatter), ("gather", parts.gather)]
    stages += [(f"step:{step.name}", step.stage) for step in parts.steps]
    for role, stage in stages:
        yield from ((f"{role}:{label}", text) for label, text in stage.lines)
    for step in parts.steps:
        for wire in step.wires:
            yield f"step:{step.name}:wiring.{wire.input}", f"{wire.source_text} {wire.name}"
        for name, value in step.fixed:
            label, text = param_line(name, identity(value))
            yield f"step:{step.name}:{label}", text
    for wire in parts.gather_wires:
        yield f"gather:wiring.{wire.input}", f"{wire.source_text} {wire.name}"
    yield "scatter:items", parts.items


def encoded_param(name: str, value: Value) -> Encoded:
    """The line of one param as it is hashed."""
    return encode_line(*param_line(name, identity(value)))


def encoded_inputs(edges: Iterable[Edge]) -> Encoded:
    """The lines of all inputs as they are hashed."""
    return join([encode_line(*_input_line(edge)) for edge in edges])


def derivation_id(stage: StageRecipe, recipe: str, inputs: Encoded) -> JobId:
    """The job id for a recipe digest and the lines of its inputs."""
    return job_id(job_digest(recipe, inputs), stage.name, stage.version)


def job_fingerprint(job: Derivation) -> JobFingerprint:
    """The lines of a job, of which its recipe digest and its id are made."""
    params = [param_line(name, identity(value)) for name, value in zip(job.stage.params, job.params, strict=True)]
    return JobFingerprint(job.stage.digest, tuple(params), tuple(map(_input_line, job.edges)))


def part_identities(job: Derivation) -> dict[str, str]:
    """The recipe digest of each part with this job's params, and the id of its scatter, which is a job of its own."""
    parts = job.stage.parts
    assert parts is not None
    values = {name: param_value(value) for name, value in job.params_dict().items()}

    def recipe(stage: StageRecipe, fixed: Mapping[str, Value]) -> str:
        given = {**values, **{name: param_value(value) for name, value in fixed.items()}}
        return recipe_digest(stage.digest, encode(param_lines(given, stage.params)))

    scatter = recipe(parts.scatter, {})
    taken = {spec.name for spec in parts.scatter.inputs}
    inputs = encoded_inputs(edge for edge in job.edges if edge.name in taken)
    identities = {"scatter": scatter, "scatter_id": str(derivation_id(parts.scatter, scatter, inputs))}
    identities.update((f"step-{step.name}", recipe(step.stage, dict(step.fixed))) for step in parts.steps)
    return identities


def package_digest(identity: Iterable[Line]) -> str:
    """What identifies the software of a package that is the value of a param."""
    return digest_of_lines("repx-package 2", encode(identity))


def _input_line(edge: Edge) -> Line:
    source = edge.source
    if isinstance(source, Derivation):
        return input_line(edge.name, job_source(source.id, edge.output, edge.selector.text if edge.selector else ""))
    if isinstance(source, RunResults):
        return input_line(edge.name, run_source(source.digest))
    return input_line(edge.name, param_value(source).identity())


def _text_digest(text: str) -> str:
    return short_digest(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())

"""The JSON of a Lab: what stands in its files, as text made from derivations; reads and writes nothing.

A superset of RepX 0.5's metadata (the ten keys of an input mapping, `executables`, `resource_hints`), with keys of our
own. What is equal for all jobs of a stage stands once, under `stages`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from repx.agent.base.digest import canonical_json, digest_of_text
from repx.agent.base.value import Plain
from repx.agent.lab.format import JOBS_START, LAB_FORMAT
from repx.model.derivation import Derivation, Edge, RunResults, StageRecipe
from repx.model.fingerprint import part_identities
from repx.model.graph import Arguments, RunGraph
from repx.model.values import PackageRef, StoredPath, Value, as_json, param_value, place_in_lab

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def folder_digest(stage: str, files: Iterable[tuple[str, str, bool]]) -> str:
    """What names a stage's directory: the digest of its lines and (path, SHA-256, executable) of each file, sorted."""
    lines = [canonical_json([path, sha256, executable]) for path, sha256, executable in files]
    return digest_of_text("\n".join(["repx-folder 1", stage, *lines]))


def stage_json(recipe: StageRecipe, executable: str, software: str, source: str) -> dict[str, Any]:
    """What a run file says of a stage, once. `executable` and `software` are places in the Lab."""
    stage: dict[str, Any] = {
        "name": recipe.name,
        "version": recipe.version,
        "kind": recipe.kind,
        "executable": executable,
        "inputs": [list(spec) for spec in recipe.inputs],
        "outputs": dict(recipe.outputs),
        "params": list(recipe.params),
        "env": dict(recipe.env),
        "software": software,
        "realizations": recipe.realizations,
        "impure": recipe.impure,
        "hash_mode": recipe.hash_mode,
        "takes_index": recipe.takes_index,
        "source": source,
        "fingerprint": [list(line) for line in recipe.lines],
    }
    if recipe.retries.times:
        stage["retries"] = recipe.retries.json()
    if recipe.doc:
        stage["doc"] = recipe.doc
    return stage


def parts_json(recipe: StageRecipe, describe: Callable[[StageRecipe, str], dict[str, Any]]) -> dict[str, Any]:
    """The parts of a scatter-gather as a run file says them; `describe(recipe, script name)` says one stage."""
    parts = recipe.parts
    assert parts is not None
    steps = []
    for step in parts.steps:
        fixed, references = _params_json(*zip(*step.fixed, strict=True)) if step.fixed else ({}, {})
        steps.append(
            {
                "step": step.name,
                "stage": describe(step.stage, f"{recipe.name}-step-{step.name}"),
                "wiring": [wire.json() for wire in step.wires],
                "fixed": fixed,
                **({"references": references} if references else {}),
            }
        )
    return {
        "scatter": describe(parts.scatter, f"{recipe.name}-scatter"),
        "steps": steps,
        "gather": describe(parts.gather, f"{recipe.name}-gather"),
        "items": parts.items,
        "gather_wiring": [wire.json() for wire in parts.gather_wires],
    }


def job_line(job: Derivation, stage: str, hints: Mapping[str, Any], arguments: Arguments = ()) -> str:
    """The line of a job in its run file, without the comma that may follow. `stage` is the digest of its stage."""
    recipe = job.stage
    here = f"jobs/{job.id}/bin/{recipe.name}"
    mappings = [_mapping(edge) for edge in job.edges]
    outputs = {name: f"$out/{path}" for name, path in recipe.outputs}
    executables: dict[str, Any]
    if recipe.parts is None:
        executables = {"main": {"path": here, "inputs": mappings, "outputs": outputs}}
    else:
        executables = _scatter_executables(recipe, here, mappings, outputs)
        for role, resources in job.part_resources:
            if part_hints := resources.hints():
                executables[role]["resource_hints"] = part_hints
    params, references = _params_json(recipe.params, job.params)
    body: dict[str, Any] = {
        "name": f"{recipe.name}-{recipe.version}",
        "stage_type": "scatter-gather" if recipe.parts is not None else "simple",
        "params": params,
        "executables": executables,
        "stage": stage,
        "recipe": job.recipe_digest,
    }
    if recipe.parts is not None:
        body["inputs"] = mappings
        body["parts"] = part_identities(job)
    if references:
        body["references"] = references
    if hints:
        body["resource_hints"] = hints
    if arguments:
        body["arguments"], _ = _params_json(*zip(*arguments, strict=True))
    return f'"{job.id}":{_encode(body)}'


def run_header(
    run: RunGraph, dependencies: Mapping[str, str], stages: Mapping[str, Any], count: int, image: str = ""
) -> str:
    """Everything of a run file before its jobs, one line; `dependencies` are paths of run files, `image` is a place.

    The git commit is not in it, so that a commit that changes no job of a run leaves its file as it is.
    """
    head = {
        "type": "run",
        "format": LAB_FORMAT,
        "name": run.name,
        "dependencies": dict(dependencies),
        "digest": run.digest,
        "count": count,
        "stages": dict(stages),
    }
    if image:
        head["image"] = image
    if run.arguments:
        head["arguments"] = sorted({name for given in run.arguments.values() for name, _ in given})
    return canonical_json(head)[:-1] + "," + JOBS_START


def _params_json(names: Sequence[str], values: Sequence[Value]) -> tuple[dict[str, Plain], dict[str, str]]:
    """Params by name, and what those refer to that are references."""
    params: dict[str, Plain] = {}
    references: dict[str, str] = {}
    for name, value in zip(names, values, strict=True):
        if isinstance(value, StoredPath | PackageRef):
            spelled = param_value(value)
            params[name], references[name] = spelled.lab_json(), spelled.reference()
        else:
            params[name] = as_json(value)
    return params, references


def _mapping(edge: Edge) -> dict[str, Any]:
    source = edge.source
    if isinstance(source, Derivation):
        return {
            "type": "intra-pipeline",
            "job_id_template": source.stage.name,
            "job_id": source.id,
            "source_output": edge.output,
            "target_input": edge.name,
            **({"selection": edge.selector.text} if edge.selector else {}),
        }
    if isinstance(source, RunResults):
        return {
            "type": "inter-run",
            "source_run": source.run,
            "target_input": edge.name,
            "results": source.digest,
        }
    return {"type": "global", "source_value": place_in_lab(source), "target_input": edge.name, "digest": source.digest}


def _scatter_executables(
    recipe: StageRecipe, here: str, mappings: Sequence[dict[str, Any]], outputs: Mapping[str, str]
) -> dict[str, Any]:
    parts = recipe.parts
    assert parts is not None
    by_name = {mapping["target_input"]: mapping for mapping in mappings}
    executables: dict[str, Any] = {
        "scatter": {
            "path": f"{here}-scatter",
            "inputs": [by_name[spec.name] for spec in parts.scatter.inputs if spec.name in by_name],
            "outputs": {name: f"$out/{path}" for name, path in parts.scatter.outputs},
        }
    }
    for step in parts.steps:
        wiring = []
        deps = []
        for wire in step.wires:
            if wire.source == "item":
                wiring.append({"target_input": wire.input, "source": "scatter:work_item"})
            elif wire.source == "step":
                wiring.append({"target_input": wire.input, "source": wire.source_text, "source_output": wire.name})
                deps.append(wire.step)
            elif wire.name in by_name:
                wiring.append({**by_name[wire.name], "target_input": wire.input})
        executables[f"step-{step.name}"] = {
            "path": f"{here}-step-{step.name}",
            "inputs": wiring,
            "outputs": {name: f"$out/{path}" for name, path in step.stage.outputs},
            "deps": sorted(set(deps)),
        }
    gather = []
    for wire in parts.gather_wires:
        if wire.source == "step":
            gather.append({"target_input": wire.input, "source": "runner:worker_outputs", "source_key": wire.name})
        elif wire.source == "scatter":
            gather.append({"target_input": wire.input, "source": wire.source_text, "source_output": wire.name})
        elif wire.name in by_name:
            gather.append({**by_name[wire.name], "target_input": wire.input})
    executables["gather"] = {"path": f"{here}-gather", "inputs": gather, "outputs": dict(outputs)}
    return executables

"""What all jobs of a stage share, as a run file says it, and the inside of a scatter-gather; opens no file.

Names become directories and shell variables, paths are joined to the Lab's or to `$out`: both are held to what the
definition side allows, so that a Lab from elsewhere cannot name a place outside itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from repx.agent.base.fingerprint import Line, parse_lines, stage_digest
from repx.agent.base.names import is_file_name, is_output_name, is_output_path, is_place, is_variable
from repx.agent.base.retries import NO_RETRIES, Retries, parse_retries
from repx.agent.base.wire import InputSpec, Wire
from repx.agent.lab.checks import (
    complaints,
    dict_of,
    is_count,
    is_flag,
    is_list,
    is_object,
    is_param,
    is_text,
    list_of,
    one_of,
    short,
    texts,
    values_complaints,
)
from repx.agent.lab.format import REALIZATIONS_LIMIT


class Step(NamedTuple):
    """One step of a scatter-gather; `fixed` are params given where the step is called, `references` as in `JobLine`."""

    name: str
    stage: Stage
    wires: tuple[Wire, ...]
    fixed: Mapping[str, Any]
    references: Mapping[str, str]

    @property
    def before(self) -> tuple[str, ...]:
        """The names of the steps it takes from."""
        return tuple(dict.fromkeys(wire.step for wire in self.wires if wire.source == "step"))


class Parts(NamedTuple):
    """The inside of a scatter-gather; every step stands after those it takes from.

    `items` names the scatter's output that lists the work items. The gather's wires from the `sink` bring what that
    made in each branch.
    """

    scatter: Stage
    steps: tuple[Step, ...]
    gather: Stage
    items: str
    sink: str
    gather_wires: tuple[Wire, ...]


class Stage(NamedTuple):
    """A stage as its run file says it; `digest` names its directory below store/, `executable` its script there."""

    digest: str
    name: str
    version: str
    kind: Literal["bash", "python", "scatter-gather"]
    executable: str
    inputs: Mapping[str, InputSpec]
    outputs: Mapping[str, str]
    params: tuple[str, ...]
    env: Mapping[str, str]
    software: str
    realizations: int
    is_impure: bool
    hash_mode: Literal["pure", "params-only"]
    takes_index: bool
    source: str
    fingerprint: tuple[Line, ...]
    fingerprint_digest: str
    doc: str
    retries: Retries
    parts: Parts | None


def parse_stage(digest: str, value: Any) -> tuple[Stage | None, list[str]]:
    """A stage of a run file, or all that keeps it from being one."""
    wrong = list(_stage_complaints(f"stage {digest}", value, has_parts=True))
    return (None, wrong) if wrong else (_stage(digest, value), [])


def _stage(digest: str, value: Mapping[str, Any]) -> Stage:
    inner = value.get("parts")
    lines = parse_lines(value["fingerprint"])
    return Stage(
        digest=digest,
        name=value["name"],
        version=value["version"],
        kind=value["kind"],
        executable=value["executable"],
        inputs={name: InputSpec(name, kind, optional) for name, kind, optional in value["inputs"]},
        outputs=value["outputs"],
        params=tuple(value["params"]),
        env=value["env"],
        software=value["software"],
        realizations=value["realizations"],
        is_impure=value["impure"],
        hash_mode=value["hash_mode"],
        takes_index=value["takes_index"],
        source=value["source"],
        fingerprint=lines,
        fingerprint_digest=stage_digest(lines),
        doc=value.get("doc", ""),
        retries=parse_retries(value.get("retries")) or NO_RETRIES,
        parts=None if inner is None else _parts(digest, inner),
    )


def _parts(digest: str, value: Mapping[str, Any]) -> Parts:
    steps = tuple(
        Step(
            one["step"],
            _stage(digest, one["stage"]),
            tuple(map(Wire.parse, one["wiring"])),
            one["fixed"],
            one.get("references", {}),
        )
        for one in value["steps"]
    )
    used = {name for step in steps for name in step.before}
    return Parts(
        scatter=_stage(digest, value["scatter"]),
        steps=steps,
        gather=_stage(digest, value["gather"]),
        items=value["items"],
        sink=next(step.name for step in steps if step.name not in used),
        gather_wires=tuple(map(Wire.parse, value["gather_wiring"])),
    )


def _stage_complaints(what: str, value: Any, *, has_parts: bool = False) -> Iterator[str]:
    wrong = list(complaints(what, value, _STAGE))
    yield from wrong
    if wrong:
        return
    if "retries" in value and parse_retries(value["retries"]) is None:
        yield f"{what}: retries cannot be {short(value['retries'])}"
    if not has_parts:
        if "parts" in value or value["kind"] == "scatter-gather":
            yield f"{what} has parts, and is one itself"
        return
    if ("parts" in value) != (value["kind"] == "scatter-gather"):
        yield f"{what}: a {value['kind']} stage has {'' if 'parts' in value else 'no '}parts"
    elif "parts" in value:
        yield from _parts_complaints(what, value, value["parts"])


def _parts_complaints(what: str, whole: Mapping[str, Any], parts: Any) -> Iterator[str]:
    wrong = list(complaints(f"{what}: parts", parts, _PARTS))
    if not wrong:
        wrong += _stage_complaints(f"{what}: scatter", parts["scatter"])
        wrong += _stage_complaints(f"{what}: gather", parts["gather"])
        for step in parts["steps"]:
            wrong += list(complaints(f"{what}: step", step, _STEP)) or [
                *values_complaints(f"{what}: step", step["fixed"], step.get("references", {})),
                *_stage_complaints(f"{what}: step", step["stage"]),
            ]
    yield from wrong
    if not wrong:
        yield from _wiring_complaints(what, whole, parts)


def _wiring_complaints(what: str, whole: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """What the wires of a scatter-gather name must be there, and every step must stand after those it takes from."""
    inputs = {name for name, _, _ in whole["inputs"]}
    scatter = parts["scatter"]["outputs"]
    before: dict[str, Any] = {}
    used: set[str] = set()
    for step in parts["steps"]:
        taken = {name for name, _, _ in step["stage"]["inputs"]}
        for wire in map(Wire.parse, step["wiring"]):
            used.add(wire.step)
            known = {"item": {wire.name}, "input": inputs, "step": before.get(wire.step, ())}.get(wire.source, ())
            if wire.input not in taken or wire.name not in known:
                yield f"{what}: step {step['step']} has the wire {short(list(wire))}, which leads nowhere"
        if step["step"] in before:
            yield f"{what} has the step {step['step']} twice"
        before[step["step"]] = step["stage"]["outputs"]
    sinks = [name for name in before if name not in used]
    if len(sinks) != 1:
        yield f"{what} has {len(sinks)} steps on which no other depends instead of one"
    if parts["items"] not in scatter:
        yield f"{what}: its scatter has no output {parts['items']}"
    gathered = {name: kind for name, kind, _ in parts["gather"]["inputs"]}
    for wire in map(Wire.parse, parts["gather_wiring"]):
        of_sink = before[wire.step] if [wire.step] == sinks and gathered.get(wire.input) == "paths" else ()
        known = {"input": inputs, "scatter": scatter, "step": of_sink}.get(wire.source, ())
        if wire.input not in gathered or wire.name not in known:
            yield f"{what}: its gather has the wire {short(list(wire))}, which leads nowhere"
    if parts["gather"]["outputs"] != whole["outputs"]:
        yield f"{what}: its gather has other outputs than the whole"


def _is_input(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    return is_variable(value[0]) and _KIND(value[1]) and is_flag(value[2])


_KIND = one_of("path", "paths", "results", "item")

_STAGE = {
    "name": is_file_name,
    "version": is_file_name,
    "kind": one_of("bash", "python", "scatter-gather"),
    "executable": is_place,
    "inputs": list_of(_is_input),
    "outputs": dict_of(is_output_name, is_output_path),
    "params": list_of(is_variable),
    "env": dict_of(is_text, is_text),
    "software": is_place,
    "realizations": lambda value: is_count(value) and 0 < value <= REALIZATIONS_LIMIT,
    "impure": is_flag,
    "hash_mode": one_of("pure", "params-only"),
    "takes_index": is_flag,
    "source": is_text,
    "fingerprint": list_of(texts(2)),
}

_PARTS = {
    "scatter": is_object,
    "steps": is_list,
    "gather": is_object,
    "items": is_variable,
    "gather_wiring": list_of(texts(3)),
}

_STEP = {
    "step": is_file_name,
    "stage": is_object,
    "wiring": list_of(texts(3)),
    "fixed": dict_of(is_variable, is_param),
}

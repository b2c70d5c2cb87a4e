"""The shape of a run file's header, stages and jobs: every complaint in words; opens no file.

Names become directories and shell variables, paths are joined to the Lab's or to `$out`: both are held to what the
definition side allows, so that a Lab from elsewhere cannot name a place outside itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from repx.agent.base.files import is_inside
from repx.model.names import is_file_name, is_job_id, is_variable

Check = Callable[[Any], bool]


def header_complaints(header: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a run's header, its stages included."""
    yield from _wrong("the header", header, _HEADER)
    if "image" in header and not _is_place(header["image"]):
        yield f"its image is {header['image']!r}, outside the Lab"
    stages = header.get("stages")
    for digest, stage in stages.items() if isinstance(stages, dict) else ():
        yield from _stage_complaints(f"stage {digest}", stage)


def is_job(body: Any) -> bool:
    """Whether a job's line has what every reader of it takes for granted; quick, for it is asked of every job read."""
    if not isinstance(body, dict) or not isinstance(body.get("params"), dict):
        return False
    mappings = body["inputs"] if "inputs" in body else body["executables"]["main"]["inputs"]
    return isinstance(mappings, list) and isinstance(body["recipe"], str) and isinstance(body["stage_type"], str)


def job_complaints(body: dict[str, Any], mappings: list[Any]) -> Iterator[str]:
    """What is wrong with a job that `is_job`."""
    for name, value in body["params"].items():
        if not is_variable(name) or not isinstance(value, bool | int | float | str | type(None)):
            yield f"it has the param {name!r}: {value!r}"
    for name, kind in _dict(body.get("references", {})).items():
        if kind not in ("path", "package") or (kind == "path" and not _is_place(body["params"].get(name))):
            yield f"its param {name} is {body['params'].get(name)!r}, outside the Lab"
    yield from _wrong("it", body, _JOB)
    for mapping in mappings:
        if not isinstance(mapping, dict) or not is_variable(mapping.get("target_input")):
            yield f"it has the input {mapping!r}"
        elif "job_id" in mapping:
            yield from _wrong(f"input {mapping['target_input']}", mapping, _FROM_JOB)
        elif "source_run" in mapping:
            yield from _wrong(f"input {mapping['target_input']}", mapping, _FROM_RUN)
        elif not _is_place(mapping.get("source_value")):
            yield f"its input {mapping['target_input']} is {mapping.get('source_value')!r}, outside the Lab"
        else:
            yield from _wrong(f"input {mapping['target_input']}", mapping, _STORED)


def _stage_complaints(what: str, stage: Any) -> Iterator[str]:
    if not isinstance(stage, dict):
        yield f"{what} is {stage!r}"
        return
    yield from _wrong(what, stage, _STAGE)
    if "parts" not in stage:
        return
    parts = _dict(stage["parts"])
    yield from _wrong(f"{what}: parts", parts, _PARTS)
    yield from _stage_complaints(f"{what}: scatter", parts.get("scatter"))
    yield from _stage_complaints(f"{what}: gather", parts.get("gather"))
    steps = parts.get("steps")
    for step in steps if isinstance(steps, list) else ():
        yield from _wrong(f"{what}: step", _dict(step), _STEP)
        yield from _stage_complaints(f"{what}: step", _dict(step).get("stage"))


def _wrong(what: str, value: dict[str, Any], schema: dict[str, Check]) -> Iterator[str]:
    for key, check in schema.items():
        if key not in value:
            yield f"{what} has no {key}"
        elif not check(value[key]):
            yield f"{what}: {key} cannot be {_short(value[key])}"


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _is_place(value: Any) -> bool:
    return isinstance(value, str) and is_inside(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(check(one) for one in value)


def _dict_of(key: Check, check: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(key(name) and check(one) for name, one in value.items())


def _anything(_: Any) -> bool:
    return True


def _is_input(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and is_variable(value[0]) and _is_flag(value[2])


_is_wiring = _list_of(lambda one: isinstance(one, list) and len(one) == 3 and all(map(_is_text, one)))

_HEADER: dict[str, Check] = {
    "name": is_file_name,
    "dependencies": _dict_of(_is_place, lambda kind: kind in ("hard", "soft")),
    "stages": _dict_of(is_file_name, _anything),
    "count": _is_count,
    "digest": _is_text,
}

_STAGE: dict[str, Check] = {
    "name": is_file_name,
    "version": is_file_name,
    "kind": _is_text,
    "executable": _is_place,
    "inputs": _list_of(_is_input),
    "outputs": _dict_of(is_variable, _is_place),
    "params": _list_of(is_variable),
    "env": _dict_of(_is_text, _is_text),
    "software": _is_place,
    "realizations": lambda value: _is_count(value) and value > 0,
    "impure": _is_flag,
    "hash_mode": _is_text,
    "takes_index": _is_flag,
    "source": _is_text,
    "fingerprint": _list_of(lambda line: isinstance(line, list) and len(line) == 2 and all(map(_is_text, line))),
}

_PARTS: dict[str, Check] = {
    "scatter": _anything,
    "steps": _list_of(_anything),
    "gather": _anything,
    "items": is_variable,
    "sink_output": is_variable,
    "results": is_variable,
    "gather_wiring": _is_wiring,
}

_STEP: dict[str, Check] = {
    "step": is_file_name,
    "stage": _anything,
    "wiring": _is_wiring,
    "fixed": _dict_of(is_variable, _anything),
}

_JOB: dict[str, Check] = {"executables": _dict_of(_is_text, lambda one: isinstance(one, dict))}
_FROM_JOB: dict[str, Check] = {"job_id": is_job_id, "source_output": is_variable}
_FROM_RUN: dict[str, Check] = {"source_run": is_file_name}
_STORED: dict[str, Check] = {"digest": _is_text}

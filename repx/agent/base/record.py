"""The record of an outcome: its format on disk, and the resolved key it stands under; starts nothing.

A record is a file of JSON lines. Line 1 is the outcome, and all that a command needs to see that a job is done; then
come the job's own lines, and a line for each attempt, first to last, with its logs when they are small. Reading 100,000
outcomes therefore parses 100,000 short lines.

    outcome   {"record": 1, "job", "stage", "version", "index", "key", "state": "succeeded" | "failed",
               "lab", "inputs": {name: digest | [digest] | null}, "outputs": {name: {"path", "digest", "size"}}}
              and before "key", where they say something: "chosen": {input name: [index]}, what selectors have chosen;
              "adopted": the job whose result this was at first; "private": true, it is never adopted; "numbers":
              {output: text}, of a stage with several realizations, so that they can be compared without their outputs
    lines     {"fingerprint": the fields of `JobFingerprint`}: why the job has its id, without any Lab
    way       {"came_from": [the fields of `CameFrom`, first to last]}, where the result was made in another store
    attempt   the fields of `Attempt`; a log is {"file": name} where it is too long to stand here
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, Union

from repx.agent.base.files import is_inside, read_if_there
from repx.agent.base.fingerprint import (
    Encoded,
    JobFingerprint,
    content_source,
    digest_of_lines,
    encode,
    input_line,
    parse_fingerprint,
)
from repx.agent.base.state import State

FORMAT = 1

_encode = json.JSONEncoder(separators=(",", ":")).encode
_Read = TypeVar("_Read")
_FINGERPRINT = "fingerprint"
_OWN_LINES = b'{"fingerprint":'
_CAME_FROM = "came_from"
_WAY = b'{"came_from":'


class RecordError(Exception):
    """A record file is not one: truncated, of another format, or of another job."""


class OutputRecord(NamedTuple):
    """One output of a result: its path below `out`, its content digest, and the bytes of its files."""

    path: str
    digest: str
    size: int


class Outcome(NamedTuple):
    """What came of a realization, or of its last attempt: line 1 of a record."""

    job: str
    stage: str
    version: str
    realization: int
    key: str
    state: State
    lab: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, OutputRecord]
    chosen: Mapping[str, Sequence[int]] = {}
    adopted: str = ""
    is_private: bool = False
    numbers: Mapping[str, str] = {}


class LogFile(NamedTuple):
    """A log that is too long for a record: the name of its file, which stands beside the record."""

    name: str


Log = Union[str, LogFile]


class Attempt(NamedTuple):
    """One execution of a job.

    `start` and `end` are seconds since 1970, `cpu` is in seconds, `max_rss` in bytes. `cause` is empty after a success,
    else "exit", "signal", "timeout", "output", "memory", "store", "cancelled" and the like; `detail` says more.
    `passed_env` are the variables that were let through to it, without the values of what may be secrets.
    """

    start: float = 0.0
    end: float = 0.0
    host: str = ""
    boot: str = ""
    exit: int | None = None
    signal: int | None = None
    cause: str = ""
    detail: str = ""
    max_rss: int = 0
    cpu: float = 0.0
    isolation: str = ""
    stdout: Log = ""
    stderr: Log = ""
    trace: str = ""
    passed_env: Mapping[str, str | None] = {}

    def encoded(self) -> dict[str, Any]:
        """As JSON has it; without the isolation, the variables and the trace where there was none."""
        fields = self._asdict()
        for name in ("isolation", "passed_env", "trace"):
            if not fields[name]:
                del fields[name]
        for stream in ("stdout", "stderr"):
            if isinstance(fields[stream], LogFile):
                fields[stream] = {"file": fields[stream].name}
        return fields


class CameFrom(NamedTuple):
    """One journey of a result: by which command, out of which store or archive, on which host, when, its key there."""

    how: str
    place: str
    host: str
    time: float
    key: str


def resolved_key(recipe: str, index: int, inputs: Sequence[tuple[str, str, str]]) -> str:
    """H(recipe, index, inputs by content): what a job computes, whatever produced its inputs.

    `inputs` are (input name, file name, content digest), in the order of the derivation; fan-in repeats the name.
    """
    # As `encode` would have it: a digest and a number need no care, and most jobs have nothing else.
    lines = Encoded('"recipe" "%s"\n"index" "%d"\n' % (recipe, index))
    if inputs:
        taken = encode(input_line(name, content_source(digest, file)) for name, file, digest in inputs)
        lines = Encoded(lines + taken)
    return digest_of_lines("repx-resolved-key 2", lines)


def encode_record(
    outcome: Outcome,
    attempts: Sequence[Attempt],
    fingerprint: JobFingerprint | None = None,
    way: Sequence[CameFrom] = (),
) -> bytes:
    """The bytes of a record file."""
    said = outcome._asdict()
    index = said.pop("realization")
    seldom = {"chosen": said.pop("chosen"), "adopted": said.pop("adopted"), "private": said.pop("is_private")}
    seldom["numbers"] = said.pop("numbers")
    head = {name: said.pop(name) for name in ("job", "stage", "version")}
    fields = {"record": FORMAT, **head, **{name: value for name, value in seldom.items() if value}, **said}
    fields.update(outputs=encode_outputs(outcome.outputs), index=index)
    own = [] if fingerprint is None else [_encode({_FINGERPRINT: fingerprint.json()})]
    if way:
        own.append(_encode({_CAME_FROM: [journey._asdict() for journey in way]}))
    lines = [_encode(fields), *own, *(_encode(attempt.encoded()) for attempt in attempts)]
    return ("\n".join(lines) + "\n").encode()


def encode_outputs(outputs: Mapping[str, OutputRecord]) -> dict[str, Any]:
    """The outputs of a record as JSON has them."""
    return {name: output._asdict() for name, output in outputs.items()}


def decode_outcome(data: bytes) -> Outcome:
    """Line 1 of a record. Raises RecordError."""
    end = data.find(b"\n")
    if end < 0:
        raise RecordError("the record is truncated")
    return _read(data[:end], _outcome)


def decode_attempts(data: bytes) -> list[Attempt]:
    """All attempts of a record, first to last. Raises RecordError."""
    others = (_OWN_LINES, _WAY)
    return [_read(line, parse_attempt) for line in data.split(b"\n")[1:] if line and not line.startswith(others)]


def decode_fingerprint(data: bytes) -> JobFingerprint | None:
    """The job's own lines, of which its id is made; None in a record without. Raises RecordError."""
    line = data.split(b"\n", 2)[1:2]
    if not line or not line[0].startswith(_OWN_LINES):
        return None
    return _read(line[0], lambda value: parse_fingerprint(value[_FINGERPRINT]))


def decode_way(data: bytes) -> tuple[CameFrom, ...]:
    """Where a result has come from, first to last; nothing for one that was made here. Raises RecordError."""
    line = next((line for line in data.split(b"\n", 3)[1:3] if line.startswith(_WAY)), b"")
    return _read(line, lambda value: tuple(map(_journey, value[_CAME_FROM]))) if line else ()


def parse_outputs(value: Any) -> dict[str, OutputRecord]:
    """The outputs of a record out of JSON. Raises TypeError, ValueError, KeyError or AttributeError for others."""
    outputs = {}
    for name, fields in value.items():
        # Jobs of a stage share names and paths, which are kept once.
        output = OutputRecord(sys.intern(fields["path"]), fields["digest"], fields["size"])
        if not is_inside(output.path) or type(output.digest) is not str or type(output.size) is not int:
            raise ValueError("not an output of a record")
        outputs[sys.intern(name)] = output
    return outputs


def parse_attempt(value: Any) -> Attempt:
    """One attempt out of JSON. Raises TypeError, ValueError, KeyError or AttributeError for what is not one."""
    fields = {name: value[name] for name in _ATTEMPT_TYPES if name in value}
    for name, allowed in _ATTEMPT_TYPES.items():
        if name in fields and not (isinstance(fields[name], allowed) and type(fields[name]) is not bool):
            raise TypeError("%r is not a value for %s" % (fields[name], name))
    if not all(isinstance(text, (str, type(None))) for text in fields.get("passed_env", {}).values()):
        raise TypeError("a variable of the attempt is not a text")
    for stream in ("stdout", "stderr"):
        if isinstance(fields.get(stream), dict):
            name = fields[stream]["file"]
            # It is read from beside the record, and from nowhere else.
            if not is_inside(name) or "/" in name:
                raise ValueError("%r is not the name of a log" % name)
            fields[stream] = LogFile(name)
    return Attempt(**fields)


def read_outcome(path: str) -> Outcome | None:
    """The outcome in a record file; None when there is none or it cannot be one, which both mean: not done."""
    data = read_if_there(path)
    if data is None:
        return None
    try:
        return decode_outcome(data)
    except RecordError:
        return None


def read_attempts(path: str) -> list[Attempt]:
    """The attempts in a record file; none when there is no such file."""
    data = read_if_there(path)
    if data is None:
        return []
    try:
        return decode_attempts(data)
    except RecordError:
        return []


def _outcome(value: Any) -> Outcome:
    if value["record"] != FORMAT:
        raise ValueError("the record has an unknown format")
    texts = [value[name] for name in ("job", "stage", "version", "key", "lab")]
    if not all(type(text) is str for text in texts) or type(value["index"]) is not int:
        raise TypeError("a field of the record is of the wrong kind")
    job, stage, version, key, lab = texts
    state = State(value["state"])
    inputs = value["inputs"]
    if type(inputs) is not dict:
        raise TypeError("the record's inputs are not an object")
    chosen = value.get("chosen", {})
    if not all(type(index) is int for indexes in chosen.values() for index in indexes):
        raise TypeError("what the record says of chosen realizations is not a list of numbers each")
    adopted, is_private = value.get("adopted", ""), value.get("private", False)
    if type(adopted) is not str or type(is_private) is not bool:
        raise TypeError("what the record says of its adoption is of the wrong kind")
    numbers = value.get("numbers", {})
    if not all(type(text) is str for text in numbers.values()):
        raise TypeError("what the record says of numbers is not a text each")
    outputs = parse_outputs(value["outputs"])
    index = value["index"]
    return Outcome(job, stage, version, index, key, state, lab, inputs, outputs, chosen, adopted, is_private, numbers)


def _journey(value: Any) -> CameFrom:
    journey = CameFrom(**value)
    if not all(type(text) is str for text in journey[:3] + journey[4:]) or type(journey.time) not in (int, float):
        raise TypeError("not a journey of a result")
    return journey


def _read(line: bytes, parse: Callable[[Any], _Read]) -> _Read:
    try:
        return parse(json.loads(line.decode()))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RecordError("the record cannot be read: %s" % error) from None


_NUMBER = (int, float)
_ATTEMPT_TYPES: dict[str, Any] = {
    "start": _NUMBER, "end": _NUMBER, "host": str, "boot": str, "exit": (int, type(None)),
    "signal": (int, type(None)), "cause": str, "detail": str, "max_rss": int, "cpu": _NUMBER, "isolation": str,
    "passed_env": dict, "stdout": (str, dict), "stderr": (str, dict), "trace": str,
}  # fmt: skip

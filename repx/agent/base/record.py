"""The record of an outcome: its format on disk, and the resolved key it stands under; starts nothing.

A record is a file of JSON lines. Line 1 is the outcome, and all that a command needs to see that a job is done; each
further line is one attempt, first to last, with its logs when they are small. Reading 100,000 outcomes therefore
parses 100,000 short lines.

    outcome   {"record": 1, "job", "stage", "version", "index", "key", "state": "succeeded" | "failed",
               "lab", "inputs": {name: digest | [digest]}, "outputs": {name: {"path", "digest", "size"}}}
    attempt   {"start", "end": seconds since 1970, "host", "boot", "exit": int | null, "signal": int | null,
               "cause": "" | "exit" | "signal" | "timeout" | "missing-output" | …, "detail", "max_rss": bytes,
               "cpu": seconds, "isolation": kind of sandbox if any, "stdout": text | {"file": name}, "stderr": …}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from repx.agent.base.digest import digest_of_text
from repx.agent.base.files import read_if_there
from repx.agent.base.layout import FAILURE, OUT, RECORD, realization

FORMAT = 1

_encode = json.JSONEncoder(separators=(",", ":")).encode
_quote = json.encoder.encode_basestring_ascii


class RecordError(Exception):
    """A record file is not one: truncated, of another format, or of another job."""


def resolved_key(recipe: str, index: int, inputs: Sequence[tuple[str, str, str]]) -> str:
    """H(recipe, index, inputs by content): what a job computes, whatever produced its inputs.

    `inputs` are (input name, file name, content digest), in the order of the derivation; fan-in repeats the name.
    """
    lines = ["repx-resolved-key 1", "recipe " + recipe, "index %d" % index]
    # A file's name may hold anything, a line's end among it: as JSON no name can imitate another line.
    lines.extend("input %s %s %s" % (name, digest, _quote(base)) for name, base, digest in inputs)
    return digest_of_text("\n".join(lines) + "\n")


def encode_record(outcome: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> bytes:
    """The bytes of a record file."""
    return ("\n".join([_encode(outcome), *map(_encode, attempts)]) + "\n").encode()


def decode_outcome(data: bytes) -> dict[str, Any]:
    """Line 1 of a record. Raises RecordError."""
    end = data.find(b"\n")
    if end < 0:
        raise RecordError("the record is truncated")
    try:
        outcome = json.loads(data[:end].decode())
    except ValueError as error:
        raise RecordError("the record is not JSON: %s" % error) from None
    if not isinstance(outcome, dict) or outcome.get("record") != FORMAT:
        raise RecordError("the record has an unknown format")
    return outcome


def decode_attempts(data: bytes) -> list[dict[str, Any]]:
    """All attempts of a record, first to last. Raises RecordError."""
    try:
        return [json.loads(line) for line in data.split(b"\n")[1:] if line]
    except ValueError as error:
        raise RecordError("the record is not JSON: %s" % error) from None


def read_outcome(path: str) -> dict[str, Any] | None:
    """The outcome in a record file; None when there is none or it cannot be one, which both mean: not done."""
    data = read_if_there(path)
    if data is None:
        return None
    try:
        return decode_outcome(data)
    except RecordError:
        return None


def read_attempts(path: str) -> list[dict[str, Any]]:
    """The attempts in a record file; none when there is no such file."""
    data = read_if_there(path)
    if data is None:
        return []
    try:
        return decode_attempts(data)
    except RecordError:
        return []


def find_realization(job_directory: str, index: int, key: str) -> tuple[str, dict[str, Any]] | None:
    """The directory and outcome of a complete realization with this key, wherever it stands; else None."""
    aside = realization(job_directory, index, key)
    for directory in (job_directory, aside) if index == 0 else (aside,):
        outcome = read_outcome(directory + "/" + RECORD)
        if outcome is not None and outcome.get("key") == key and outcome.get("index") == index:
            # One that was on its way to its other place when its mover was killed has a record at both.
            if is_intact(directory, outcome):
                return directory, outcome
    return None


def is_intact(directory: str, outcome: Mapping[str, Any]) -> bool:
    """Whether every output a record names is still there: outputs removed by hand are a job to do again."""
    out = directory + "/" + OUT + "/"
    return all(os.path.lexists(out + output["path"]) for output in outcome["outputs"].values())


def failure_of(job_directory: str) -> dict[str, Any] | None:
    """The outcome of the last failure, if it has not been followed by a success."""
    return read_outcome(job_directory + "/" + FAILURE)

"""Fingerprints: labelled lines, the bytes they are hashed as, and the digests of these; does not know what a stage is.

The lines that are hashed are the lines that are shown and compared: digests are made of `Encoded` lines, and only
`encode` makes these. There are three levels, each with the digest of the one above as its first line:

    stage     what all jobs of a stage share, sorted by label
    recipe    "stage <digest of the stage's lines>", then "param.<name> <identity of the value>" for each param
    job       "recipe <digest>", then "input.<name> <source>" for each source of an input; its digest names the job

So the record of a job explains its id with its params, its inputs and one digest; a stage's lines are kept once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple, NewType

from repx.agent.base.digest import short_digest
from repx.agent.base.value import ParamValue

Line = tuple[str, str]
"""A label, such as `param.size`, and a text; both may hold anything."""

Encoded = NewType("Encoded", str)
"""Lines as they are hashed: label and text as JSON strings, so that neither can imitate another line."""

# Unicode stays as it is: lines are read by people.
_quote = json.encoder.encode_basestring


class JobFingerprint(NamedTuple):
    """What identifies one job: the digest of its stage's lines, and its own lines."""

    stage: str
    params: tuple[Line, ...]
    inputs: tuple[Line, ...]

    @property
    def recipe(self) -> str:
        """The recipe digest: stage and params."""
        return recipe_digest(self.stage, encode(self.params))

    @property
    def digest(self) -> str:
        """The digits of the job's id."""
        return job_digest(self.recipe, encode(self.inputs))

    def json(self) -> dict[str, Any]:
        """As a record keeps it."""
        return {"stage": self.stage, "params": list(self.params), "inputs": list(self.inputs)}


def parse_fingerprint(value: Any) -> JobFingerprint:
    """What `JobFingerprint.json` has written. Raises ValueError for anything else."""
    if not isinstance(value, dict) or not isinstance(value.get("stage"), str):
        raise ValueError("it has no digest of a stage")
    return JobFingerprint(value["stage"], parse_lines(value.get("params")), parse_lines(value.get("inputs")))


def parse_lines(value: Any) -> tuple[Line, ...]:
    """Lines from JSON, where each is a list of two texts. Raises ValueError for anything else."""
    if not isinstance(value, list):
        raise ValueError("it is not a list of lines")
    for line in value:
        if not isinstance(line, list) or len(line) != 2 or not all(isinstance(text, str) for text in line):
            raise ValueError("%r is not a line" % (line,))
    return tuple((label, text) for label, text in value)


def param_lines(values: Mapping[str, ParamValue], names: Iterable[str]) -> tuple[Line, ...]:
    """The lines of some params, in the order of their names."""
    return tuple(param_line(name, values[name].identity()) for name in names)


def param_line(name: str, identity: str) -> Line:
    """The line of one param, by the identity of its value."""
    return "param." + name, identity


def input_line(name: str, source: str) -> Line:
    """The line of one source of an input; an input that takes a list has several lines, in the list's order."""
    return "input." + name, source


def job_source(job_id: str, output: str, selector: str = "") -> str:
    """An input's source that is the output of another job, of those of its realizations that `selector` says."""
    return "job %s %s%s" % (job_id, output, selector and " " + selector)


def run_source(digest: str) -> str:
    """An input's source that is a whole run; `digest` is over its sorted job ids."""
    return "results " + digest


def content_source(digest: str, file: str) -> str:
    """An input's source that is known by its content: the digest of the tree, and the file name that the job sees."""
    return "content %s %s" % (digest, _quote(file))


def encode_line(label: str, text: str) -> Encoded:
    """One line as it is hashed."""
    # Without the call of a NewType, which a sweep would make several times for each job.
    return f"{_quote(label)} {_quote(text)}\n"  # type: ignore[return-value]


def encode(lines: Iterable[Line]) -> Encoded:
    """Lines as they are hashed."""
    return Encoded("".join([encode_line(label, text) for label, text in lines]))


def join(pieces: Iterable[Encoded]) -> Encoded:
    """Lines that were encoded one by one: a sweep encodes each value of a param once."""
    return Encoded("".join(pieces))


def stage_digest(lines: Iterable[Line]) -> str:
    """The digest of a stage's lines."""
    return digest_of_lines("repx-stage 1", encode(lines))


def recipe_digest(stage: str, params: Encoded) -> str:
    """The digest of a stage with its params."""
    return _digest(_recipe_head(stage) + params)


def job_digest(recipe: str, inputs: Encoded) -> str:
    """The digits of a job's id: a recipe, and where its inputs come from."""
    return _digest(_head("repx-job 2", encode_line("recipe", recipe)) + inputs)


def digest_of_lines(tag: str, lines: Encoded) -> str:
    """The 32 digits for lines of one kind; `tag` names the kind and its version."""
    return _digest(_head(tag, lines))


@functools.lru_cache(maxsize=1024)
def _recipe_head(stage: str) -> str:
    """What all recipes of a stage begin with: a sweep has very many of them."""
    return _head("repx-recipe 2", encode_line("stage", stage))


def _head(tag: str, lines: Encoded) -> str:
    return f"{tag}\n{lines}"


def _digest(text: str) -> str:
    return short_digest(sha256(text.encode("utf-8", "surrogatepass")).digest())

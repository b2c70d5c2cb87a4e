"""What a runner and its workers say to each other: one JSON line a message, the same values at both ends.

A worker is told which Lab, how each stage starts on this machine, what each package among the params is, and then: a
job of that Lab. Both ends are the same program of the same user, so nothing is checked here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Union

from repx.agent.base.record import Attempt, OutputRecord, encode_outputs, parse_attempt, parse_outputs
from repx.agent.base.state import State
from repx.agent.stage_start import StageStart, parse_start

_encode = json.JSONEncoder(separators=(",", ":")).encode


class UseLab(NamedTuple):
    """The jobs that follow are of this Lab; its directory."""

    path: str


class UseStage(NamedTuple):
    """How the jobs of a stage start, those of a run with this image."""

    executable: str
    image: str
    start: StageStart


class UsePackage(NamedTuple):
    """The value of a param that is this package."""

    name: str
    value: str


class JobOrder(NamedTuple):
    """A job to bring to its end: a realization, or with `step` a part of a scatter-gather.

    `seen` are keys of results that the runner has seen, by job, and `results` the digests of the results of runs:
    a worker that finds these need not look for what is current. `cpus` and `time_s` are what the job has, `limits`
    what it has asked for. `after_success`: only if the job before it did not fail. `again`: somebody else had it when
    it was asked for before, and `failure` is the mark of the failure that stood there. `unit` is the runner's number
    for it, which the answer gives back; `offset` is that of the job in its run file. With `aside` nothing is found or
    published: the job is executed, and what it makes is put there. `env` are variables that it then gets as well.
    `spent` retries it has had; `lost` are the begin, the end and the host of attempts whose workers were killed, so
    that nobody has recorded them.
    """

    run: str
    job: str
    realization: int = 0
    step: str = ""
    item: str | None = None
    seen: Mapping[str, str] = {}
    results: Mapping[str, str] = {}
    cpus: int = 1
    time_s: float | None = None
    limits: Mapping[str, int] = {}
    force: bool = False
    after_success: bool = False
    again: bool = False
    failure: str | None = None
    unit: int = 0
    offset: int = 0
    aside: str = ""
    env: Mapping[str, str] = {}
    spent: int = 0
    lost: Sequence[tuple[float, float, str]] | None = None

    def lost_attempts(self) -> list[Attempt]:
        """The lost ones as a record has them."""
        return [Attempt(*one, cause="worker", detail="its worker was killed") for one in self.lost or ()]


class Forget(NamedTuple):
    """Drop the orders that came before this and have not been begun; each is answered at once."""


class Stop(NamedTuple):
    """End the running job, commit, leave."""


Message = Union[UseLab, UseStage, UsePackage, JobOrder, Forget, Stop]


class JobAnswer(NamedTuple):
    """What became of an order.

    Succeeded, with `is_found` where that was done already and `is_adopted` where another job had done it; failed or
    cancelled, with the attempt; running, where somebody else works on it, with the mark of the `failure` that stands
    there; ready, where it was dropped before it was begun. `seconds` is what its script took, `peak` the bytes of
    memory that it used, `spent` how many retries it has had. With `wants_memory` it is to be tried again with more,
    which is the runner's to give, and within `time_s`, which may have grown.
    """

    state: State
    key: str = ""
    is_found: bool = False
    directory: str = ""
    outputs: Mapping[str, OutputRecord] = {}
    seconds: float = 0.0
    attempt: Attempt | None = None
    failure: str | None = None
    unit: int = 0
    is_adopted: bool = False
    peak: int = 0
    spent: int = 0
    wants_memory: bool = False
    time_s: float | None = None


class Trouble(NamedTuple):
    """What the user should know, in one line."""

    text: str


Answer = Union[JobAnswer, Trouble]


def encode_message(message: Message) -> bytes:
    """One line."""
    fields: list[Any] = list(message)
    if isinstance(message, UseStage):
        fields[2] = message.start.encoded()
    return _encode([type(message).__name__, *fields]).encode() + b"\n"


def decode_message(line: bytes) -> Message:
    """What a line says."""
    name, *fields = json.loads(line)
    if name == "UseStage":
        fields[2] = parse_start(fields[2])
    message: Message = _MESSAGES[name](*fields)
    return message


def encode_answer(answer: Answer) -> bytes:
    """One line."""
    if isinstance(answer, Trouble):
        return _encode([answer.text]).encode() + b"\n"
    attempt = None if answer.attempt is None else answer.attempt.encoded()
    fields = answer._replace(outputs=encode_outputs(answer.outputs), attempt=attempt)  # type: ignore[arg-type]
    return _encode(fields).encode() + b"\n"


def decode_answer(line: bytes) -> Answer:
    """What a line says."""
    fields = json.loads(line)
    if len(fields) == 1:
        return Trouble(fields[0])
    answer = JobAnswer(*fields)
    attempt = None if answer.attempt is None else parse_attempt(answer.attempt)
    return answer._replace(state=State(answer.state), outputs=parse_outputs(answer.outputs), attempt=attempt)


_MESSAGES: Mapping[str, Any] = {one.__name__: one for one in (UseLab, UseStage, UsePackage, JobOrder, Forget, Stop)}

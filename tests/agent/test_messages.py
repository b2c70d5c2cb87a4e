"""Runner and worker read what the other has written as what it was."""

from __future__ import annotations

import pytest

from repx.agent.base.record import Attempt, LogFile, OutputRecord
from repx.agent.base.state import State
from repx.agent.messages import (
    Answer,
    Forget,
    JobAnswer,
    JobOrder,
    Message,
    Stop,
    Trouble,
    UseLab,
    UsePackage,
    UseStage,
    decode_answer,
    decode_message,
    encode_answer,
    encode_message,
)
from repx.agent.sandbox import Sandbox
from repx.agent.stage_start import StageStart

BOX = Sandbox("podman", "/bin/podman", "/lab/store", "/outputs", "/sh", "/env", ("/a", "/b"), client_env={"HOME": "/"})


@pytest.mark.parametrize(
    "message",
    [
        UseLab("/a lab\nwith \udcff"),
        UseStage("store/x/bin/s", "images/y", StageStart(("/bin/sh", "s"), "/bin", {"A": "ü"}, None, {"B": "\udcff"})),
        UseStage("store/x/bin/s", "", StageStart((), "", {}, BOX)),
        UsePackage("jq", "/nix/store/jq"),
        JobOrder("run", "job"),
        JobOrder(
            "run", "job", 3, "step", '{"a":1}', {"up": "key"}, {"first": "digest"}, 2, 1.5, {"mem": 1 << 40}, True,
            True, True, "1-2",
        ),
        Forget(),
        Stop(),
    ],
)  # fmt: skip
def test_messages(message: Message) -> None:
    line = encode_message(message)
    assert line.count(b"\n") == 1
    read = decode_message(line)
    assert (type(read), read) == (type(message), message)


@pytest.mark.parametrize(
    "answer",
    [
        JobAnswer(State.READY),
        JobAnswer(State.RUNNING, "key", failure="1-2"),
        JobAnswer(State.SUCCEEDED, "key", True, "/out", {"r": OutputRecord("d/r.txt", "digest", 5)}, 0.25),
        JobAnswer(
            State.FAILED, "key", directory="/out", attempt=Attempt(1.5, 2.5, exit=4, cause="exit", stderr="no\n")
        ),
        JobAnswer(State.CANCELLED, "key", attempt=Attempt(cause="cancelled", stdout=LogFile("stdout-1.log"))),
        Trouble("the disk\nis full"),
    ],
)
def test_answers(answer: Answer) -> None:
    line = encode_answer(answer)
    assert line.count(b"\n") == 1
    read = decode_answer(line)
    assert (type(read), read) == (type(answer), answer)

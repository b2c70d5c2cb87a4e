"""One attempt: what it left is looked at once, whatever it is; nothing else of its group is there when it has ended."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from repx.agent.base.record import Attempt, OutputRecord
from repx.agent.claim import ClaimFile
from repx.agent.job import StartedJob
from repx.agent.job_log import JobLogs
from repx.agent.outputs import collect_outputs
from repx.agent.sandbox import Command
from repx.agent.supervisor import become_subreaper


def times_opened(name: str, declared: Mapping[str, str], out: Path) -> int:
    """How often a file with this name is opened while outputs are collected, in a process of its own."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def hear(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal count
            count += event == "open" and str(arguments[0]).endswith(name)

        sys.addaudithook(hear)
        collect_outputs(declared, str(out))
        os._exit(count)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_an_output_in_a_subdirectory_is_read_once_and_what_nobody_declared_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("d/declared", "d/other", "top"):
        (tmp_path / name).write_text(name)
    declared = {"r": "d/declared"}
    outputs, complaint = collect_outputs(declared, str(tmp_path))
    assert complaint == ""
    assert outputs["r"] == OutputRecord("d/declared", outputs["r"].digest, len("d/declared"))
    assert [times_opened(name, declared, tmp_path) for name in ("d/declared", "d/other", "top")] == [1, 0, 0]


@pytest.mark.parametrize("place", ["d/pipe", "pipe"])
def test_what_cannot_be_kept_is_found_where_nobody_declared_anything(tmp_path: Path, place: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/declared").write_text("x")
    os.mkfifo(tmp_path / place)
    complaint = collect_outputs({"r": "d/declared"}, str(tmp_path))[1]
    assert complaint == f"$out/{place}: a socket, pipe or device cannot be kept"


def test_a_link_out_of_the_tree_is_found_also_above_an_output(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/r").write_text("x")
    (tmp_path / "out/d").symlink_to("../elsewhere")
    complaint = collect_outputs({"r": "d/r"}, str(tmp_path / "out"))[1]
    assert complaint == "$out/d: the link to ../elsewhere leaves the tree"


def pause(_: float | None, __: Sequence[int]) -> bool:
    """Wait a little, and never for a stop."""
    time.sleep(0.01)
    return False


def start(script: str, directory: Path) -> StartedJob:
    """Start a script as a slot in `directory` would, which is the parent of what loses its own."""
    become_subreaper()
    claim = ClaimFile(f"{directory}/claim", str(directory), "run-x", 0)
    command = Command(["/bin/bash", "-c", script], {"PATH": os.environ["PATH"]})
    return StartedJob("job", command, JobLogs(str(directory)), claim)


@pytest.mark.parametrize("limit_s", [None, 0.2])
def test_the_id_of_a_group_is_still_its_leaders_when_the_group_is_killed(tmp_path: Path, limit_s: float | None) -> None:
    """A leader that has been reaped has given its id back, and the group might be somebody else's by then."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:

        def hear(event: str, arguments: tuple[int, ...]) -> None:
            if event == "os.killpg":
                state = Path(f"/proc/{arguments[0]}/stat").read_text().rpartition(")")[2].split()[0]
                os.write(write, state.encode())

        try:
            script = "sleep 300" if limit_s else "sleep 300 & exit 3"
            started = start(script, tmp_path)
            sys.addaudithook(hear)
            attempt = started.wait(limit_s, pause)
            os.write(write, b" " + attempt.cause.encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        states, _, cause = said.read().partition(" ")
    os.waitpid(pid, 0)
    assert cause == ("timeout" if limit_s else "exit")
    # The last thing that is sent to the group: its leader has ended, and nobody has asked how.
    assert states[-1] == "Z"
    assert set(states) <= {"S", "R", "Z"}


def waited(script: str, directory: Path, limit_s: float | None = None) -> Attempt:
    """What came of a script; `pause` is told when to look again."""
    return start(script, directory).wait(limit_s, pause)


def test_what_a_script_has_started_may_write_to_its_end(tmp_path: Path) -> None:
    made = tmp_path / "made"
    attempt = waited(f"{{ sleep 0.3; echo end > {made}; }} & exit 0", tmp_path)
    assert (attempt.cause, made.read_text()) == ("", "end\n")


def test_what_a_script_leaves_running_for_good_is_told_and_ended(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("repx.agent.job.UNFINISHED_S", 0.2)
    attempt = waited("sleep 3141 & exit 0", tmp_path)
    assert attempt.cause == "unfinished"
    assert "sleep (process " in attempt.detail
    assert has_ended("3141")


def test_the_time_limit_ends_what_a_script_leaves_running_too(tmp_path: Path) -> None:
    attempt = waited("sleep 3142 & exit 0", tmp_path, 0.2)
    assert (attempt.cause, "sleep (process " in attempt.detail) == ("timeout", True)
    assert has_ended("3142")


def test_all_of_a_group_are_told_to_end_and_have_the_whole_grace(tmp_path: Path) -> None:
    said = tmp_path / "said"
    child = f"trap 'sleep 0.4; echo saved >> {said}; exit' TERM; while :; do sleep 0.02; done"
    attempt = waited(f'bash -c "{child}" & sleep 300', tmp_path, 0.3)
    assert (attempt.cause, said.read_text()) == ("timeout", "saved\n")


def has_ended(argument: str) -> bool:
    """Whether nothing runs any more that was started with this argument; what was killed just now may take a moment."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = [place / "cmdline" for place in Path("/proc").iterdir() if place.name.isdigit()]
        if not any(argument.encode() in _words(line) for line in lines):
            return True
        time.sleep(0.01)
    return False


def _words(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().split(b"\0")
    except OSError:
        return []

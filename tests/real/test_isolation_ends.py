"""The end of a job in a sandbox: it is told as it was, comes whatever is killed, and leaves nothing of the job."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from repx.agent.base.record import Attempt, decode_attempts
from repx.agent.cgroup import JobLimits
from repx.agent.processes import children_of
from tests.machine import needs, needs_programs
from tests.real.worlds import World, world

pytestmark = pytest.mark.real

PATIENCE_S = 30.0
LONG_S = "7777"

EXPERIMENT = """
@stage(packages=["python3"])
def ends(never: Output = out("never.txt"), *, by: str):
    import os, sys
    kind, number = by.split()
    if kind == "signal":
        os.kill(os.getpid(), int(number))
    sys.exit(int(number))

@bash
def child_ends(never: Output = out("never.txt")):
    return 'bash -c "kill -SEGV \\\\$\\\\$"'

@stage(packages=["python3"], resources=Resources(mem="64M"))
def hungry(never: Output = out("never.txt")):
    never.write_text(str(len(bytearray(300_000_000))))

@bash(packages=["python3"], resources=Resources(mem="64M"))
def hungry_child(never: Output = out("never.txt")):
    return '''python3 -c 'print(len(bytearray(300_000_000)))' > "$never" '''

@bash(packages=["python3"], resources=Resources(mem="400M"))
def modest(size: Output = out("size.txt")):
    return '''python3 -c 'print(len(bytearray(300_000_000)))' > "$size" '''

@stage(packages=["python3"], resources=Resources(cpus=1))
def busy(used: Output = out("used.txt")):
    import os, time
    children, until = [], time.monotonic() + 1.5
    for _ in range(4):
        children.append(os.fork())
        if not children[-1]:
            while time.monotonic() < until:
                pass
            os._exit(0)
    for child in children:
        os.waitpid(child, 0)
    used.write_text(str((os.times().children_user + os.times().children_system) / 1.5))

@stage(packages=["python3"])
def daemon(ready: Output = out("ready.txt"), *, mark: str):
    import os, signal, time
    if os.fork() == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", mark])
        os._exit(0)
    time.sleep(0.2)
    ready.write_text("ready")

@bash
def sleeper(never: Output = out("never.txt"), *, mark: str):
    return 'sleep "$mark"'

@bash
def stubborn(never: Output = out("never.txt"), *, mark: str):
    return '''trap '' TERM INT HUP; (sleep "$mark"; true) & sleep "$mark" '''

@bash(resources=Resources(time="4s"))
def late(never: Output = out("never.txt"), *, mark: str):
    return '''trap '' TERM; sleep "$mark" '''

@bash(resources=Resources(time="4s"))
def polite(never: Output = out("never.txt"), *, mark: str):
    return '''trap 'echo bye; exit 3' TERM; sleep "$mark" & wait'''

def endings():
    ends(); child_ends(); modest(); busy()

lab = Lab([
    Run("endings", lambda: (ends(), child_ends()), params={"by": BY}),
    Run("limits", lambda: (hungry(), hungry_child(), modest(), busy())),
    Run("late", lambda: (late(), polite()), params={"mark": MARK + "1"}),
    Run("daemon", daemon, params={"mark": MARK + "2"}),
    Run("sleeper", sleeper, params={"mark": MARK + "3"}),
    Run("stubborn", stubborn, params={"mark": MARK + "4"}),
], packages=packages)
"""

BY = ("exit 1", "exit 3", "exit 129", "exit 255", "signal 2", "signal 6", "signal 9", "signal 11", "signal 15")


@dataclass
class Shut:
    """A Lab, one isolation, and a store of its own."""

    kind: str
    world: World
    lab: Path
    mark: str

    @property
    def store(self) -> Path:
        return self.world.folder / self.kind

    @property
    def options(self) -> tuple[str, ...]:
        return ("--lab", str(self.lab), "--store", str(self.store))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.world.start("run", f"--{self.kind}", "--continue-on-failure", *self.options, *words)

    @contextlib.contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """`repx run` while it works; dead at the end."""
        argv = ["run", f"--{self.kind}", "-j", "1", *self.options, *words]
        command = [sys.executable, "-c", "from repx.cli.main import main; main()", *argv]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            command, cwd=self.world.folder, env=self.world.environment, stdout=quiet, stderr=quiet
        ) as runner:
            yield runner
            runner.kill()

    def attempts(self) -> dict[str, Attempt]:
        """The last attempt of each job: by its stage, and by what it should end by."""
        found = {}
        listed = json.loads(self.world.repx("list", "jobs", "--json", *self.options))
        for job in listed["jobs"] if isinstance(listed, dict) else listed:
            for file in ("record.jsonl", "failure.jsonl"):
                record = self.store / "outputs" / job["id"] / file
                if record.exists():
                    found[job["params"].get("by") or job["stage"]] = decode_attempts(record.read_bytes())[-1]
        return found

    def processes(self, number: int) -> list[int]:
        """Processes with the mark of a stage in their arguments, this one's own runners left out."""
        argument = f"{self.mark}{number}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and argument in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    def wait(self, number: int, *, gone: bool) -> None:
        """Until a job's process is there, or none is left."""
        deadline = time.monotonic() + PATIENCE_S
        while bool(self.processes(number)) is gone:
            assert time.monotonic() < deadline, "it is still there" if gone else "it does not start"
            time.sleep(0.02)

    def workers(self) -> list[int]:
        """The agents on this store, without those that only watch over one."""
        agents = with_words("worker", str(self.store))
        return [pid for pid in agents if not set(children_of(pid)) & set(agents)]


def with_words(*words: str) -> list[int]:
    """Processes that have all of these among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and {word.encode() for word in words} <= {
                *(entry / "cmdline").read_bytes().split(b"\0")
            }:
                found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def lab(common_store: Path, podman_settings: dict[str, str]) -> Iterator[tuple[World, Path, str]]:
    needs_programs("bwrap")
    mark = f"{LONG_S}.{os.getpid()}"
    with world(common_store, **podman_settings) as made:
        yield made, made.realize(f"BY, MARK = {list(BY)}, {mark!r}\n{EXPERIMENT}"), mark


@pytest.fixture(scope="module", params=["bwrap", "podman"])
def shut(request: pytest.FixtureRequest, lab: tuple[World, Path, str]) -> Shut:
    return Shut(request.param, *lab)


@pytest.fixture(scope="module")
def ended(shut: Shut) -> dict[str, Attempt]:
    shut.run("endings", "limits")
    return shut.attempts()


@pytest.mark.parametrize("by", BY)
def test_exit_status_and_signal_are_told_as_they_were(ended: dict[str, Attempt], by: str) -> None:
    kind, number = by.split()
    told = ended[by]
    assert told.cause == kind
    assert {"exit": told.exit, "signal": told.signal} == {"exit": None, "signal": None, kind: int(number)}


def test_a_child_of_a_script_that_was_killed(ended: dict[str, Attempt]) -> None:
    assert (ended["child_ends"].cause, ended["child_ends"].signal) == ("signal", signal.SIGSEGV)


def can_limit(what: str) -> bool:
    with JobLimits(1 << 30, 1.0) as limits:
        return what not in limits.problems


def test_memory_beyond_what_was_asked_for_ends_a_job_and_is_named(ended: dict[str, Attempt]) -> None:
    needs(can_limit("memory"), "no control group of this machine limits memory")
    for stage in ("hungry", "hungry_child"):
        assert ended[stage].cause == "memory"
        assert ended[stage].detail.endswith("it used more than the 67108864 bytes of memory it had asked for")
    assert ended["modest"].cause == ""


def test_processors_beyond_what_was_asked_for_are_not_given(shut: Shut, ended: dict[str, Attempt]) -> None:
    has_several = len(os.sched_getaffinity(0)) > 1
    needs(can_limit("cpu") and has_several, "no control group of this machine limits processors, or it has one only")
    assert ended["busy"].cause == ""
    assert float(shut.world.repx("show", "output", "busy", "used", *shut.options)) < 1.3


def test_a_time_limit_ends_all_of_a_job(shut: Shut) -> None:
    shut.run("late")
    assert shut.processes(1) == []
    told = shut.attempts()
    assert (told["late"].cause, told["polite"].cause) == ("timeout", "timeout")
    assert told["polite"].end - told["polite"].start < 7
    assert told["polite"].stdout == "bye\n"


def test_a_daemon_does_not_outlive_its_job(shut: Shut) -> None:
    done = shut.run("daemon")
    assert done.returncode == 0, done.stderr
    assert shut.processes(2) == []


@pytest.mark.parametrize("stage", ["sleeper", "stubborn"])
def test_an_interrupt_ends_all_of_a_job(shut: Shut, stage: str) -> None:
    number = {"sleeper": 3, "stubborn": 4}[stage]
    with shut.running(stage) as runner:
        shut.wait(number, gone=False)
        runner.send_signal(signal.SIGINT)
        assert runner.wait(PATIENCE_S) == 130
        assert shut.processes(number) == []


def test_a_killed_runner_takes_its_jobs_along(shut: Shut) -> None:
    with shut.running("sleeper") as runner:
        shut.wait(3, gone=False)
        runner.kill()
        shut.wait(3, gone=True)


def test_a_killed_worker_takes_its_job_along(shut: Shut) -> None:
    with shut.running("stubborn") as runner:
        shut.wait(4, gone=False)
        # Whatever the job starts again with is to be ended too: the runner first, so that it does not.
        workers = shut.workers()
        runner.send_signal(signal.SIGSTOP)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        assert workers
        shut.wait(4, gone=True)


def test_a_killed_starter_of_a_sandbox_takes_the_job_along(shut: Shut) -> None:
    """bubblewrap's first process, or the engine's client, killed alone: the job goes too, and the run says so."""
    with shut.running("stubborn") as runner:
        shut.wait(4, gone=False)
        (worker,) = shut.workers()
        for child in Path(f"/proc/{worker}/task/{worker}/children").read_text().split():
            # Of an engine's two, the second ends with the first.
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        shut.wait(4, gone=True)
        assert runner.wait(PATIENCE_S) == 1
    assert shut.attempts()["stubborn"].signal == signal.SIGKILL

"""A user's directory with an experiment, a store and real `repx` commands; knows nothing of what is tested."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from repx.agent.base.files import remove_tree
from repx.agent.base.record import Attempt, Outcome, decode_attempts, decode_outcome
from tests.forked import fork_repx

PATIENCE_S = 30.0
"""Seconds after which a test gives up waiting for something that should happen at once."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> Any:
        """What it printed with `--json`."""
        return json.loads(self.stdout)


class Command:
    """A `repx` at work: a process of its own, what it prints kept in files."""

    def __init__(self, pid: int, stdout: Path, stderr: Path) -> None:
        self.pid = pid
        self._stdout = stdout
        self._stderr = stderr
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this one process."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def end(self) -> Done:
        """Wait for its end; fails after PATIENCE_S."""
        deadline = time.monotonic() + PATIENCE_S
        while (status := self.poll()) is None:
            assert time.monotonic() < deadline, "the command does not end"
            time.sleep(0.005)
        return Done(status, self._stdout.read_text(), self._stderr.read_text())


class World:
    """`root` is the working directory of all commands; the diary is a file outside the store that jobs append to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = root / "store"
        self.diary = root / "diary"
        self.diary.touch()
        self._answers = root / "answers"
        self._answers.mkdir()
        self._started: list[Command] = []

    def write(self, text: str) -> None:
        """The experiment file. `DIARY` in it stands for the diary's path."""
        text = text.replace("DIARY", str(self.diary))
        (self.root / "experiment.py").write_text(f"from repx import {_NAMES}\n{text}")

    def realize(self, text: str) -> None:
        """Write the experiment and make `./result` of it."""
        self.write(text)
        done = self.repx("realize", "experiment.py")
        assert done.status == 0, done.stderr

    def repx(self, *argv: str, store: Path | None = None) -> Done:
        """One command, to its end."""
        return self.start(*argv, store=store).end()

    def run(self, *argv: str) -> Done:
        """`repx run --json` with ./result."""
        return self.repx("run", "--json", *argv)

    def start(self, *argv: str, store: Path | None = None, group: bool = False) -> Command:
        """Start a command; `group` gives it a process group of its own, as a shell does."""
        stdout, stderr = self._files()
        environment = {**os.environ, "REPX_STORE": str(store or self.store)}
        pid = fork_repx(argv, self.root, environment, stdout, stderr, has_group=group)
        self._started.append(Command(pid, stdout, stderr))
        return self._started[-1]

    def start_program(self, *argv: str, env: Mapping[str, str] | None = None) -> Command:
        """Start any program, such as `repx` under another user."""
        stdout, stderr = self._files()
        with stdout.open("wb") as out, stderr.open("wb") as errors:
            pid = os.posix_spawnp(
                argv[0],
                argv,
                {**os.environ, "REPX_STORE": str(self.store), **(env or {})},
                file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)],
            )
        self._started.append(Command(pid, stdout, stderr))
        return self._started[-1]

    def _files(self) -> tuple[Path, Path]:
        files = self._answers / f"{len(self._started)}.out", self._answers / f"{len(self._started)}.err"
        for file in files:
            file.touch()
        return files

    def forget(self) -> None:
        """Remove all results and the diary's lines."""
        for directory in ("outputs", "keys"):
            remove_tree(str(self.store / directory))
        self.diary.write_text("")

    def entries(self) -> Counter[str]:
        """The lines of the diary, counted."""
        return Counter(self.diary.read_text().splitlines())

    def wait_for_entry(self, entry: str) -> None:
        """Until a job has written this line."""
        self.wait_until(lambda: entry in self.entries())

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Poll; fails after PATIENCE_S."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"it did not happen; there are {self.processes()}"
            time.sleep(0.01)

    def job_directories(self, stage: str = "") -> list[Path]:
        """The directories of all jobs, or of those of one stage."""
        outputs = self.store / "outputs"
        found = sorted(outputs.iterdir()) if outputs.is_dir() else []
        return [path for path in found if not stage or path.name.split("-")[1] == stage]

    def outcome(self, stage: str, file: str = "record.jsonl") -> Outcome:
        """The outcome of the one job of a stage."""
        (directory,) = self.job_directories(stage)
        return decode_outcome((directory / file).read_bytes())

    def attempts(self, stage: str, file: str = "record.jsonl") -> list[Attempt]:
        """The attempts of the one job of a stage."""
        (directory,) = self.job_directories(stage)
        return decode_attempts((directory / file).read_bytes())

    def output(self, stage: str, file: str) -> str:
        """What the one job of a stage wrote."""
        (directory,) = self.job_directories(stage)
        return (directory / "out" / file).read_text()

    def outputs(self) -> dict[str, str]:
        """The current outputs of all jobs: path below outputs/, and bytes as text."""
        return {
            str(file.relative_to(self.store / "outputs")): file.read_text()
            for directory in self.job_directories()
            for file in sorted((directory / "out").rglob("*"))
            if file.is_file()
        }

    def processes(self) -> dict[int, str]:
        """Processes that have to do with this world: by working directory, command line or environment."""
        found = {}
        mark = os.fsencode(self.root)
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                here = os.fsencode((entry / "cwd").readlink())
                if mark in command or mark in here or mark in (entry / "environ").read_bytes():
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode("utf-8", "replace")
        return found

    def workers(self) -> list[int]:
        """The process ids of agents at work, without those that only watch over one."""
        agents = [pid for pid, command in self.processes().items() if f" worker {self.store} " in command]
        watched = {parent for pid in agents if (parent := parent_of(pid)) in agents}
        return [pid for pid in agents if pid not in watched]

    def tidy(self) -> None:
        """End what a failed test left behind."""
        for command in self._started:
            command.send(signal.SIGKILL)
            command.end()
        deadline = time.monotonic() + PATIENCE_S
        while left := self.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline
            time.sleep(0.05)


def parent_of(pid: int) -> int:
    """The parent of a process; 0 when there is none."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def tree(root: Path) -> dict[str, tuple[int, int, float]]:
    """Everything below a directory, with what would show a change."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(root))] = (status.st_mode, status.st_size, status.st_mtime)
    return found


@pytest.fixture(name="world")
def a_world(tmp_path: Path) -> Iterator[World]:
    """A fresh one; whatever it started is gone afterwards."""
    world = World(tmp_path)
    yield world
    world.tidy()


_NAMES = (
    "Input, Inputs, Lab, Output, Outputs, Resources, Results, Retry, Run, WorkItem, bash, hard, out, "
    "scatter_gather, soft, stage"
)

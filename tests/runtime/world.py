"""A user's directory with an experiment, a store and real `repx` commands; knows nothing of what is tested."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from repx.agent.record import decode_attempts, decode_outcome

REPX = (sys.executable, "-c", "from repx.cli.main import main; main()")
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


class World:
    """`root` is the working directory of all commands; the diary is a file outside the store that jobs append to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = root / "store"
        self.diary = root / "diary"
        self.diary.touch()
        self._started: list[subprocess.Popen[str]] = []

    def write(self, text: str) -> None:
        """The experiment file. `DIARY` in it stands for the diary's path."""
        text = text.replace("DIARY", str(self.diary))
        (self.root / "experiment.py").write_text("from repx import (\n    " + _NAMES + "\n)\n" + text)

    def realize(self, text: str) -> None:
        """Write the experiment and make `./result` of it."""
        self.write(text)
        done = self.repx("realize", "experiment.py")
        assert done.status == 0, done.stderr

    def repx(self, *argv: str, store: Path | None = None) -> Done:
        """One command, to its end."""
        process = self.start(*argv, store=store)
        return self.end(process)

    def run(self, *argv: str) -> Done:
        """`repx run --json` with ./result."""
        return self.repx("run", "--json", *argv)

    def start(
        self, *argv: str, store: Path | None = None, prefix: tuple[str, ...] = (), group: bool = False
    ) -> subprocess.Popen[str]:
        """Start a command; `group` gives it a process group of its own, as a shell does."""
        process = subprocess.Popen(
            [*prefix, *REPX, *argv],
            cwd=self.root,
            env={**os.environ, "REPX_STORE": str(store or self.store)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0 if group else None,
        )
        self._started.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> Done:
        """Wait for a command's end."""
        stdout, stderr = process.communicate(timeout=PATIENCE_S * 2)
        return Done(process.returncode, stdout, stderr)

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
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.01)

    def job_directories(self, stage: str = "") -> list[Path]:
        """The directories of all jobs, or of those of one stage."""
        outputs = self.store / "outputs"
        found = sorted(outputs.iterdir()) if outputs.is_dir() else []
        return [path for path in found if not stage or path.name.split("-")[1] == stage]

    def outcome(self, stage: str, file: str = "record.jsonl") -> dict[str, Any]:
        """The outcome of the one job of a stage."""
        (directory,) = self.job_directories(stage)
        return decode_outcome((directory / file).read_bytes())

    def attempts(self, stage: str, file: str = "record.jsonl") -> list[dict[str, Any]]:
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
        """The process ids of agents at work."""
        return [pid for pid, command in self.processes().items() if f" worker {self.store} " in command]

    def tidy(self) -> None:
        """End what a failed test left behind."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        deadline = time.monotonic() + PATIENCE_S
        while left := self.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline
            time.sleep(0.05)


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
    "Input, Inputs, Lab, Output, Outputs, Resources, Results, Run, WorkItem, bash, hard, out, scatter_gather, soft, stage"
)

"""The one door to child processes of the definition side: argv in, Completed out; no shell, ever."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Completed:
    """A child process that has ended: exit status (negative for a signal) and what it printed."""

    argv: tuple[str, ...]
    exit_status: int
    stdout: bytes
    stderr: bytes


class Run(Protocol):
    """Start a program, give it `stdin`, wait for it. Raises FileNotFoundError when there is no such program."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Completed: ...


class TimedOutError(Exception):
    """A child took longer than it was given, and was ended."""


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> Completed:
    """The real `Run`. Raises TimedOutError after `timeout_s` seconds."""
    try:
        done = subprocess.run(  # noqa: S603 - argv lists only; this is the door
            list(argv), input=stdin, cwd=cwd, env=env, timeout=timeout_s, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise TimedOutError(f"{argv[0]} took longer than {timeout_s} s") from None
    return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


class Conversation:
    """A child that lives on and is spoken to through its standard input and output; its standard error is ours.

    It has a session of its own: a Ctrl-C in the terminal reaches the parent alone.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - argv lists only; this is the door
            list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, start_new_session=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin = self._process.stdin
        self._stdout = self._process.stdout

    def say(self, data: bytes) -> None:
        """Write to it. Nothing happens when it has ended: the end of what it says tells."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(data)
            self._stdin.flush()

    def fileno(self) -> int:
        """What to wait on for its words."""
        return self._stdout.fileno()

    def hear(self) -> bytes:
        """What it has said by now; waits for a first word; empty when it has ended."""
        return os.read(self._stdout.fileno(), 1 << 16)

    def hush(self) -> None:
        """Close its standard input: there is nothing more to do."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def last_words(self) -> bytes:
        """Everything it says until it ends, which this waits for."""
        words = self._stdout.read()
        self.wait()
        self._stdout.close()
        return words

    def wait(self) -> int:
        """Wait for its end; its exit status."""
        return self._process.wait()

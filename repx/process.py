"""The one door to child processes of the definition side: argv in, Completed out; no shell, ever."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
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


class Follow(Protocol):
    """A `Run` whose standard error is handed over line by line while it works, and is kept as well."""

    def __call__(
        self, argv: Sequence[str], hear: Callable[[str], None], *, env: Mapping[str, str] | None = None
    ) -> Completed: ...


def follow(argv: Sequence[str], hear: Callable[[str], None], *, env: Mapping[str, str] | None = None) -> Completed:
    """The real `Follow`. The child ends with an interrupt of ours. Raises FileNotFoundError without such a program."""
    with (
        tempfile.TemporaryFile() as answer,
        subprocess.Popen(  # noqa: S603 - argv lists only; this is the door
            list(argv), stdin=subprocess.DEVNULL, stdout=answer, stderr=subprocess.PIPE, env=env
        ) as process,
    ):
        assert process.stderr is not None
        said = []
        try:
            for line in process.stderr:
                said.append(line)
                hear(line.decode("utf-8", "replace").rstrip("\n"))
        except BaseException:
            process.terminate()
            raise
        status = process.wait()
        answer.seek(0)
        return Completed(tuple(argv), status, answer.read(), b"".join(said))


class Feed(Protocol):
    """A `Run` whose standard input is longer than memory should hold: written piece by piece as it is taken."""

    def __call__(
        self, argv: Sequence[str], pieces: Iterable[bytes], *, env: Mapping[str, str] | None = None
    ) -> Completed: ...


def feed(argv: Sequence[str], pieces: Iterable[bytes], *, env: Mapping[str, str] | None = None) -> Completed:
    """The real `Feed`. What a child does not take, because it has ended, is not an error here: its status tells."""
    with (
        tempfile.TemporaryFile() as answer,
        tempfile.TemporaryFile() as complaint,
        subprocess.Popen(  # noqa: S603 - argv lists only; this is the door
            list(argv), stdin=subprocess.PIPE, stdout=answer, stderr=complaint, env=env
        ) as process,
    ):
        assert process.stdin is not None
        try:
            for piece in pieces:
                process.stdin.write(piece)
            process.stdin.close()
        except BrokenPipeError:
            pass
        except BaseException:
            process.terminate()
            raise
        status = process.wait()
        answer.seek(0)
        complaint.seek(0)
        return Completed(tuple(argv), status, answer.read(), complaint.read())


class Conversation:
    """A child that lives on and is spoken to through its standard input and output; its standard error is ours.

    It has a session of its own: a Ctrl-C in the terminal reaches the parent alone. It stands in the root directory,
    so that nothing of where the parent stands is found by it. Writing to it never waits.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - argv lists only; this is the door
            list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd="/", start_new_session=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin: int = self._process.stdin.fileno()
        """The descriptor to wait on before more can be written."""
        self.stdout: int = self._process.stdout.fileno()
        """The descriptor to wait on for its words."""
        self.pid = self._process.pid
        os.set_blocking(self.stdin, False)

    def write(self, data: bytes | bytearray) -> int:
        """Give it what it takes now; how many bytes that were.

        All of them, when it has ended: the end of what it says tells.
        """
        try:
            return os.write(self.stdin, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(data)

    def read(self) -> bytes:
        """What it has said by now; waits for a first word; empty when it has ended."""
        return os.read(self.stdout, 1 << 16)

    def close_stdin(self) -> None:
        """Close its standard input: there is nothing more to do."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def drain(self) -> bytes:
        """Everything it says until it ends, which this waits for."""
        assert self._process.stdout is not None
        words = self._process.stdout.read()
        self.wait()
        self._process.stdout.close()
        return words

    def wait(self) -> int:
        """Wait for its end; its exit status."""
        return self._process.wait()

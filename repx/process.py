"""Starts every child process outside the agent: an argv in, a Completed out; never through a shell."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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


class RunProgram(Protocol):
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
    """A child did not end within its time limit, and was killed."""


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> Completed:
    """The real `RunProgram`. Raises TimedOutError after `timeout_s` seconds."""
    try:
        done = subprocess.run(  # noqa: S603 - argv lists only; this is the door
            list(argv), input=stdin, cwd=cwd, env=env, timeout=timeout_s, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise TimedOutError(f"{argv[0]} took longer than {timeout_s} s") from None
    return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


def attached(argv: Sequence[str], *, cwd: str, env: Mapping[str, str], words: Sequence[str] = ()) -> int:
    """Let a program have our own standard streams, the terminal with them, until it ends; its exit status.

    Words that are too long for a command line are read by it from a descriptor, each ended by a NUL: `{descriptor}` in
    `argv` stands for its number.
    """
    with tempfile.TemporaryFile() as file:
        file.write(b"".join(os.fsencode(word) + b"\0" for word in words))
        file.seek(0)
        number = file.fileno()
        done = subprocess.run(  # noqa: S603 - argv lists only; this is the door
            [str(number) if word == "{descriptor}" else word for word in argv],
            cwd=cwd,
            env=env,
            pass_fds=[number] if words else (),
            check=False,
        )
    return done.returncode


@contextlib.contextmanager
def started(argvs: Sequence[Sequence[str]]) -> Iterator[Callable[[float], list[Completed]]]:
    """Programs at work while the caller does something else; what is given waits for all of them, for some seconds.

    They are ended with the context. Raises FileNotFoundError when one is not there, TimedOutError.
    """
    with contextlib.ExitStack() as stack:
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        children = []
        for argv in argvs:
            child = subprocess.Popen(list(argv), stdin=null, stdout=pipe, stderr=pipe)  # noqa: S603 - this is the door
            stack.enter_context(child)
            # Before the child's own exit, which waits for it.
            stack.callback(child.kill)
            children.append(child)

        def wait(timeout_s: float) -> list[Completed]:
            try:
                said = [child.communicate(timeout=timeout_s) for child in children]
            except subprocess.TimeoutExpired as error:
                raise TimedOutError(f"{error.cmd[0]} took longer than {timeout_s} s") from None
            return [
                Completed(tuple(argv), child.returncode, *told)
                for argv, child, told in zip(argvs, children, said, strict=True)
            ]

        yield wait


class FollowProgram(Protocol):
    """A `RunProgram` that calls `on_line` with each line of standard error as it comes, and keeps the lines too."""

    def __call__(
        self, argv: Sequence[str], on_line: Callable[[str], None], *, env: Mapping[str, str] | None = None
    ) -> Completed: ...


def follow(argv: Sequence[str], on_line: Callable[[str], None], *, env: Mapping[str, str] | None = None) -> Completed:
    """The real `FollowProgram`. An interrupt of ours ends the child. Raises FileNotFoundError without a program."""
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
                on_line(line.decode("utf-8", "replace").rstrip("\n"))
        except BaseException:
            process.terminate()
            raise
        status = process.wait()
        answer.seek(0)
        return Completed(tuple(argv), status, answer.read(), b"".join(said))


class FeedProgram(Protocol):
    """A `RunProgram` whose standard input is too long for memory: written piece by piece as the child reads it."""

    def __call__(
        self, argv: Sequence[str], pieces: Iterable[bytes], *, env: Mapping[str, str] | None = None
    ) -> Completed: ...


def feed(argv: Sequence[str], pieces: Iterable[bytes], *, env: Mapping[str, str] | None = None) -> Completed:
    """The real `FeedProgram`. A child that ends before it has read all is not an error here: its status tells."""
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
    """A child that runs on while we write to its standard input and read its standard output; it shares our stderr.

    It has a session of its own: a Ctrl-C in the terminal reaches the parent alone. Its working directory is the root,
    so that it finds no file of the parent's working directory. Writing to it never waits.
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
        """The descriptor to wait on before something can be read."""
        self.pid = self._process.pid
        os.set_blocking(self.stdin, False)

    def write(self, data: bytes | bytearray) -> int:
        """Write what the child takes now; returns the number of bytes.

        When the child has ended, all bytes count as written: the end of its output tells.
        """
        try:
            return os.write(self.stdin, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(data)

    def read(self) -> bytes:
        """The output by now; waits for the first byte; empty when the child has ended."""
        return os.read(self.stdout, 1 << 16)

    def close_stdin(self) -> None:
        """Close the child's standard input, which tells it to end."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def drain(self) -> bytes:
        """Wait for the child's end; returns the rest of its output."""
        assert self._process.stdout is not None
        words = self._process.stdout.read()
        self.wait()
        self._process.stdout.close()
        return words

    def wait(self) -> int:
        """Wait for the child's end; returns its exit status."""
        return self._process.wait()

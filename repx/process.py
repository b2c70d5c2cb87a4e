"""The one door to child processes of the definition side: argv in, Completed out; no shell, ever."""

from __future__ import annotations

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


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> Completed:
    """The real `Run`. Raises subprocess.TimeoutExpired after `timeout_s` seconds."""
    done = subprocess.run(  # noqa: S603 - argv lists only; this is the door
        list(argv), input=stdin, cwd=cwd, env=env, timeout=timeout_s, capture_output=True, check=False
    )
    return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)

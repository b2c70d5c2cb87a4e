"""The standard streams of the command: always there, never a reason to leave work undone; knows not what is said."""

from __future__ import annotations

import os
import sys
from typing import IO, TextIO

import click

from repx.lab.plain_text import plain_line


def open_streams() -> None:
    """Have all three streams. What the caller has closed leads nowhere; what cannot be encoded is escaped."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        # Otherwise the next file that is opened would be a standard stream of every program we start.
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open as long as we run
    sys.stdout = _writable(sys.stdout, 1)
    sys.stderr = _writable(sys.stderr, 2)


def say(text: str, *, color: str = "", bold: bool = False, is_answer: bool = False) -> None:
    """Print lines that no work depends on, on standard error, or on standard output where they are the answer.

    Where they cannot be written nothing more is, and the command goes on.
    """
    stream = sys.stdout if is_answer else sys.stderr
    lines = [plain_line(line) for line in text.split("\n")]
    if color and wants_color(stream):
        lines = [click.style(line, fg=color, bold=bold) for line in lines]
    draw("\n".join(lines) + "\n", stream)


def draw(text: str, stream: TextIO) -> None:
    """Write text as it is; where it cannot be written, the stream leads nowhere from now on."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        silence(stream)
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            draw(f"warning: standard output cannot be written: {error.strerror}\n", sys.stderr)


def silence(stream: IO[str]) -> None:
    """Let a stream lead nowhere, also what is in its buffer: Python would try to write that at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def wants_color(stream: TextIO) -> bool:
    """Whether a stream is a terminal whose user has not asked for plain text (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _writable(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:
        return open(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream

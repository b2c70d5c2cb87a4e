"""What is kept of a job's attempts: times, causes, logs; and the log of one that is running now. Writes nothing."""

from __future__ import annotations

import codecs
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from repx.agent.base.files import read_if_there
from repx.agent.base.layout import COLLECTED, FAILURE, PENDING, RECORD, Store, slot
from repx.agent.base.record import Attempt, Log, read_attempts
from repx.agent.held import Claim, is_alive, read_claim

FOLLOW_S = 0.1
"""How often a running job's log is looked at."""

_BLOCK = 65536

_MEANINGS = {126: "a command could not be executed", 127: "a command was not found"}
_SIGNALS = {"SIGKILL": ", often because memory ran out", "SIGSEGV": ", a crash: memory that it may not touch"}


def all_attempts(directory: str) -> list[Attempt]:
    """All attempts kept in the directory of a realization, first to last."""
    found: dict[float, Attempt] = {}
    for name in (COLLECTED, RECORD, PENDING, FAILURE):
        found.update((attempt.start, attempt) for attempt in read_attempts(f"{directory}/{name}"))
    return [found[start] for start in sorted(found)]


def cause_text(attempt: Attempt | None) -> str:
    """Why an attempt failed, in a few words; empty when it did not."""
    if attempt is None:
        return ""
    if attempt.detail:
        return attempt.detail
    if attempt.cause == "exit":
        return f"exit status {attempt.exit}{_meaning(attempt.exit or 0)}"
    if attempt.cause == "signal":
        return f"killed by signal {attempt.signal}{_in_parentheses(_signal_name(attempt.signal or 0))}"
    return attempt.cause


def _meaning(status: int) -> str:
    """What a shell means by an exit status (bash(1), EXIT STATUS)."""
    if status == 128 + signal.SIGPIPE:
        return (
            " (SIGPIPE: the reader at the end of a pipe ended before its writer, as `head` does, "
            "and pipefail makes that a failure)"
        )
    name = _signal_name(status - 128)
    return _in_parentheses(f"as after {name}" if name else _MEANINGS.get(status, ""))


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return ""
    return name + _SIGNALS.get(name, "")


def _in_parentheses(text: str) -> str:
    return f" ({text})" if text else ""


def running_claim(directory: str, store: Store) -> Claim | None:
    """The live claim on a realization; None when nobody works on it."""
    held = read_claim(directory)
    if held is None:
        return None
    try:
        return held.claim if is_alive(held, store.tmp) else None
    except OSError:
        # The server's clock is asked by writing a file; where we may not, the claim has the benefit of the doubt.
        return held.claim


def log_text(directory: str, attempt: Attempt, stream: str) -> str:
    """The whole log of an attempt; `stream` is "stdout", "stderr" or "trace"."""
    log = _log(attempt, stream)
    if isinstance(log, str):
        return log
    return (read_if_there(f"{directory}/{log.name}") or b"").decode("utf-8", "replace")


def log_tail(directory: str, attempt: Attempt, stream: str, lines: int) -> tuple[list[str], bool]:
    """The last `lines` lines of a log (all when 0), and whether there are earlier ones."""
    log = _log(attempt, stream)
    if isinstance(log, str):
        return _last(log, lines)
    return _tail_of_file(Path(directory) / log.name, lines)


class RunningLog:
    """The log of a job that a worker has in hand: in the scratch of its slot until the job ends, then in its record."""

    def __init__(self, directory: str, store: Store, job: str, stream: str) -> None:
        self._directory = directory
        self._store = store
        self._job = job
        self._stream = stream
        self._path = ""
        claim = running_claim(directory, store)
        if claim is not None and self._is_ours(claim):
            scratch = slot(f"{store.tmp}/{claim.runner}", claim.slot)
            self._path = f"{scratch}/{stream}"

    @property
    def is_running(self) -> bool:
        """Whether the job ran when this was made."""
        return bool(self._path)

    def tail(self, lines: int) -> tuple[list[str], bool]:
        """The last lines it has written so far."""
        return _tail_of_file(Path(self._path), lines)

    def follow(self, lines: int) -> Iterator[str]:
        """Its last lines and then what it writes, until it has ended."""
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        taken = told = 0
        with _open_log(self._path) as file:
            while True:
                is_new = taken == 0
                data = self._more(file, taken)
                if data is None:
                    break
                if not data:
                    time.sleep(FOLLOW_S)
                    continue
                taken += len(data)
                text = decode(data)
                told += len(text)
                yield _text(_last(text, lines)[0], text) if is_new else text
        attempts = all_attempts(self._directory)
        if attempts:
            rest = log_text(self._directory, attempts[-1], self._stream)
            yield rest[told:] if told else _text(_last(rest, lines)[0], rest)

    def _more(self, file: IO[bytes], taken: int) -> bytes | None:
        """What was written since `taken` bytes were read; None when the job has ended."""
        # A log that has shrunk was taken away by the worker, and may be another job's by now: so ask before and after.
        if not self._has_not_ended():
            return None
        data = file.read() if os.fstat(file.fileno()).st_size >= taken else b""
        return data if self._has_not_ended() else None

    def _has_not_ended(self) -> bool:
        claim = running_claim(self._directory, self._store)
        return claim is not None and self._is_ours(claim)

    def _is_ours(self, claim: Claim) -> bool:
        """Whether the slot still runs this job: it keeps its claims until results are flushed."""
        if claim.job != self._job or not claim.group:
            return False
        with contextlib.suppress(FileNotFoundError):
            return Path(f"{self._directory}/{PENDING}").stat().st_mtime < claim.group_began
        return True


def _log(attempt: Attempt, stream: str) -> Log:
    return {"stdout": attempt.stdout, "stderr": attempt.stderr, "trace": attempt.trace}[stream]


def _open_log(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except (FileNotFoundError, PermissionError):
        # Another user's: only they may see what runs now.
        return Path(os.devnull).open("rb")


def _text(lines: list[str], whole: str) -> str:
    """Lines as a text that ends as the whole did."""
    return "\n".join(lines) + ("\n" if whole.endswith("\n") else "")


def _last(text: str, lines: int) -> tuple[list[str], bool]:
    every = text.removesuffix("\n").split("\n") if text else []
    return (every[-lines:], len(every) > lines) if lines else (every, False)


def _tail_of_file(path: Path, lines: int) -> tuple[list[str], bool]:
    """Read from the end: a log may be larger than memory."""
    with contextlib.suppress(FileNotFoundError, PermissionError), path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        data = b""
        while position and (not lines or data.count(b"\n") <= lines):
            step = min(position, max(_BLOCK, len(data)))
            position -= step
            file.seek(position)
            data = file.read(step) + data
        found, cut = _last(data.decode("utf-8", "replace"), lines)
        return found, cut or position > 0
    return [], False

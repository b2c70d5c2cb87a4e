"""How a job in a sandbox has ended, from what its sandbox says; starts nothing, does not know how a sandbox is made."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from repx.agent.base.files import read_if_there
from repx.agent.base.record import Attempt
from repx.agent.keeper import OUT_OF_MEMORY, UNFINISHED

_FATAL = frozenset(
    [
        signal.SIGINT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGKILL,
        signal.SIGSEGV, signal.SIGTERM, signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS,
    ]
)  # fmt: skip
"""Signals that end a process against its will. For others 128 + n is more often a status that a program has chosen."""


def add_exit_cause(attempt: Attempt, kind: str, tmp: str, memory_kills: int, memory: int | None) -> Attempt:
    """The attempt with what it was shut in with, and which signal or lack of memory has ended it.

    A sandbox ends with 128 + n when signal n has ended its job, as a shell does. The first process of a container makes
    a file in `tmp` when its memory was used up; a job that makes that file lies about itself alone.
    """
    attempt = attempt._replace(isolation=kind)
    if attempt.cause == "exit" and attempt.exit is not None and attempt.exit - 128 in _FATAL:
        attempt = attempt._replace(cause="signal", signal=attempt.exit - 128, exit=None)
    if attempt.cause in ("exit", "signal") and memory and (memory_kills or os.path.lexists(tmp + "/" + OUT_OF_MEMORY)):
        detail = "the kernel ended it: it used more than the %d bytes of memory it had asked for" % memory
        attempt = attempt._replace(cause="memory", detail=detail)
    unfinished = read_if_there(tmp + "/" + UNFINISHED) if not attempt.cause else None
    if unfinished is not None:
        members = unfinished.decode("utf-8", "replace").splitlines()
        attempt = attempt._replace(cause="unfinished", detail=unfinished_detail(members))
    return attempt


def unfinished_detail(members: Sequence[str]) -> str:
    """What to say of a script that has ended well while these processes of its group still ran."""
    return "what the script has started still ran when it had ended: %s; wait for it, or stop it" % ", ".join(members)

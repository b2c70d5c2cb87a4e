"""How a job in a sandbox has ended, from what its sandbox says; starts nothing, and knows no sandbox's words."""

from __future__ import annotations

import os
import signal

from repx.agent.base.record import Attempt
from repx.agent.sandbox import OUT_OF_MEMORY

_FATAL = frozenset(
    [
        signal.SIGINT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGKILL,
        signal.SIGSEGV, signal.SIGTERM, signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS,
    ]
)  # fmt: skip
"""What ends a process against its will. The others are more often an exit status that a program has chosen."""


def add_exit_cause(attempt: Attempt, kind: str, tmp: str, memory_kills: int, memory: int | None) -> Attempt:
    """The attempt with what it was shut in with, and which signal or lack of memory has ended it.

    A sandbox ends with 128 and the number of the signal that has ended its job, as a shell does. Of a container's
    memory its process 1 tells by a file in `tmp`; a job that makes one lies of itself alone.
    """
    attempt = attempt._replace(isolation=kind)
    if attempt.cause == "exit" and attempt.exit is not None and attempt.exit - 128 in _FATAL:
        attempt = attempt._replace(cause="signal", signal=attempt.exit - 128, exit=None)
    if attempt.cause in ("exit", "signal") and memory and (memory_kills or os.path.lexists(tmp + "/" + OUT_OF_MEMORY)):
        detail = "the kernel ended it: it used more than the %d bytes of memory it had asked for" % memory
        attempt = attempt._replace(cause="memory", detail=detail)
    return attempt

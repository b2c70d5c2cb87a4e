"""After which ends a job is tried again, and how often; starts nothing and knows no machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from repx.agent.base.record import Attempt

OOM, TIMEOUT, LOST, EXIT = "oom", "timeout", "lost", "exit"

CAUSES = (OOM, TIMEOUT, LOST, EXIT)
"""Killed for its memory, out of its time, its worker died, its script ended by itself with a failure."""

MOST_RETRIES = 100

_CAUSE_OF = {"memory": OOM, "timeout": TIMEOUT, "worker": LOST, "exit": EXIT, "signal": EXIT}


class Retries(NamedTuple):
    """How many further attempts a job has, and after which ends: causes, and exit statuses by their number."""

    times: int = 0
    on: Sequence[str | int] = ()

    def covers(self, attempt: Attempt) -> bool:
        """Whether an attempt has ended in such a way. What a signal has ended has the status 128 + n, as in a shell."""
        cause = _CAUSE_OF.get(attempt.cause)
        status = attempt.exit if attempt.signal is None else 128 + attempt.signal
        return cause is not None and (cause in self.on or (cause == EXIT and status in self.on))

    def json(self) -> dict[str, Any]:
        """As a Lab says it."""
        return {"times": self.times, "on": list(self.on)}


NO_RETRIES = Retries()


def parse_retries(value: Any) -> Retries | None:
    """What `Retries.json` has made; None for anything else."""
    if not isinstance(value, dict) or value.keys() != {"times", "on"} or not isinstance(value["on"], list):
        return None
    times, on = value["times"], value["on"]
    is_right = type(times) is int and 0 < times <= MOST_RETRIES and on and all(map(is_retry_cause, on))
    return Retries(times, tuple(on)) if is_right else None


def is_retry_cause(value: Any) -> bool:
    """Whether this is a cause, or an exit status of a failure."""
    return value in CAUSES if isinstance(value, str) else type(value) is int and 0 < value <= 255

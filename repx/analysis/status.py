"""The words for how a job stands, and what the files of one realization say; knows no Lab and no upstreams."""

from __future__ import annotations

from enum import StrEnum

from repx.agent.base.layout import Store
from repx.agent.base.record import failure_of
from repx.store.attempts import running_claim


class Status(StrEnum):
    """What can be said of a job at one moment."""

    SUCCEEDED = "succeeded"
    """A result stands for today's inputs; of every realization that is asked for."""
    FAILED = "failed"
    """With today's inputs it failed, or a step of it did."""
    RUNNING = "running"
    """Somebody works on it now."""
    PENDING = "pending"
    """It can run, or waits for jobs that can."""
    BLOCKED = "blocked"
    """Something it needs failed."""


def unfinished_status(directory: str, key: str | None, store: Store) -> Status | None:
    """Of a realization without a result for `key`: being worked on, failed with that key, or neither (None)."""
    if running_claim(directory, store) is not None:
        return Status.RUNNING
    failure = failure_of(directory)
    if failure is not None and key is not None and failure.get("key") == key:
        return Status.FAILED
    return None

"""In which states a job may stand between runs, and what the files of one realization say; knows no Lab."""

from __future__ import annotations

from repx.agent.base.found import failure_of
from repx.agent.base.layout import Store
from repx.agent.base.state import State
from repx.store.attempts import running_claim

SHOWN = (State.SUCCEEDED, State.FAILED, State.RUNNING, State.PENDING, State.BLOCKED)
"""The states that a look at a Lab can find, in the order of their columns."""


def unfinished_status(directory: str, key: str | None, store: Store) -> State | None:
    """Of a realization without a result for `key`: being worked on, failed with that key, or neither (None)."""
    if running_claim(directory, store) is not None:
        return State.RUNNING
    failure = failure_of(directory)
    if failure is not None and (failure.key, failure.state) == (key, State.FAILED):
        return State.FAILED
    return None

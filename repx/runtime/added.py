"""Realizations beyond those that a stage has: which a job has by now, and which index the next one gets; makes none."""

from __future__ import annotations

import os

from repx.agent.base.layout import COLLECTED, PENDING, RECORD, Store
from repx.agent.lab.run_file import Job
from repx.agent.selections import added_indexes, realization_directories
from repx.store.attempts import running_claim


def next_index(store: Store, job: Job) -> int:
    """The index of a realization that is to be added: the lowest beyond all that there are.

    One that was added and has come to nothing, by a failure or a kill, is tried again: it keeps its attempts.
    """
    count = job.stage.realizations
    added = added_indexes(store, job.id, count)
    if not added:
        return count
    last = added[-1]
    directories = realization_directories(store, job.id, last)
    is_made = any(os.path.lexists(f"{one}/{name}") for one in directories for name in (RECORD, PENDING, COLLECTED))
    is_made = is_made or any(running_claim(one, store) is not None for one in directories)
    return last + 1 if is_made else last

"""What the dead leave in a store: their processes ended, their results kept, their files removed; runs no job.

In tmp/, what names its maker goes when that process is gone, a runner's directory when neither it nor a worker of its
lives, an empty directory after a lease, anything else after a day. Of files half written elsewhere those older than a
day go, looked for once a day.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence

from repx.agent.base.files import random_name, remove_tree, write_file
from repx.agent.base.layout import CLAIM, HEARTBEAT, PENDING, Store
from repx.agent.claim import ClaimFile, end_processes_of, remove_dead
from repx.agent.held import LEASE_S, Held, is_alive, read_claim, server_time
from repx.agent.makers import is_abandoned
from repx.agent.publish import Batch, pending_outcome
from repx.agent.runner import is_in_use, slots_of, temporary_claim

ABANDONED_S = 86400.0
"""Seconds after which something whose maker cannot be asked after is taken to have none."""

_SWEPT = "swept"
"""A file in verified/ that is touched when half-written files were looked for."""


def recover_dead_runners(store: Store) -> None:
    """Clear up after every dead runner of this store. OSError when the store cannot be written."""
    try:
        names = os.listdir(store.tmp)
    except FileNotFoundError:
        return
    dead = []
    now = None
    for name in names:
        path = store.tmp + "/" + name
        # Another user's runner is theirs to clear up after.
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            if os.path.lexists(path + "/" + HEARTBEAT):
                if not is_in_use(path, store.tmp):
                    dead.append(path)
                continue
            now = now or server_time(store.tmp)
            limit = LEASE_S if os.path.isdir(path) and not os.listdir(path) else ABANDONED_S
            if is_abandoned(name) or now - os.lstat(path).st_mtime >= limit:
                _remove(path)
    recover_workers(store, [slot for path in dead for slot in slots_of(path)])
    for path in dead:
        _remove(path)
    _sweep(store)


def recover_workers(store: Store, slots: Sequence[str]) -> None:
    """Clear up after dead workers: end their jobs, commit what they had in place, give back what they had claimed."""
    found = [held for held in map(read_claim, slots) if held is not None and not is_alive(held, store.tmp)]
    if not found:
        return
    end_processes_of([held.claim for held in found])
    # Claims are further names of these files; only while there are some is the store searched for them, once for all.
    links = sum(held.links - 1 for held in found)
    if links:
        _recover_jobs(store, {held.file[1]: held for held in found}, links)


def _recover_jobs(store: Store, dead: dict[int, Held], links: int) -> None:
    with temporary_claim(store) as claim:
        batch = Batch(store, claim)
        for directory, name, inode in _claims(store.outputs):
            held = dead.get(inode)
            if held is None:
                continue
            # Names moved aside by a rescuer who was killed then are removed by whoever takes the job.
            if name == CLAIM and remove_dead(directory, held) and os.path.lexists(directory + "/" + PENDING):
                _keep(directory, claim, batch)
            links -= 1
            if links == 0:
                break
        batch.commit()


def _keep(directory: str, claim: ClaimFile, batch: Batch) -> None:
    """Take a job of which a pending result stands, to commit it with others, unless somebody else has it by now."""
    if claim.take(directory) is None:
        return
    outcome = pending_outcome(directory)
    if outcome is None:
        claim.release(directory)
    else:
        batch.add(directory, directory, outcome.key, after_failure=True)


def _claims(outputs: str) -> Iterator[tuple[str, str, int]]:
    """Every claim in a store, of jobs and of their further realizations: directory, name, inode."""
    with os.scandir(outputs) as jobs:
        for job in jobs:
            waiting = [job.path]
            while waiting:
                directory = waiting.pop()
                with contextlib.suppress(OSError), os.scandir(directory) as entries:
                    for entry in entries:
                        if entry.name.startswith(CLAIM):
                            yield directory, entry.name, entry.inode()
                        elif directory == job.path and "-" in entry.name and entry.name[0].isdigit():
                            waiting.append(entry.path)


def _sweep(store: Store) -> None:
    """Remove files that somebody was killed over while writing them, beside those that they were to become."""
    mark = store.verified + "/" + _SWEPT
    with contextlib.suppress(OSError):
        with contextlib.suppress(FileNotFoundError):
            # By any clock: of two sweeps at once, or of one too late, nothing comes.
            if abs(time.time() - os.stat(mark).st_mtime) < ABANDONED_S:
                return
        now = server_time(store.tmp)
        for directory in (store.objects, store.verified, store.keys):
            for name in os.listdir(directory):
                path = directory + "/" + name
                if name.endswith(".tmp") and now - os.lstat(path).st_mtime >= ABANDONED_S:
                    remove_tree(path)
        write_file(mark, b"")
        os.utime(mark)


def _remove(path: str) -> None:
    """Remove a tree that its last worker, or another rescuer, may be removing as well."""
    doomed = "%s.%s" % (path, random_name())
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, doomed)
    for _ in range(3):
        # What a job has made somebody else's stays.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            remove_tree(doomed)
            return

"""What the dead leave in a store: their processes ended, their results kept, their files removed; runs no job."""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import Iterator

from repx.agent.base.files import locked_directory, read_if_there, remove_tree
from repx.agent.base.layout import CLAIM, HEARTBEAT, PENDING, Store
from repx.agent.base.record import RecordError, decode_outcome
from repx.agent.claim import (
    LEASE_S,
    end_processes_of,
    is_alive,
    is_runner_alive,
    parse_claim,
    read_claim,
    server_time,
    start_time,
)
from repx.agent.makers import is_abandoned
from repx.agent.publish import recover_pending

ABANDONED_S = 86400.0
"""Seconds after which something in tmp/ whose maker cannot be asked after is taken to have none."""


def recover_dead_runners(store: Store) -> None:
    """Clear up after every dead runner of this store. OSError when the store cannot be written."""
    try:
        names = os.listdir(store.tmp)
    except FileNotFoundError:
        return
    now = None
    for name in names:
        path = store.tmp + "/" + name
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            if is_abandoned(name):
                _remove(path)
                continue
            if os.path.exists(path + "/" + HEARTBEAT):
                if not _is_in_use(store, name):
                    for slot in _slots(path):
                        recover_worker(store, slot)
                    _remove(path)
                continue
            now = now or server_time(store.tmp)
            empty = os.path.isdir(path) and not os.listdir(path)
            limit = 0.0 if empty and _has_lost_its_maker(name) else LEASE_S if empty else ABANDONED_S
            if now - os.lstat(path).st_mtime >= limit:
                _remove(path)


def recover_worker(store: Store, slot: str) -> None:
    """Clear up after one dead worker: end its job, commit what it had in place, give back what it had claimed."""
    own = slot + "/" + CLAIM
    claim = parse_claim(read_if_there(own))
    if claim is None or is_alive(claim, slot, store.tmp):
        return
    end_processes_of(claim)
    # Claims are further names of this file; only while there are some is the store searched for them.
    links = os.stat(own).st_nlink - 1
    for directory in _directories(store.outputs) if links else ():
        try:
            if not os.path.samefile(own, directory + "/" + CLAIM):
                continue
        except (FileNotFoundError, NotADirectoryError):
            continue
        with locked_directory(directory):
            held = read_claim(directory)
            if held is not None and not is_alive(held, directory, store.tmp):
                _commit(store, directory)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(directory + "/" + CLAIM)
        links -= 1
        if links == 0:
            return


def _commit(store: Store, directory: str) -> None:
    data = read_if_there(directory + "/" + PENDING)
    if data is not None:
        with contextlib.suppress(RecordError, OSError):
            recover_pending(store, directory, decode_outcome(data).key)


def _directories(outputs: str) -> Iterator[str]:
    """Every directory that may hold a claim: of jobs, and of their further realizations."""
    with os.scandir(outputs) as jobs:
        for job in jobs:
            yield job.path
            with contextlib.suppress(OSError), os.scandir(job.path) as entries:
                for entry in entries:
                    if "-" in entry.name and entry.name[0].isdigit():
                        yield entry.path


def _is_in_use(store: Store, runner: str) -> bool:
    """Whether a runner lives, or one of its workers still does: they end a little later."""
    directory = store.tmp + "/" + runner
    if is_runner_alive(runner, store.tmp):
        return True
    for slot in _slots(directory):
        claim = parse_claim(read_if_there(slot + "/" + CLAIM))
        if claim is not None and is_alive(claim, slot, store.tmp):
            return True
    return False


def _has_lost_its_maker(name: str) -> bool:
    """Whether a runner of this machine was killed between making its directory and its heartbeat."""
    host, _, rest = name.rpartition("-")[0].rpartition("-")
    return host == socket.gethostname() and rest.isdigit() and start_time(int(rest)) == 0


def _slots(directory: str) -> list[str]:
    return [directory + "/" + name for name in os.listdir(directory) if name.startswith("slot-")]


def _remove(path: str) -> None:
    """Remove a tree that its last worker, or another rescuer, may be removing as well."""
    doomed = "%s.%s" % (path, uuid.uuid4().hex[:8])
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, doomed)
    for _ in range(3):
        with contextlib.suppress(FileNotFoundError):
            remove_tree(doomed)
            return

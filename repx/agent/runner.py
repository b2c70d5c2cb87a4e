"""The directory of a runner in tmp/: its name, its heartbeat, the slots of its workers, whether anybody uses it.

It holds a heartbeat, which says what process the runner is, and a directory for each slot. It is its owner's alone:
what a job does there before it has ended, setuid among it, is out of others' reach.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator

from repx.agent.base.files import read_if_there, remove_tree, write_file
from repx.agent.base.layout import CLAIM, HEARTBEAT, Store, slot
from repx.agent.claim import ClaimFile
from repx.agent.held import LEASE_S, is_alive, parse_process, read_claim, server_time
from repx.agent.makers import maker_name
from repx.agent.processes import this_process


def make_runner_directory(store: Store, runner: str) -> str:
    """Make it, or what is missing of it: somebody may have taken its runner for dead and removed it."""
    directory = "%s/%s" % (store.tmp, runner)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    touch_heartbeat(directory)
    return directory


def touch_heartbeat(runner_directory: str) -> None:
    """Say that a runner lives."""
    path = runner_directory + "/" + HEARTBEAT
    try:
        os.utime(path)
    except FileNotFoundError:
        write_file(path, json.dumps(this_process()._asdict()).encode())


def is_runner_alive(directory: str, tmp: str) -> bool:
    """Whether a runner still lives, by its heartbeat file."""
    path = directory + "/" + HEARTBEAT
    data = read_if_there(path)
    if data is None:
        return False
    with contextlib.suppress(ValueError, TypeError):
        process = parse_process(json.loads(data))
        if process.is_here():
            return process.is_running()
    return server_time(tmp) - os.stat(path).st_mtime < LEASE_S


def is_in_use(directory: str, tmp: str) -> bool:
    """Whether a runner lives, or one of its workers: they end a little later, and go on while it is stopped."""
    if is_runner_alive(directory, tmp):
        return True
    held = [read_claim(one) for one in slots_of(directory)]
    return any(is_alive(one, tmp) for one in held if one is not None)


def slots_of(directory: str) -> list[str]:
    """The directories of a runner's slots."""
    return [directory + "/" + name for name in os.listdir(directory) if name.startswith("slot-")]


@contextlib.contextmanager
def temporary_claim(store: Store) -> Iterator[ClaimFile]:
    """A claim file for a moment, for whoever moves results and runs no jobs; left by a kill, it is a dead worker's."""
    runner = maker_name("move")
    directory = "%s/%s" % (store.tmp, runner)
    try:
        # A full disk may let the directory be made, and nothing in it.
        make_runner_directory(store, runner)
        place = slot(directory, 0)
        os.mkdir(place)
        claim = ClaimFile(place + "/" + CLAIM, store.tmp, runner, 0)
        try:
            yield claim
        finally:
            claim.close()
    finally:
        remove_tree(directory)

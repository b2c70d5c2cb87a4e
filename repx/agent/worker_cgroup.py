"""A control group around one worker, so that whatever its jobs leave running can be found; limits nothing.

A process cannot leave it: a session of its own, another parent, an emptied environment change nothing. Where no group
can be made, there is none, and a worker's supervisor ends what it can see (`repx.agent.supervisor`).
"""

from __future__ import annotations

import _thread
import contextlib
import os
import time

from repx.agent.base.digest import digest_of_text
from repx.agent.base.files import read_file
from repx.agent.cgroup import WORKER_PREFIX, own_groups
from repx.agent.processes import Process, kill_process, this_process

_WITHIN_S = 1.0
"""Seconds in which killed processes leave their group."""


def can_enter_cgroup() -> bool:
    """Whether it looks as if a worker could have a group of its own."""
    return bool(own_groups())


class CgroupEntry:
    """A worker on its way into a group of its own.

    The kernel may take twenty milliseconds for that, so it is not waited for before the first job begins.
    """

    def __init__(self, runner: str, slot: int) -> None:
        self._path = ""
        self._entered = _thread.allocate_lock()
        self._entered.acquire()
        _thread.start_new_thread(self._enter, (runner, slot))

    def path(self) -> str:
        """The group, once it has been entered; empty when that could not be."""
        with self._entered:
            return self._path

    def _enter(self, runner: str, slot: int) -> None:
        try:
            self._path = enter_cgroup(runner, slot)
        finally:
            self._entered.release()


def enter_cgroup(runner: str, slot: int) -> str:
    """Put this process into a group of its own, which its children are born in: its path, empty where there is none."""
    name = _name(runner, slot, this_process())
    for parent in own_groups():
        group = parent + "/" + name
        with contextlib.suppress(OSError):
            _remove_empty(parent)
        # Somebody else's look for empty groups may come between the two steps.
        for _ in range(3):
            with contextlib.suppress(OSError):
                os.makedirs(group, exist_ok=True)
                _move(group)
                return group
        with contextlib.suppress(OSError):
            os.rmdir(group)
    return ""


def leave_cgroup(group: str) -> None:
    """Go back to where this process was before, and remove the group."""
    if group:
        with contextlib.suppress(OSError):
            _move(os.path.dirname(group))
            os.rmdir(group)


def kill_cgroup(group: str, runner: str, slot: int, worker: Process) -> None:
    """End everything in the group of a dead worker, and remove it. Nothing happens to a group of another name."""
    if os.path.basename(group) != _name(runner, slot, worker):
        return
    deadline = time.monotonic() + _WITHIN_S
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline:
            pids = [int(word) for word in read_file(group + "/cgroup.procs").split()]
            for pid in pids:
                # 0 is a process of another pid namespace.
                if pid > 0 and pid != os.getpid():
                    kill_process(pid)
            if not pids:
                os.rmdir(group)
                return
            time.sleep(0.001)


def _name(runner: str, slot: int, worker: Process) -> str:
    """What the group of a worker is called: a claim cannot name anybody else's."""
    return WORKER_PREFIX + digest_of_text("%s %d %s" % (runner, slot, " ".join(map(str, worker))))


def _move(group: str) -> None:
    descriptor = os.open(group + "/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"0")
    finally:
        os.close(descriptor)


def _remove_empty(parent: str) -> None:
    """Remove what killed workers of stores that are gone have left; a group with processes stays by itself."""
    for name in os.listdir(parent):
        if name.startswith(WORKER_PREFIX):
            with contextlib.suppress(OSError):
                os.rmdir(parent + "/" + name)

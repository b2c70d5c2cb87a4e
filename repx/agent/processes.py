"""Who a process is, on any machine, ever; whether it lives; how what it left running is ended. Knows no claims."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from repx.agent.base.files import read_file, read_if_there


class Process(NamedTuple):
    """What tells a process from any other, on any machine, ever.

    Containers share their host's boot id, and each has pids of its own; a time namespace has another start of time.
    """

    host: str = ""
    boot: str = ""
    pidns: int = 0
    timens: int = 0
    pid: int = 0
    start: int = 0

    def is_here(self) -> bool:
        """Whether this process can ask the kernel about it."""
        return self[:4] == this_process()[:4]

    def is_running(self) -> bool:
        """Whether it lives; asked only where it is here."""
        started = start_time(self.pid)
        return started != 0 and started == self.start


def this_process() -> Process:
    """This one."""
    pid = os.getpid()
    return Process(os.uname().nodename, boot_id(), _namespace("pid"), _namespace("time"), pid, start_time(pid))


@cache
def boot_id() -> str:
    """The kernel's name for this boot; empty where it has none."""
    return (read_if_there("/proc/sys/kernel/random/boot_id") or b"").decode().strip()


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot (proc(5), stat field 22); 0 when there is none."""
    data = read_if_there("/proc/%d/stat" % pid)
    if not data:
        return 0
    # The command name may hold blanks and brackets; the fields after its last bracket are plain.
    fields = data[data.rindex(b")") + 2 :].split()
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def kill_group(group: int, grace_s: float = 0.0) -> None:
    """End a process group: SIGTERM and a while to tidy up when `grace_s` > 0, then SIGKILL."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if grace_s > 0:
            os.killpg(group, signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            while time.monotonic() < deadline:
                os.killpg(group, 0)
                time.sleep(0.02)
        os.killpg(group, signal.SIGKILL)


def has_group(group: int, reaped: list[resource.struct_rusage]) -> bool:
    """Whether a process of a group is left whose leader has been reaped.

    Those that have ended are reaped by this; what they have used is added to `reaped`.
    """
    try:
        while (ended := os.wait4(-1, os.WNOHANG))[0]:
            reaped.append(ended[2])
    except ChildProcessError:
        # All that a job starts becomes a child of ours when its parent ends (`supervisor.become_subreaper`).
        return False
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def group_members(group: int) -> list[str]:
    """The living processes of a group, each as people know it: its name and its id."""
    found = []
    for pid in _processes():
        data = read_if_there("/proc/%d/stat" % pid)
        if data:
            fields = data[data.rindex(b")") + 2 :].split()
            if int(fields[2]) == group and fields[0] not in (b"Z", b"X"):
                name = data[data.index(b"(") + 1 : data.rindex(b")")].decode("utf-8", "replace")
                found.append("%s (process %d)" % (name, pid))
    return found


def kill_group_begun_at(group: int, began: float) -> None:
    """End a process group whose leader was started at `began`, in seconds since 1970; not one that has its id now."""
    if group <= 1 or group == os.getpgrp():
        return
    started = start_time(group)
    # A group whose leader is gone can still have members, and keeps its id for itself.
    if started == 0 or abs(_boot_time() + started / os.sysconf("SC_CLK_TCK") - began) <= 2:
        kill_group(group)


def kill_marked(marks: Sequence[bytes]) -> None:
    """End every process of ours that has one of these texts in its environment."""
    while found := [pid for pid in _processes() if _mentions(pid, marks)]:
        for pid in found:
            kill_process(pid)
        time.sleep(0.001)


def kill_process(pid: int) -> None:
    """End one process, if it is there and ours. Nothing happens for 0, which kill(2) takes for a whole group."""
    if pid <= 1:
        return
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """The children of a process; by a look at all processes where the kernel keeps no list of them."""
    with contextlib.suppress(OSError):
        found = []
        for thread in os.listdir("/proc/%d/task" % pid):
            found += [int(child) for child in read_file("/proc/%d/task/%s/children" % (pid, thread)).split()]
        return found
    return [one for one in _processes() if _parent(one) == pid]


def descendants(pid: int, generations: int) -> Iterator[int]:
    """Those of a process's descendants that are so many generations below it."""
    if generations == 0:
        yield pid
        return
    for child in children_of(pid):
        yield from descendants(child, generations - 1)


def _processes() -> list[int]:
    """All processes but this one."""
    me = str(os.getpid())
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != me]


def _mentions(pid: int, marks: Sequence[bytes]) -> bool:
    """Whether a living process of ours has one of these texts in its environment."""
    with contextlib.suppress(OSError):
        environment = read_file("/proc/%d/environ" % pid)
        return any(mark in environment for mark in marks) and start_time(pid) != 0
    return False


def _parent(pid: int) -> int:
    data = read_if_there("/proc/%d/stat" % pid)
    return int(data[data.rindex(b")") + 2 :].split()[1]) if data else 0


def _namespace(kind: str) -> int:
    """The inode of a namespace of this process; 0 where there are none."""
    try:
        return os.stat("/proc/self/ns/" + kind).st_ino
    except OSError:
        return 0


def _boot_time() -> float:
    """When this machine was started, in seconds since 1970."""
    for line in (read_if_there("/proc/stat") or b"").splitlines():
        if line.startswith(b"btime "):
            return float(line.split()[1])
    return 0.0

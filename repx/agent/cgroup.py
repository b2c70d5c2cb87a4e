"""Limits of one job's memory and processors by control groups; does not know where the numbers come from.

What cannot be limited is not, and says why: a machine that gives no control group to its users runs jobs all the same.
A group lies below this process's own under version 1. Under version 2 a group that holds processes may hand no
controllers on to groups below it ("no internal processes", kernel's cgroup-v2.rst), so it lies beside this process's
own, unless that is the root, which the rule leaves out.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator

from repx.agent.base.files import random_name, read_file

WORKER_PREFIX = "repx-worker-"
"""What the groups around workers are called: no limits are set there."""

_PERIOD_US = 100_000
_REMOVE_WITHIN_S = 1.0

_Settings = dict[int, list[tuple[str, str, bool]]]
"""For each version the files of a group, what goes into them, and whether the limit is nothing without it."""


class JobLimits:
    """One job's control groups, made at once; `problems` says of "memory" and "cpu" why they are not limited.

    A context: at its end the groups are removed, for which everything in them must have ended. Never raises OSError.
    """

    def __init__(self, memory_bytes: int | None, cpus: float | None, proc: str = "/proc/self") -> None:
        self.problems: dict[str, str] = {}
        self._groups: dict[str, str] = {}
        """Controller to directory; under version 2 one for both."""
        name = "repx-job-" + random_name()
        self._limit("memory", name, proc, _memory_settings(memory_bytes))
        self._limit("cpu", name, proc, _cpu_settings(cpus))

    def add(self, pid: int) -> None:
        """Move a process in; what it starts from then on is in too."""
        for controller, group in list(self._groups.items()):
            try:
                _write(group + "/cgroup.procs", "%d" % pid)
            except OSError as error:
                self.problems[controller] = "the process cannot be moved: %s" % error.strerror

    def directories(self) -> list[str]:
        """The groups; a process may enter by writing 0 into `cgroup.procs` of each."""
        return sorted(set(self._groups.values()))

    def memory_kills(self) -> int:
        """How many of its processes the kernel has ended because the memory was used up."""
        for file in ("memory.events", "memory.oom_control"):
            for key, _, number in (
                line.partition(" ") for line in _lines("%s/%s" % (self._groups.get("memory"), file))
            ):
                if key == "oom_kill":
                    return int(number)
        return 0

    def close(self) -> None:
        """Remove the groups. A process that was killed just now leaves its group a little later; that is waited for."""
        deadline = time.monotonic() + _REMOVE_WITHIN_S
        for group in self.directories():
            while not _removed(group) and time.monotonic() < deadline:
                time.sleep(0.005)
        self._groups.clear()

    def __enter__(self) -> JobLimits:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _limit(self, controller: str, name: str, proc: str, settings: _Settings) -> None:
        if not settings:
            return
        number, parents = _places(controller, proc)
        problem = "no control group of this process hands on the controller %r" % controller
        for parent in parents:
            group = "%s/%s" % (parent, name)
            try:
                if group not in self._groups.values():
                    os.mkdir(group)
                # That it may be moved to is seen only by moving; that it may not, here.
                if not os.access(parent + "/cgroup.procs", os.W_OK):
                    raise PermissionError(errno.EACCES, "no right to move processes")
                for file, value, needed in settings[number]:
                    _set("%s/%s" % (group, file), value, needed)
            except OSError as error:
                problem = "%s in %s" % (error.strerror, parent)
                if group not in self._groups.values():
                    _removed(group)
                continue
            self._groups[controller] = group
            return
        self.problems[controller] = problem


def version(proc: str = "/proc/self") -> str:
    """The version of control groups that can limit memory here: "v1" or "v2", or "none"."""
    number, places = _places("memory", proc)
    return "v%d" % number if places else "none"


def process_family(pid: int) -> Iterator[int]:
    """A process and those that it has started, parents first.

    Move each into a group before asking for the next: a process that is in the group starts others in it, so none is
    missed.
    """
    yield pid
    with contextlib.suppress(OSError):
        for child in read_file("/proc/%d/task/%d/children" % (pid, pid)).split():
            yield from process_family(int(child))


def own_groups(proc: str = "/proc/self") -> list[str]:
    """The directories of this process's groups in which more could be made, those of version 2 first."""
    own = _own_paths(proc)
    found = []
    for kind, root, mount_point, options in sorted(_mounts(proc), reverse=True):
        if kind == "cgroup2" and "" in own:
            found.append(_below(mount_point, root, own[""]))
        # Of version 1 those without a say in anything: a group of `cpuset` or `memory` is not made by a mkdir alone.
        found += [
            _below(mount_point, root, own[name]) for name in ("name=systemd", "pids") if name in own and name in options
        ]
    return [place for place in found if os.access(place + "/cgroup.procs", os.W_OK)]


def own_group_places(controller: str, proc: str = "/proc/self") -> list[str]:
    """The directories of this process's groups that may limit something, and of all above them that can be seen."""
    own = _own_paths(proc)
    found = []
    for kind, root, mount_point, options in _mounts(proc):
        name = "" if kind == "cgroup2" else controller
        if name in own and (kind == "cgroup2" or controller in options):
            place = _below(mount_point, root, own[name])
            while place != mount_point and place.startswith(mount_point + "/"):
                found.append(place)
                place = os.path.dirname(place)
            found.append(mount_point)
    return found


def _own_paths(proc: str) -> dict[str, str]:
    """Where this process is in each hierarchy, by controller; that of version 2 has no name."""
    own: dict[str, str] = {}
    for line in _lines(proc + "/cgroup"):
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    return own


def _memory_settings(size: int | None) -> _Settings:
    """Swap is limited as well, where the kernel can do that."""
    if size is None:
        return {}
    text = "%d" % size
    return {
        1: [("memory.limit_in_bytes", text, True), ("memory.memsw.limit_in_bytes", text, False)],
        2: [("memory.max", text, True), ("memory.swap.max", "0", False)],
    }


def _cpu_settings(cpus: float | None) -> _Settings:
    if cpus is None:
        return {}
    # The kernel takes no quota below a millisecond.
    quota = max(1000, int(cpus * _PERIOD_US))
    return {
        1: [("cpu.cfs_period_us", "%d" % _PERIOD_US, True), ("cpu.cfs_quota_us", "%d" % quota, True)],
        2: [("cpu.max", "%d %d" % (quota, _PERIOD_US), True)],
    }


def _places(controller: str, proc: str) -> tuple[int, list[str]]:
    """The version that has the controller, and the directories below which a group of it can be made."""
    own = _own_paths(proc)
    for kind, root, mount_point, options in _mounts(proc):
        if kind == "cgroup" and controller in options and controller in own:
            return 1, [_below(mount_point, root, own[controller])]
    for kind, root, mount_point, _ in _mounts(proc):
        if kind == "cgroup2" and "" in own:
            place = _below(mount_point, root, own[""])
            if os.path.basename(place).startswith(WORKER_PREFIX):
                place = os.path.dirname(place)
            around = [place] if place == mount_point else [place, os.path.dirname(place)]
            return 2, [one for one in around if controller in _words(one + "/cgroup.subtree_control")]
    return 0, []


def _mounts(proc: str) -> list[tuple[str, str, str, list[str]]]:
    """Kind, root, mount point and options of each hierarchy (proc_pid_mountinfo(5), fields 4 and 5, then after "-")."""
    found = []
    for line in _lines(proc + "/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(" "), after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            found.append((kind, fields[3], fields[4], options.split(",")))
    return found


def _below(mount_point: str, root: str, path: str) -> str:
    """Where a group's path stands, of whose hierarchy only what lies below `root` is mounted."""
    if root != "/" and (path + "/").startswith(root + "/"):
        path = path[len(root) :]
    return os.path.normpath("%s/%s" % (mount_point, path.lstrip("/")))


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _words(path: str) -> list[str]:
    return " ".join(_lines(path)).split()


def _write(path: str, text: str) -> None:
    # One write: the kernel takes each as a whole order. Never O_CREAT: a directory without this file is not a group.
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _set(path: str, text: str, needed: bool) -> None:
    try:
        _write(path, text)
    except OSError:
        if needed:
            raise


def _removed(group: str) -> bool:
    try:
        os.rmdir(group)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True

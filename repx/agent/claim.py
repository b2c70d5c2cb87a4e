"""Who works on a job: one claim a job, a hard link to its worker's own claim file; knows nothing of running it.

A claim is alive while its worker process is (asked only on the same host, boot and pid namespace: containers share the
boot id), or while its runner's heartbeat is younger than the lease, by the clock of the file server.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from typing import Any

from repx.agent.base.files import link_exclusive, locked_directory, read_file, read_if_there, write_file
from repx.agent.base.layout import CLAIM, HEARTBEAT

LEASE_S = 60.0
"""Seconds without a heartbeat after which a claim of another machine is dead."""

HEARTBEAT_S = 10.0
"""Seconds between two heartbeats."""


def this_process() -> dict[str, Any]:
    """What tells this process from any other, on any machine, ever: host, boot, pid namespace, pid, start time."""
    return {
        "host": socket.gethostname(),
        "boot": boot_id(),
        "pidns": pid_namespace(),
        "pid": os.getpid(),
        "start": start_time(os.getpid()),
    }


def boot_id() -> str:
    """The kernel's name for this boot; empty where it has none."""
    return (read_if_there("/proc/sys/kernel/random/boot_id") or b"").decode().strip()


def pid_namespace() -> int:
    """The inode of this process's pid namespace; 0 where there are none."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot (proc(5), stat field 22); 0 when there is none."""
    data = read_if_there("/proc/%d/stat" % pid)
    if not data:
        return 0
    # The command name may hold blanks and brackets; the fields after its last bracket are plain.
    fields = data[data.rindex(b")") + 2 :].split()
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


class ClaimFile:
    """The claim file of one slot. Taking a job is one link(2); the file says what the slot does at the moment."""

    def __init__(self, path: str, runner: str, slot: int) -> None:
        self.path = path
        self._fields = {"claim": 1, "runner": runner, "slot": slot, **this_process()}
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self.update(None, None)

    def update(self, job: str | None, group: int | None) -> None:
        """Say which job runs now, in which process group. When it has ended nothing is said: the next one does."""
        now = int(time.time()) if group else None
        data = json.dumps({**self._fields, "job": job, "group": group, "group_began": now}).encode() + b"\n"
        # Padded and written in place: a reader never meets an empty file or the tail of a longer one.
        os.pwrite(self._descriptor, data.ljust(1024), 0)

    def take(self, job_directory: str) -> bool:
        """Claim a job; False when somebody else has it."""
        return link_exclusive(self.path, job_directory + "/" + CLAIM)

    def release(self, job_directory: str) -> None:
        """Give a job back, unless somebody else has it by now."""
        if self.holds(job_directory):
            os.unlink(job_directory + "/" + CLAIM)

    def holds(self, job_directory: str) -> bool:
        """Whether the claim of a job is still this slot's."""
        try:
            status = os.stat(job_directory + "/" + CLAIM)
        except FileNotFoundError:
            return False
        mine = os.fstat(self._descriptor)
        if (status.st_dev, status.st_ino) == (mine.st_dev, mine.st_ino):
            return True
        # Where there are no hard links it is a copy.
        held = read_claim(job_directory)
        return held is not None and all(
            held.get(key) == self._fields[key] for key in ("runner", "slot", "pid", "start")
        )


def read_claim(job_directory: str) -> dict[str, Any] | None:
    """The claim of a job; None when nobody has it. A claim that cannot be read is an empty one, with its age."""
    return parse_claim(read_if_there(job_directory + "/" + CLAIM))


def parse_claim(data: bytes | None) -> dict[str, Any] | None:
    """What a claim file says; None when there is none."""
    if data is None:
        return None
    try:
        claim = json.loads(data)
    except ValueError:
        claim = {}
    return claim if isinstance(claim, dict) else {}


def is_alive(claim: dict[str, Any], job_directory: str, tmp: str) -> bool:
    """Whether somebody still works on a claimed job. `tmp` is the store's tmp directory."""
    if _is_here(claim):
        return _is_running(claim)
    beat = "%s/%s/%s" % (tmp, claim.get("runner", "none"), HEARTBEAT)
    try:
        return server_time(tmp) - os.stat(beat).st_mtime < LEASE_S
    except FileNotFoundError:
        # Its runner's directory is gone or never was: only a claim just made may be ahead of its heartbeat.
        with contextlib.suppress(FileNotFoundError):
            return server_time(tmp) - os.stat(job_directory + "/" + CLAIM).st_mtime < LEASE_S
        return False


def is_runner_alive(runner: str, tmp: str) -> bool:
    """Whether a runner still lives, by its heartbeat file, which says what process it is."""
    path = "%s/%s/%s" % (tmp, runner, HEARTBEAT)
    says = parse_claim(read_if_there(path))
    if says is None:
        return False
    return _is_running(says) if _is_here(says) else server_time(tmp) - os.stat(path).st_mtime < LEASE_S


def take_over(job_directory: str, tmp: str) -> bool:
    """Remove a dead claim, its process group killed first where it is ours to kill. False when it was alive after all.

    The job's directory is locked meanwhile, so that of two rescuers one does it; whoever then links first has the job.
    """
    with locked_directory(job_directory):
        now = read_claim(job_directory)
        if now is None:
            return True
        if is_alive(now, job_directory, tmp):
            return False
        end_processes_of(now)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(job_directory + "/" + CLAIM)
        return True


def touch_heartbeat(runner_directory: str) -> None:
    """Say that a runner lives."""
    path = runner_directory + "/" + HEARTBEAT
    try:
        os.utime(path)
    except FileNotFoundError:
        write_file(path, json.dumps(this_process()).encode())


def server_time(directory: str) -> float:
    """Now, by the clock of the machine that serves a directory: its clock gives times to files, ours may differ."""
    probe = "%s/.clock-%s-%d" % (directory, socket.gethostname(), os.getpid())
    write_file(probe, b"")
    try:
        os.utime(probe)
        return os.stat(probe).st_mtime
    finally:
        os.unlink(probe)


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


def end_processes_of(claim: dict[str, Any]) -> None:
    """Kill what a dead worker was running here: its process group, and what has its slot in the environment."""
    if not _is_here(claim):
        return
    group = claim.get("group")
    if isinstance(group, int) and group > 1 and group != os.getpgrp():
        # The id may have been given to somebody else since; a group whose leader is gone can still have members.
        began = start_time(group)
        if began == 0 or abs(_boot_time() + began / os.sysconf("SC_CLK_TCK") - claim.get("group_began", 0)) <= 2:
            kill_group(group)
    # The claim may be older than the job: a worker can be killed between starting one and saying so.
    mark = os.fsencode("/%s/slot-%s/" % (claim.get("runner"), claim.get("slot")))
    while found := [pid for pid in _processes() if _mentions(pid, mark)]:
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def _processes() -> list[int]:
    """All processes but this one."""
    me = str(os.getpid())
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != me]


def _mentions(pid: int, mark: bytes) -> bool:
    """Whether a living process of ours has this text in its environment."""
    with contextlib.suppress(OSError):
        return mark in read_file("/proc/%d/environ" % pid) and start_time(pid) != 0
    return False


def _is_here(claim: dict[str, Any]) -> bool:
    """Whether the process of a claim is one that this one can ask the kernel about."""
    me = this_process()
    return all(claim.get(key) == me[key] for key in ("host", "boot", "pidns"))


def _is_running(claim: dict[str, Any]) -> bool:
    started = start_time(int(claim.get("pid", 0)))
    return started != 0 and started == claim.get("start")


def _boot_time() -> float:
    """When this machine was started, in seconds since 1970."""
    for line in (read_if_there("/proc/stat") or b"").splitlines():
        if line.startswith(b"btime "):
            return float(line.split()[1])
    return 0.0

"""What a claim file says, and whether its worker lives; changes nothing.

A claim is alive while its worker process is, if that can be asked here; else while the worker has touched its claim
file, which the claim is another name of, less than a lease ago, by the clock of the file server.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, NamedTuple

from repx.agent.base.files import random_name, write_file
from repx.agent.base.layout import CLAIM, slot
from repx.agent.processes import Process

LEASE_S = 60.0
"""Seconds without a heartbeat after which a claim of another machine is dead."""


class Claim(NamedTuple):
    """What a claim file says: whose it is, and what runs now: the job, its process group and when that began."""

    runner: str = ""
    slot: int = -1
    process: Process = Process()
    job: str | None = None
    group: int | None = None
    group_began: int = 0
    cgroup: str = ""

    def encoded(self) -> bytes:
        """As a line of JSON."""
        fields = {"claim": 1, **self._asdict(), "process": self.process._asdict()}
        return json.dumps(fields).encode() + b"\n"

    def is_of(self, other: Claim) -> bool:
        """Whether both are of the same worker."""
        return (self.runner, self.slot, self.process) == (other.runner, other.slot, other.process)


class Held(NamedTuple):
    """A claim as it was found: where, which file that is, and when its worker touched it last by the server's clock."""

    claim: Claim
    path: str
    file: tuple[int, int]
    touched: float
    links: int


def read_claim(job_directory: str) -> Held | None:
    """The claim of a job, or that of a slot from its own directory; None when there is none."""
    return read_held(job_directory + "/" + CLAIM)


def read_held(path: str) -> Held | None:
    """The claim in a file; None when there is none. One that cannot be read is an empty one, with its age."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        status = os.fstat(descriptor)
        claim = parse_claim(os.read(descriptor, 4096))
    finally:
        os.close(descriptor)
    return Held(claim, path, (status.st_dev, status.st_ino), status.st_mtime, status.st_nlink)


def parse_claim(data: bytes) -> Claim:
    """What a claim file says; an empty claim, which is nobody's, for what is not one."""
    try:
        fields: dict[str, Any] = json.loads(data)
        claim = Claim(
            runner=fields["runner"],
            slot=fields["slot"],
            process=parse_process(fields["process"]),
            job=fields["job"],
            group=fields["group"],
            group_began=fields["group_began"],
            cgroup=fields["cgroup"],
        )
    except (ValueError, TypeError, KeyError):
        return Claim()
    right = isinstance(claim.runner, str) and isinstance(claim.cgroup, str) and isinstance(claim.job, (str, type(None)))
    numbers = (claim.slot, claim.group_began, 0 if claim.group is None else claim.group)
    return claim if right and all(type(number) is int for number in numbers) else Claim()


def parse_process(fields: Any) -> Process:
    """Who a file says that a process is. Raises TypeError for what cannot be."""
    process = Process(**fields)
    if len(fields) != len(process) or not all(type(value) is type(empty) for value, empty in zip(process, Process())):
        raise TypeError("not a process")
    return process


def is_alive(held: Held, tmp: str) -> bool:
    """Whether somebody still works under a claim. `tmp` is the store's tmp directory."""
    process = held.claim.process
    if process.is_here():
        return process.is_running()
    touched = held.touched
    if "/" not in held.claim.runner:
        # Where there are no hard links the claim is a copy, and only the slot's own file is touched.
        with contextlib.suppress(OSError):
            own = slot("%s/%s" % (tmp, held.claim.runner), held.claim.slot) + "/" + CLAIM
            touched = max(touched, os.stat(own).st_mtime)
    return server_time(tmp) - touched < LEASE_S


def server_time(directory: str) -> float:
    """Now, by the clock of the machine that serves a directory: its clock gives times to files, ours may differ."""
    probe = "%s/.clock-%s" % (directory, random_name())
    write_file(probe, b"")
    try:
        os.utime(probe)
        return os.stat(probe).st_mtime
    finally:
        os.unlink(probe)

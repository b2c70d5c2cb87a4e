"""What control groups leave this process of a machine's memory and processors; sets nothing.

A limit holds for everything below the group that has it, so each of this process's groups is asked up to the top: a
scheduler's allocation, a service or a container has its limit somewhere above.
"""

from __future__ import annotations

from collections.abc import Iterator

from repx.agent.base.files import read_if_there
from repx.agent.cgroup import own_group_places


def allowed_memory(proc: str = "/proc/self") -> int | None:
    """Bytes that this process and what it starts may use together; None where no group limits them."""
    found = []
    for place in own_group_places("memory", proc):
        for file in ("memory.max", "memory.limit_in_bytes"):
            found += [int(word) for word in _words(place + "/" + file) if word.isdigit()]
    return min(found, default=None)


def allowed_cpus(proc: str = "/proc/self") -> float | None:
    """Processors whose time this process and what it starts may use together; None where no group limits them."""
    found = []
    for place in own_group_places("cpu", proc):
        quota, period = [*_words(place + "/cpu.max"), "", ""][:2]
        if not period:
            quota = next(_words(place + "/cpu.cfs_quota_us"), "")
            period = next(_words(place + "/cpu.cfs_period_us"), "")
        # Without a quota it says "max" or -1.
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


def _words(path: str) -> Iterator[str]:
    yield from (read_if_there(path) or b"").decode("ascii", "replace").split()

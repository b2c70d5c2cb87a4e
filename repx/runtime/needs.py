"""What a unit occupies while it runs, and its limits, as a graph and an executor say them; values."""

from __future__ import annotations

from typing import NamedTuple

from repx.agent.lab.job_line import Hints
from repx.model.resources import Resources

DEFAULT_CPUS = 1
DEFAULT_MEM = 1 << 30
"""What a unit that does not say is taken to need: one CPU, one GiB (as RepX)."""


class Needs(NamedTuple):
    """CPUs, and memory in bytes."""

    cpus: int
    mem: int


def asked_for(hints: Hints) -> tuple[Needs, float | None, dict[str, int]]:
    """From resource hints: what a unit occupies, its time limit in seconds, its other limits."""
    resources = Resources.parse(hints.said())
    needs = Needs(resources.cpus or DEFAULT_CPUS, resources.mem or DEFAULT_MEM)
    limits = {"mem": resources.mem, "cpus": resources.cpus}
    return needs, resources.time, {name: value for name, value in limits.items() if value}

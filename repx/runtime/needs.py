"""What a unit occupies while it runs, in the terms that a graph and an executor share; a value."""

from __future__ import annotations

from typing import NamedTuple

DEFAULT_CPUS = 1
DEFAULT_MEM = 1 << 30
"""What a unit that does not say is taken to need: one CPU, one GiB (as RepX)."""


class Needs(NamedTuple):
    """CPUs, and memory in bytes."""

    cpus: int
    mem: int

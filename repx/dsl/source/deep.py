"""Room for deep syntax trees: who walks one by recursion goes as deep as Python itself has parsed; walks nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_FRAMES = 60_000
"""Python's parser stops at 6,000 levels, and a visitor has four frames a level. Such frames take no C stack."""


@contextmanager
def room_for_deep_trees() -> Iterator[None]:
    """A chain of 300 calls, or 700 branches of one `if`, is deeper than Python's usual limit of 1,000 frames."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)

"""The programs that checks are made with: where they are, and several of them at work at once."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from repx.errors import SoftwareError

Given = TypeVar("Given")
Found = TypeVar("Found")


def find_program(name: str, distribution: str) -> str:
    """The program of this Python environment, else the one on PATH; `distribution` is what brings it into one.

    Raises SoftwareError when there is none.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if found is None:
        raise SoftwareError(
            f"there is no {name}, so Bash stages cannot be checked",
            facts=[("looked in", f"{beside.parent} and PATH")],
            hint=f"pip install {distribution}",
        )
    return found


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def at_once(work: Callable[[Given], Found], items: Sequence[Given]) -> list[Found]:
    """What `work` gives for each item, in order. It is to wait for a process: threads give it no processor more."""
    if len(items) == 1:
        return [work(items[0])]
    with ThreadPoolExecutor(processors()) as pool:
        return list(pool.map(work, items))

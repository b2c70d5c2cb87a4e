"""Finds the programs that check scripts, and runs several at once; does not know what they check."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from repx.errors import SoftwareError

Given = TypeVar("Given")
Found = TypeVar("Found")


def find_program(name: str, distribution: str) -> str:
    """The program of this Python environment, else the one on PATH; `distribution` is the one to install for it.

    Raises SoftwareError when there is none.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name) or _installed(name, distribution)
    if found is None:
        raise SoftwareError(
            f"there is no {name}, so Bash stages cannot be checked",
            facts=[("looked in", f"{beside.parent} and PATH")],
            hint=f"pip install {distribution}",
        )
    return found


def _installed(name: str, distribution: str) -> str | None:
    """The program where the distribution has it: modules may be found in the folder of another environment."""
    # Imported here: it is slow to load, and hardly ever needed.
    from importlib import metadata

    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return None
    places = (os.path.abspath(str(file.locate())) for file in files if file.name == name)
    return next((place for place in places if os.access(place, os.X_OK)), None)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def at_once(work: Callable[[Given], Found], items: Sequence[Given]) -> list[Found]:
    """The results of `work` for each item, in order. Threads help only because `work` waits for a process."""
    if len(items) == 1:
        return [work(items[0])]
    # Imported here: it is slow to load, and most scripts have been checked before.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(processors()) as pool:
        return list(pool.map(work, items))

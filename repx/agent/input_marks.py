"""Whether a job has written to its inputs, by size and time of each file; reads no content and knows no sandbox.

Results are read-only, which keeps neither root from writing to them, nor their owner after a chmod. An input is the
result itself, and what is written to it would be everybody's.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from typing import NamedTuple

from repx.agent.base.files import walk
from repx.agent.resolve import FileInput, Given, Inputs


class InputMark(NamedTuple):
    """How one file of an input looked: `top` is where all of the input stands."""

    input: str
    top: str
    size: int
    changed_at: int


def input_marks(inputs: Inputs) -> dict[str, InputMark]:
    """Each file of the inputs as it looks now."""
    marks = {}
    for name, given in inputs.items():
        for top in _paths(given):
            # What is not there any more is seen by whoever wants to read it.
            with contextlib.suppress(OSError):
                for entry in walk(top):
                    status = os.lstat(entry)
                    if stat.S_ISREG(status.st_mode):
                        marks[entry] = InputMark(name, top, status.st_size, status.st_mtime_ns)
    return marks


def changed_inputs(before: Mapping[str, InputMark]) -> list[InputMark]:
    """The files that are not as they were."""
    return [mark for path, mark in before.items() if _has_changed(path, mark)]


def _has_changed(path: str, mark: InputMark) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) != (mark.size, mark.changed_at)


def _paths(given: Given) -> list[str]:
    several = given if isinstance(given, list) else [] if given is None else [given]
    return [os.path.realpath(one.path) for one in several if isinstance(one, FileInput)]

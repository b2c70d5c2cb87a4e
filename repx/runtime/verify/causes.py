"""What makes a job's outputs differ, where trying shows it: again, elsewhere, with one thread, with a stopped clock.

Only what was seen is said. What differs from run to run may be random or a time; where no clock can be stopped, and the
bytes are not those of a time, nobody can tell which.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from repx import process
from repx.agent.base.files import remove_tree
from repx.runtime.verify.rehearsals import Made, Rehearsals
from repx.runtime.verify.subjects import Subject

_TICK_S = 1.1
"""Between two runs, so that a time in whole seconds is another one."""

_STILL = "2001-02-03 04:05:06"


class _Again(Protocol):
    def __call__(self, place: str, *, env: Mapping[str, str] | None = None, cpus: int = 0) -> object:
        """What of one more run is compared with others."""


class Cause(NamedTuple):
    """A likely cause in a word or two, and what was seen."""

    name: str
    seen: str


def find_cause(rehearsals: Rehearsals, subject: Subject, recorded: Mapping[str, str], *, is_time: bool) -> Cause:
    """Run a job that differs a few times more. `is_time`: the bytes that differ were seen to be times."""
    if is_time:
        return Cause("time", "the outputs are the same but for the time at which each was made")

    def again(place: str, *, env: Mapping[str, str] | None = None, cpus: int = 0) -> object:
        made = rehearsals.one(subject, place, env=env, cpus=cpus)
        remove_tree(made.directory)
        return _what(made)

    first = again("here")
    time.sleep(_TICK_S)
    second = again("here")
    if first != second:
        return _unsteady(subject, again)
    if first == tuple(sorted(recorded.items())):
        return Cause("randomness or time", "it differed once, and two further runs made what the record says")
    elsewhere = again("elsewhere")
    if elsewhere != first:
        if elsewhere == again("elsewhere"):
            return Cause("path", "it makes the same twice at one place of the store, and something else at another")
        return Cause("randomness or time", "runs at the same place make different outputs")
    attempt = subject.attempt()
    then = "" if attempt is None or not attempt.host else f" on {attempt.host}"
    return Cause(
        "the machine, or what has changed on it",
        f"here it makes the same each time, at two places; the result was made{then}",
    )


def fake_clock() -> dict[str, str] | None:
    """The variables with which a native program sees a clock that stands still; None where there is no faketime."""
    try:
        done = process.run(["faketime", "-f", _STILL, "env"], timeout_s=20.0)
    except (OSError, process.TimedOutError):
        return None
    said = dict(line.split("=", 1) for line in done.stdout.decode("utf-8", "replace").splitlines() if "=" in line)
    library = next((one for one in re.split("[ :]", said.get("LD_PRELOAD", "")) if "faketime" in one), "")
    return {"LD_PRELOAD": library, "FAKETIME": _STILL} if os.path.isabs(library) else None


def _unsteady(subject: Subject, again: _Again) -> Cause:
    """Why two runs here differ: tried with one thread, and with a clock that stands still."""
    if (subject.job.hints.cpus or 1) > 1 and again("here", cpus=1) == again("here", cpus=1):
        return Cause("thread order", "two runs differ, and with OMP_NUM_THREADS=1 they make the same")
    clock = fake_clock()
    if clock is not None:
        stopped = again("here", env=clock)
        time.sleep(_TICK_S)
        if stopped == again("here", env=clock):
            return Cause("time", "two runs differ, and with a clock that stands still they make the same")
    return Cause("randomness or time", "two runs at the same place, one after the other, make different outputs")


def _what(made: Made) -> object:
    """What of a run is compared with another: its outputs, or how it failed."""
    failure = made.failure
    return (
        (failure.cause, failure.exit, failure.signal) if failure is not None else tuple(sorted(made.digests().items()))
    )

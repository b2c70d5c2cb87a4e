"""What users write to have a failed job tried again, checked; never hashed into an id, decides about no job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repx.agent.base.retries import CAUSES, MOST_RETRIES, NO_RETRIES, Retries, is_retry_cause
from repx.errors import DefinitionError, SourceLocation, nearest


@dataclass(frozen=True, slots=True, init=False)
class Retry:
    """Up to `times` further attempts, after the ends that stand in `on`; after any, unless it is said.

    "oom": killed because its memory was used up; it gets more. "timeout": out of its time; it gets more. "lost": its
    worker died. "exit": any exit status but 0, or a signal; a number is that exit status. Written as
    `Retry(times=3, on=("oom", "timeout", 75))`. Raises DefinitionError.
    """

    times: int
    on: tuple[str | int, ...]

    def __init__(self, times: int, on: Sequence[str | int] | str | int = CAUSES) -> None:
        _check_times(times, None)
        given = (on,) if isinstance(on, str | int) else tuple(on) if isinstance(on, Sequence | set | frozenset) else ()
        if not given:
            raise DefinitionError(f"retries: on is {on!r}", hint='write on=("oom", "timeout", 75)')
        for one in given:
            if not is_retry_cause(one):
                raise DefinitionError(
                    f"retries: {one!r} is not an end after which a job can be tried again",
                    hint=nearest(one, CAUSES) if isinstance(one, str) else "an exit status of a failure is 1 to 255",
                )
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "on", tuple(sorted(set(given), key=lambda one: (isinstance(one, int), one))))


def read_retries(stage: str, given: Any, location: SourceLocation) -> Retries:
    """The `retries` of a stage: a `Retry`, or a number of attempts after any failure. Raises DefinitionError."""
    if given is None or (type(given) is int and given == 0):
        return NO_RETRIES
    if isinstance(given, Retry):
        return Retries(given.times, given.on)
    if type(given) is not int:
        raise DefinitionError(
            f"retries of stage {stage!r} is {given!r}",
            location=location,
            hint='write retries=2, or retries=Retry(times=2, on=("oom", "timeout", 75))',
        )
    _check_times(given, location)
    return Retries(given, CAUSES)


def _check_times(times: Any, location: SourceLocation | None) -> None:
    if type(times) is not int or not 0 < times <= MOST_RETRIES:
        raise DefinitionError(f"retries: {times!r} is not a number from 1 to {MOST_RETRIES}", location=location)

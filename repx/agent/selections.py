"""The realizations of a job that stand, and which of them a selector chooses; remembers choices, writes nothing."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from typing import Callable, NamedTuple, Union

from repx.agent.base.layout import COLLECTED, Store
from repx.agent.base.record import OutputRecord, read_outcome
from repx.agent.base.selector import READ_BYTES, SelectionError, Selector, number_in
from repx.agent.lab.run_file import Job
from repx.agent.resolve import Realized

_PLACE = re.compile(r"([0-9]{1,9})-[0-9a-z]{8}\Z")


class Awaited:
    """In place of a result: the realization is to run, so what takes from it cannot be resolved yet."""


Looked = Union[Realized, Awaited, None]
"""What stands of a realization: its result, nothing yet, nothing at all."""


class AwaitedError(Exception):
    """A realization that a selector may choose is to run."""


class RealizationsOf(NamedTuple):
    """The realizations of a job: those that have a result, by index, and the indexes of those that have none."""

    made: dict[int, Realized]
    missing: list[int]


class Selections:
    """Realizations of jobs by `look`, which says what stands of one of them, by job and index."""

    def __init__(self, store: Store, look: Callable[[Job, int], Looked]) -> None:
        self._store = store
        self._look = look
        self._chosen: dict[tuple[str, str], list[int]] = {}
        self._expected: dict[str, int] = {}
        """The realization that is being added to a job."""

    def realizations(self, job: Job) -> RealizationsOf:
        """All realizations of a job: as many as its stage has, and those that were added to them.

        Raises AwaitedError while one of them is to run.
        """
        found = RealizationsOf({}, [])
        count = job.stage.realizations
        added = set(added_indexes(self._store, job.id, count))
        if job.id in self._expected:
            added.add(self._expected[job.id])
        for index in [*range(count), *sorted(added)]:
            one = self._look(job, index)
            if isinstance(one, Awaited):
                raise AwaitedError
            if one is not None:
                found.made[index] = one
            elif index < count:
                found.missing.append(index)
        return found

    def choose(self, job: Job, selector: Selector) -> list[tuple[int, Realized]]:
        """The realizations that a selector takes, in its order. Raises AwaitedError or SelectionError."""
        place = job.id, selector.text
        known = [(index, self._look(job, index)) for index in self._chosen.get(place, ())]
        if known and all(isinstance(one, Realized) for _, one in known):
            return [(index, one) for index, one in known if isinstance(one, Realized)]
        made, missing = self.realizations(job)
        indexes = selector.choose(list(made), missing, lambda index, output: _number(made[index], index, output))
        if not missing:
            # Many may take the same choice, which reads the outputs of all.
            self._chosen[place] = indexes
        return [(index, made[index]) for index in indexes]

    def expect(self, job: str, index: int) -> None:
        """A realization is being added to a job, of which nothing may stand yet."""
        self._expected[job] = index

    def forget(self) -> None:
        """Choose anew: there may be other realizations by now."""
        self._chosen.clear()


def added_indexes(store: Store, job: str, count: int) -> list[int]:
    """The indexes from `count` on for which a job keeps something: realizations beyond those its stage has."""
    return sorted({index for index, _ in _places(store, job) if index >= count})


def realization_directories(store: Store, job: str, index: int) -> list[str]:
    """Where a job keeps something of a further realization, under whatever key."""
    return ["%s/%s" % (store.job(job), name) for found, name in _places(store, job) if found == index]


def _places(store: Store, job: str) -> list[tuple[int, str]]:
    try:
        names = os.listdir(store.job(job))
    except OSError:
        return []
    return [(int(match[1]), match[0]) for match in map(_PLACE.match, names) if match is not None]


def _number(made: Realized, index: int, output: str) -> float:
    if output not in made.outputs:
        raise SelectionError("realization %d has no output %s" % (index, output))
    if made.is_collected:
        outcome = read_outcome("%s/%s" % (made.directory, COLLECTED))
        text = "" if outcome is None else outcome.numbers.get(output, "")
        return number_in(text.encode(), "output %s of realization %d, which was collected," % (output, index))
    try:
        data = read_number(made.path(output))
    except OSError as error:
        raise SelectionError("output %s of realization %d: %s" % (output, index, error.strerror)) from None
    return number_in(data, "output %s of realization %d" % (output, index))


def numbers_of(outputs: Mapping[str, OutputRecord], out: str) -> dict[str, str]:
    """The outputs that hold one number each, as their text: what a record keeps of them."""
    found = {}
    for name, output in outputs.items():
        if output.size <= READ_BYTES:
            with contextlib.suppress(OSError, SelectionError):
                data = read_number("%s/%s" % (out, output.path))
                number_in(data, name)
                found[name] = data.decode("ascii").strip()
    return found


def read_number(path: str) -> bytes:
    """What a file begins with that is to hold a number. OSError for a link or a directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return os.read(descriptor, READ_BYTES + 1)
    finally:
        os.close(descriptor)

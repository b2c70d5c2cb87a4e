"""Where results are taken from: a store, as a Lab sees it; a directory now, and what is asked of any other kind."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from repx.agent.base.digest import TreeError, check_entry, digest_and_size, tree_digest
from repx.agent.base.files import copy_tree, read_file, walk
from repx.agent.base.layout import COLLECTED, ITEMS, OUT, RECORD, Store
from repx.agent.base.record import (
    Attempt,
    CameFrom,
    LogFile,
    Outcome,
    OutputRecord,
    RecordError,
    decode_attempts,
    decode_outcome,
    decode_way,
)
from repx.agent.lab.run_file import Job
from repx.agent.resolve import Inputs, Realized
from repx.agent.scatter import SCATTER
from repx.lab.directory import LabDirectory
from repx.store.sharing.units import Unit
from repx.store.sharing.view import StoreView


class DamagedError(Exception):
    """A result is not what its record says."""


class Offer(NamedTuple):
    """A result that could be taken: what stands, and the inputs that it was made of."""

    made: Realized
    inputs: Inputs


class Parcel(NamedTuple):
    """A result that was fetched: its `out` and its long logs stand in a directory here, compared with its record.

    Of one that `is_collected` there is no `out`, and of a scatter the list of its items.
    """

    directory: str
    outcome: Outcome
    attempts: tuple[Attempt, ...]
    way: tuple[CameFrom, ...]
    is_collected: bool = False

    @property
    def outputs(self) -> Mapping[str, OutputRecord]:
        """Its outputs by name."""
        return self.outcome.outputs


class Sender(Protocol):
    """A store or an archive elsewhere, as far as results are taken from it."""

    def offer(self, unit: Unit) -> Offer | None:
        """What stands there of a unit; None when nothing does."""

    def added(self, job: Job) -> list[int]:
        """The indexes of realizations that were added there to those that the job's stage has."""

    def fetch(self, unit: Unit, offer: Offer, place: str) -> Parcel:
        """Bring a result to an empty directory here. Raises DamagedError, and StoreError where it cannot be read."""


class DirectorySender:
    """A store in a directory. `how` and `place` are what records will say of where a result came from.

    Results of a Lab are looked for as the store's own, and as those of a Lab from elsewhere, of which both are right:
    the second are of the very same scripts and software.
    """

    def __init__(
        self,
        lab: LabDirectory,
        store: Store,
        how: str,
        place: str,
        copy: Callable[[str, str], None] = copy_tree,
    ) -> None:
        self._how = how
        self._place = place
        self._root = store.root
        self._copy = copy
        self._views = [StoreView(lab.owned(is_own=is_own), store) for is_own in (True, False)]

    def offer(self, unit: Unit) -> Offer | None:
        """What stands there of a unit; None when nothing does."""
        looks = (view.look(unit) for view in self._views)
        found = (Offer(look.made, look.resolved.inputs) for look in looks if look is not None and look.made is not None)
        return next(found, None)

    def added(self, job: Job) -> list[int]:
        """The indexes of realizations that were added there to those that the job's stage has."""
        return self._views[0].added(job)

    def fetch(self, unit: Unit, offer: Offer, place: str) -> Parcel:
        """Bring a result to an empty directory here."""
        source = offer.made.directory
        try:
            is_collected = offer.made.is_collected
            data = read_file(f"{source}/{COLLECTED if is_collected else RECORD}")
            outcome, attempts, way = decode_outcome(data), decode_attempts(data), decode_way(data)
            if (outcome.key, outcome.outputs) != (offer.made.key, offer.made.outputs):
                raise DamagedError("its record has just been replaced")
            if is_collected:
                self._fetch_items(unit, offer, place)
            else:
                _check_tree(f"{source}/{OUT}")
                self._copy(f"{source}/{OUT}", f"{place}/{OUT}")
                check_outputs(f"{place}/{OUT}", outcome.outputs)
            for log in dict.fromkeys(_log_files(attempts)):
                if os.path.isfile(f"{source}/{log}") and not os.path.islink(f"{source}/{log}"):
                    self._copy(f"{source}/{log}", f"{place}/{log}")
        except RecordError as error:
            raise DamagedError(str(error)) from None
        except TreeError as error:
            raise DamagedError(
                str(error).replace(f"{source}/{OUT}", "$out").replace(f"{place}/{OUT}", "$out")
            ) from None
        except FileNotFoundError as error:
            raise DamagedError(f"{error.filename} is gone") from None
        except OSError as error:
            if str(error.filename or "").startswith(self._root + "/") and error.errno not in _OF_THE_TARGET:
                raise DamagedError(f"{error.filename}: {error.strerror}") from None
            raise
        journey = CameFrom(self._how, self._place, os.uname().nodename, 0.0, offer.made.key)
        return Parcel(place, outcome, tuple(attempts), (*way, journey), is_collected)

    def _fetch_items(self, unit: Unit, offer: Offer, place: str) -> None:
        """Bring the list of a scatter that was collected: without it nobody can tell which steps there were."""
        source = f"{offer.made.directory}/{ITEMS}"
        if unit.step != SCATTER or unit.job.stage.parts is None or not os.path.lexists(source):
            return
        self._copy(source, f"{place}/{ITEMS}")
        if tree_digest(f"{place}/{ITEMS}") != offer.made.outputs[unit.job.stage.parts.items].digest:
            raise DamagedError("its items are not those that its record says")


_OF_THE_TARGET = (errno.ENOSPC, errno.EDQUOT)
"""With these the disk that is written to ends a copy, though Python may name the file that is read."""


def check_outputs(out: str, outputs: Mapping[str, OutputRecord]) -> None:
    """Whether every output has the digest that its record says. Raises DamagedError."""
    for name, output in outputs.items():
        try:
            found = digest_and_size(f"{out}/{output.path}", out)
        except (FileNotFoundError, NotADirectoryError):
            raise DamagedError(f"its output {name} is gone") from None
        except TreeError as error:
            raise DamagedError(f"its output {name}: {error.reason}") from None
        if found != (output.digest, output.size):
            raise DamagedError(f"its output {name} has not the digest that its record says")


def _check_tree(out: str) -> None:
    """Look at all that would be copied: a pipe would keep us waiting, a device has no end. Raises TreeError."""
    for entry in walk(out):
        check_entry(entry, os.lstat(entry), out)


def _log_files(attempts: list[Attempt]) -> Iterator[str]:
    for attempt in attempts:
        yield from (log.name for log in (attempt.stdout, attempt.stderr) if isinstance(log, LogFile))

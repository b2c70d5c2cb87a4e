"""Results on their way out: each taken from its job under its claim, its record first, or put back; deletes nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from repx.agent.base.layout import COLLECTED, ITEMS, OUT, PENDING, RECORD, Store
from repx.agent.base.record import read_outcome
from repx.agent.claim import ClaimFile
from repx.store.gc.picture import Place
from repx.store.gc.plan import directory_of


class TakenResults:
    """Results that were taken from their jobs, whose claims are held until this is left."""

    def __init__(self, store: Store, claim: ClaimFile, items: dict[str, str]) -> None:
        self._store = store
        self._claim = claim
        self._items = items
        self._claimed: list[str] = []
        self.places: list[Place] = []

    def __enter__(self) -> TakenResults:
        return self

    def __exit__(self, *_: object) -> None:
        for directory in self._claimed:
            with contextlib.suppress(OSError):
                self._claim.release(directory)

    def add(self, place: Place, leave: Callable[[str, OSError], None]) -> bool:
        """Take one, its record first: from then on it counts as collected. False where somebody else works on it."""
        directory = directory_of(self._store, place)
        # Realizations above the first are claimed one by one; one of the first that stands aside is moved by its job.
        claimed = directory if place.aside and not place.aside.startswith("0-") else self._store.job(place.job)
        try:
            if claimed not in self._claimed:
                if self._claim.take(claimed) is None:
                    return False
                self._claimed.append(claimed)
            if os.path.lexists(f"{directory}/{PENDING}"):
                return False
            self._keep_items(place, directory)
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{directory}/{RECORD}", f"{directory}/{COLLECTED}")
        except FileNotFoundError:
            return True
        except PermissionError as error:
            leave(directory, error)
            return True
        self.places.append(place)
        return True

    def put_back(self) -> None:
        """Let the results stand again."""
        for place in self.places:
            directory = directory_of(self._store, place)
            if os.path.lexists(f"{directory}/{OUT}"):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(f"{directory}/{COLLECTED}", f"{directory}/{RECORD}")

    def _keep_items(self, place: Place, directory: str) -> None:
        """Keep the list of a scatter beside its record: without it nobody could tell which steps there were."""
        if place.job in self._items:
            outcome = read_outcome(f"{directory}/{RECORD}")
            output = None if outcome is None else outcome.outputs.get(self._items[place.job])
            if output is not None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{directory}/{ITEMS}")
                with contextlib.suppress(FileNotFoundError):
                    os.link(f"{directory}/{OUT}/{output.path}", f"{directory}/{ITEMS}")

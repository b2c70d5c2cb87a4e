"""How to run, who is told what happens, and what came of it; values and one protocol, nothing that acts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from repx.agent.base.record import Attempt
from repx.agent.base.state import State
from repx.lab.plain_text import last_words
from repx.lab.titles import Titles
from repx.runtime.units import Unit
from repx.store.attempts import cause_text

LAST_WORDS = 160
"""Characters of a log's last line that stand beside the cause."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run: what to do about what is done, and about what fails."""

    force: bool = False
    again: Collection[str] = ()
    """Jobs to which a realization is to be added."""
    wanted: Collection[str] = ()
    """Jobs whose outputs are to be there in the end, also where their records would do."""
    continue_on_failure: bool = False


class Watcher(Protocol):
    """Told what happens, as it happens."""

    def planned(self, total: int, found: int) -> None:
        """`total` units are known, of which `found` are done already; called again when a scatter adds some."""

    def started(self, unit: Unit) -> None:
        """A worker has taken a unit."""

    def ended(self, unit: Unit) -> None:
        """A unit has ended, also by being found or blocked."""

    def notice(self, text: str) -> None:
        """Something the user should know, in one line."""


class SafeWatcher:
    """A `Watcher` whose errors end the watching, never the run; `failure` is the first one, which was the last told.

    Where standard error is a closed pipe, the jobs go on.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher: Watcher | None = watcher
        self.failure: Exception | None = None

    def planned(self, total: int, found: int) -> None:
        """See `Watcher`."""
        self._tell(lambda watcher: watcher.planned(total, found))

    def started(self, unit: Unit) -> None:
        """See `Watcher`."""
        self._tell(lambda watcher: watcher.started(unit))

    def ended(self, unit: Unit) -> None:
        """See `Watcher`."""
        self._tell(lambda watcher: watcher.ended(unit))

    def notice(self, text: str) -> None:
        """See `Watcher`."""
        self._tell(lambda watcher: watcher.notice(text))

    def _tell(self, say: Callable[[Watcher], None]) -> None:
        if self._watcher is not None:
            try:
                say(self._watcher)
            except Exception as error:
                self._watcher, self.failure = None, error


@dataclass(slots=True)
class Report:
    """What came of it. `units` are all, those of scatters included."""

    units: list[Unit] = field(default_factory=list)
    added: list[Unit] = field(default_factory=list)
    """Those that add a realization to their job."""
    interrupted: bool = False
    watching_failed: Exception | None = None
    """Why the watcher was told no more: its own error, which is no matter of the run."""
    trouble: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)

    def count(self, state: State) -> int:
        """How many units ended so."""
        return sum(unit.state is state for unit in self.units)

    @property
    def found(self) -> int:
        """How many were done already."""
        return sum(unit.found for unit in self.units)

    @property
    def adopted(self) -> int:
        """How many another job had done already, of the same inputs."""
        return sum(unit.adopted for unit in self.units)

    @property
    def collected(self) -> int:
        """How many of these have no outputs any more: they were collected."""
        return sum(unit.outcome is not None and unit.outcome.is_collected for unit in self.units)

    @property
    def retried(self) -> int:
        """How many took more than one attempt."""
        return sum(unit.retries > 0 for unit in self.units)

    @property
    def failed(self) -> list[Unit]:
        """Those that failed, in order."""
        return [unit for unit in self.units if unit.state is State.FAILED]

    @property
    def succeeded(self) -> bool:
        """Whether everything is done and safely on disk."""
        return not self.interrupted and not self.trouble and all(unit.state is State.SUCCEEDED for unit in self.units)


def unit_title(unit: Unit, titles: Titles) -> str:
    """A unit as people know it."""
    return unit.name if unit.job is None else titles.of(unit.job, unit.index)


def reason_text(attempt: Attempt | None, told: Callable[[str], str] = str) -> str:
    """Why an attempt failed, and the last line that it wrote to standard error, `told` as people know its places."""
    last = told(last_words(attempt.stderr)) if attempt is not None and isinstance(attempt.stderr, str) else ""
    if len(last) > LAST_WORDS:
        last = last[: LAST_WORDS - 1] + "…"
    return ": ".join(filter(None, (cause_text(attempt), last)))


def stage_of(unit: Unit) -> str:
    """The name of a unit's stage."""
    return "step" if unit.job is None else unit.job.stage.name

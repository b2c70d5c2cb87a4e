"""What an engine asks of whatever runs its units, and what it is told: one protocol and its events; starts nothing.

An executor is given units that are ready, and says once of each how it ended. In between it may say that one has begun,
or that it has to wait for another turn. Schedule, processes and their losses are its own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple, Protocol

from repx.agent.base.record import Attempt
from repx.agent.base.retries import NO_RETRIES, Retries
from repx.agent.messages import JobOrder, UseLab, UsePackage, UseStage
from repx.agent.resolve import Realized
from repx.runtime.needs import Needs


class Budget(NamedTuple):
    """What a run may use of a machine: jobs at once, CPUs, bytes of memory."""

    slots: int
    cpus: int
    mem: int


class Work(NamedTuple):
    """A unit to be run: its number, the place of its run, what it occupies, and how to order it when its turn comes.

    `retries` are those of its stage. `more_memory` gives the bytes for a next attempt; it is told how many its last one
    had, and whether that was the first to have too little.
    """

    unit: int
    run: int
    needs: Needs
    order: Callable[[], Order]
    retries: Retries = NO_RETRIES
    more_memory: Callable[[int, bool], int] = lambda had, is_first: 2 * had


class Order(NamedTuple):
    """What a worker is told of a unit: what it has to have been told before, if it has not been, and the job."""

    before: tuple[UseLab | UseStage | UsePackage, ...]
    job: JobOrder


class Started(NamedTuple):
    """A unit has begun."""

    unit: int


class Requeued(NamedTuple):
    """A unit that had begun waits for another turn: its worker was killed, or somebody else is doing its job."""

    unit: int


class Succeeded(NamedTuple):
    """A unit's result stands under its key; `found` says that it did so already, `adopted` that of another job did.

    `peak` are the bytes of memory that it used, `retries` the attempts that it took beyond the first.
    """

    unit: int
    outcome: Realized
    found: bool
    adopted: bool = False
    peak: int = 0
    retries: int = 0


class Failed(NamedTuple):
    """A unit's last attempt has failed."""

    unit: int
    attempt: Attempt
    retries: int = 0


class Cancelled(NamedTuple):
    """A unit was stopped, or will never begin."""

    unit: int
    attempt: Attempt | None


class Notice(NamedTuple):
    """Something the user should know, in one line."""

    text: str


Event = Started | Requeued | Succeeded | Failed | Cancelled | Notice


class Executor(Protocol):
    """Runs units. Every unit that is started ends once: as Succeeded, Failed or Cancelled."""

    def prepare(self, runs: Collection[int], notice: Callable[[str], None]) -> None:
        """Have ready what the jobs of these runs need, before any is started; `notice` is told what takes long.

        Raises SoftwareError.
        """

    def start(self, units: Iterable[Work]) -> None:
        """Take these; they begin when there is room for them, and after `cancel` not at all."""

    def events(self) -> Sequence[Event]:
        """Wait until something has happened; what has, in order. To be asked only while a unit has not ended."""

    def cancel(self, *, running: bool) -> None:
        """Start nothing more; with `running`, end what runs too. Safe to call from a signal handler."""

    def close(self) -> list[str]:
        """Have all results safely on disk, and leave; what went wrong with that."""

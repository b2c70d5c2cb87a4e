"""Units: what a run of the engine does one by one; knows no process and no disk.

A unit is one realization of a job, or a part of a scatter-gather, as the engine sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from repx.agent.base.record import Attempt
from repx.agent.base.state import ENDED, MOVES, State
from repx.agent.lab.run_file import Job
from repx.runtime.needs import Needs
from repx.store.outcomes import Outcome, Resolved
from repx.store.scatter import PartJob


class Unit:
    """One realization of a job, or a part of a scatter-gather.

    `realizations` are the further ones of its job; `parts` are the scatter and the steps of a scatter-gather.
    `job` is None for a step until its inputs are known, for those make its id. `waiting` counts what must end first,
    `limits` are the CPUs and the bytes that it has asked for itself.
    """

    __slots__ = (
        "attempt",
        "blocked_by",
        "consumers",
        "found",
        "index",
        "job",
        "limits",
        "needs",
        "number",
        "on_ready",
        "outcome",
        "parts",
        "realizations",
        "resolve",
        "resolved",
        "run",
        "state",
        "time_s",
        "waiting",
    )

    def __init__(
        self,
        number: int,
        run: int,
        job: Job | PartJob | None,
        index: int,
        resolve: Callable[[Unit], Resolved] | None,
    ) -> None:
        self.number = number
        self.run = run
        self.job = job
        self.index = index
        self.resolve = resolve
        self.resolved: Resolved | None = None
        self.waiting = 0
        self.consumers: list[Unit] = []
        self.realizations: list[Unit] = []
        self.parts: list[Unit] = []
        self.state = State.PENDING
        self.outcome: Outcome | None = None
        self.attempt: Attempt | None = None
        self.blocked_by: Unit | None = None
        self.found = False
        self.needs = Needs(1, 1 << 30)
        self.time_s: float | None = None
        self.limits: Mapping[str, int] = {}
        self.on_ready: Callable[[Unit], bool] | None = None

    @property
    def name(self) -> str:
        """What to call it: its job id, with the index of a further realization."""
        if self.job is None:
            return "step"
        return self.job.id if self.index == 0 else f"{self.job.id}#{self.index}"

    def move(self, state: State) -> None:
        """Change state. AssertionError for a move that is not in the table: a fault of the engine."""
        if state not in MOVES[self.state]:
            raise AssertionError(f"{self.name}: {self.state.value} to {state.value}")
        self.state = state

    def after(self, other: Unit) -> None:
        """Wait for `other`, unless it has ended already."""
        if other.state not in ENDED:
            self.waiting += 1
            other.consumers.append(self)

    def __repr__(self) -> str:
        return f"<unit {self.name} {self.state.value}>"


class UnresolvedError(Exception):
    """An input is not there yet; only a dry run gets so far."""

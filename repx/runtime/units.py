"""Units: what a run of the engine does one by one; knows no process and no disk.

A unit is one realization of a job, or a part of a scatter-gather, as the engine sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from repx.agent.base.record import Attempt
from repx.agent.base.state import ENDED, MOVES, State
from repx.agent.lab.run_file import Job
from repx.agent.resolve import Realized, Reason, Resolved
from repx.agent.scatter import PartJob
from repx.runtime.needs import Needs


class Unit:
    """One realization of a job, or a part of a scatter-gather.

    `realizations` are the further ones of its job; `parts` are the scatter and the steps of a scatter-gather.
    `job` is None for a step until its inputs are known, for those make its id. `waiting` counts what must end first,
    `limits` are the CPUs and the bytes that it has asked for itself.
    `on_ready` is asked first when it waits for nothing any more, and says whether it has dealt with the unit.

    `is_parked` says that its result was collected: it counts as done until a unit that runs needs its outputs, and
    `is_wanted` that one does. `sources` are the units that a part takes from within its scatter-gather; `leader` is the
    unit that it follows, because both are the same step. `retries` attempts it took beyond the first.
    """

    __slots__ = (
        "adopted",
        "attempt",
        "blocked_by",
        "consumers",
        "found",
        "index",
        "is_parked",
        "is_wanted",
        "job",
        "leader",
        "limits",
        "needs",
        "number",
        "on_ready",
        "outcome",
        "parts",
        "realizations",
        "reason",
        "resolved",
        "retries",
        "run",
        "sources",
        "state",
        "time_s",
        "waiting",
    )

    def __init__(self, number: int, run: int, job: Job | PartJob | None, index: int) -> None:
        self.number = number
        self.run = run
        self.job = job
        self.index = index
        self.resolved: Resolved | None = None
        self.waiting = 0
        # Most units have none of these: an empty tuple costs nothing.
        self.consumers: tuple[Unit, ...] | list[Unit] = ()
        self.realizations: tuple[Unit, ...] = ()
        self.parts: tuple[Unit, ...] | list[Unit] = ()
        self.state = State.PENDING
        self.reason: Reason | None = None
        self.outcome: Realized | None = None
        self.attempt: Attempt | None = None
        self.blocked_by: Unit | None = None
        self.found = False
        self.adopted = False
        self.retries = 0
        self.is_parked = False
        self.is_wanted = False
        self.sources: tuple[Unit, ...] = ()
        self.leader: Unit | None = None
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
        """Wait for `other`, unless it has ended already, or counts as done."""
        if other.state in ENDED or other.is_parked:
            return
        self.waiting += 1
        if isinstance(other.consumers, list):
            other.consumers.append(self)
        else:
            other.consumers = [self]

    def forget(self) -> None:
        """Let go of what nobody asks a unit that has ended for."""
        self.resolved = None
        self.consumers = ()
        self.on_ready = None

    def __repr__(self) -> str:
        return f"<unit {self.name} {self.state.value}>"

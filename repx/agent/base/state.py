"""How a job stands, and how that may change; knows no job, no disk and no process.

PENDING ──▶ READY ──▶ RUNNING ──▶ SUCCEEDED
   │          │          ├──────▶ FAILED
   │          │          └──────▶ CANCELLED
   ├──▶ SUCCEEDED (found: a result stands under today's key)
   └──▶ BLOCKED (something it needs failed)
"""

from __future__ import annotations

from enum import Enum


class State(str, Enum):
    """How one job, realization or part of a scatter-gather stands; the same word everywhere, on disk too."""

    PENDING = "pending"
    """It can run, or waits for jobs that can."""
    READY = "ready"
    """Its inputs are there and nothing stands under its key. What a worker was given and has not begun is ready."""
    RUNNING = "running"
    """Somebody works on it now."""
    SUCCEEDED = "succeeded"
    """A result stands for today's inputs."""
    FAILED = "failed"
    """With today's inputs it failed, or a step of it did."""
    BLOCKED = "blocked"
    """Something it needs failed."""
    CANCELLED = "cancelled"
    """It was stopped, or never started because the run was."""

    def __str__(self) -> str:
        return str(self.value)


MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.READY, State.SUCCEEDED, State.BLOCKED, State.FAILED, State.CANCELLED}),
    State.READY: frozenset({State.RUNNING, State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.RUNNING: frozenset({State.READY, State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.BLOCKED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""Legal moves within one run. RUNNING to READY: somebody else had the job, and it is asked for again when they have
ended; or its worker was killed. A later run begins with PENDING again."""

ENDED = frozenset(state for state, moves in MOVES.items() if not moves)

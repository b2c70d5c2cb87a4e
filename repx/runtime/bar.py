"""One progress bar for a notebook or a script: what `realize_many` shows; starts nothing."""

from __future__ import annotations

import importlib.util
import sys
from types import TracebackType
from typing import Self

from repx.agent.base.state import State
from repx.runtime.units import Unit


class Bar:
    """A `repx.runtime.report.Watcher` that draws a bar with rich: in a terminal, or in a Jupyter cell.

    `enabled=None` shows it where somebody is looking.
    """

    def __init__(self, *, enabled: bool | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        is_watched = console.is_jupyter or sys.stderr.isatty()
        if console.is_jupyter and importlib.util.find_spec("ipywidgets") is None:
            # Without widgets rich warns and draws nothing; as plain text it says at the end what was done.
            console = Console(stderr=True, force_jupyter=False)
        shown = enabled if enabled is not None else is_watched
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not shown,
        )
        self._task = self._progress.add_task("realizing", total=None)
        self._failed = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def planned(self, total: int, found: int) -> None:
        """See `repx.runtime.report.Watcher`."""
        self._progress.update(self._task, total=total)

    def started(self, unit: Unit) -> None:
        """A worker has taken a unit."""

    def ended(self, unit: Unit) -> None:
        """One more has ended."""
        self._failed += unit.state is State.FAILED
        self._progress.advance(self._task)
        if self._failed:
            self._progress.update(self._task, description=f"realizing, {self._failed} failed")

    def notice(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(text)

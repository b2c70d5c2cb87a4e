"""Draws one line on the terminal again and again while a command works; without a terminal, draws nothing."""

from __future__ import annotations

import shutil
import sys
from types import TracebackType

from repx.cli.streams import draw
from repx.lab.plain_text import plain_line


class LiveLine:
    """A context: `show` replaces the line, and the end of the context clears it."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet or not sys.stderr.isatty()
        self._width = 0

    def __enter__(self) -> LiveLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Draw `text`, cut to the terminal's width."""
        if self._quiet:
            return
        line = plain_line(text)[: shutil.get_terminal_size().columns - 1]
        draw("\r" + line.ljust(self._width), sys.stderr)
        self._width = len(line)

    def clear(self) -> None:
        """Clear the line."""
        if self._width:
            draw("\r" + " " * self._width + "\r", sys.stderr)
            self._width = 0

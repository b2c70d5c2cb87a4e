"""Where the lines of a Lab's Bash scripts stand in the user's files: for what Bash says of them; starts nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from repx.agent.lab.stage import Stage
from repx.lab.directory import LabDirectory

_MARK = re.compile(r"# ---- (.+):(\d+) ----")
"""What a script has before the user's text: its file and line."""

_SAID = re.compile(r"(?:[^\s'\"`]*/)?([a-z0-9]+/bin/[^\s/:]+): line (\d+):")
"""How Bash begins what it says of a line: the script by its path, as the job sees it."""


class _Text(NamedTuple):
    """The user's text in a script: after which line of this it begins, and where it stands in the user's file."""

    after: int
    file: str
    first: int


class ScriptPlaces:
    """Tells what Bash says of a line of a script as of the line in the user's file."""

    def __init__(self, lab: LabDirectory) -> None:
        self._lab = lab
        self._texts: dict[str, _Text | None] | None = None

    def told(self, line: str) -> str:
        """A line of a job's log; any other than of Bash as it is."""
        return _SAID.sub(self._place, line) if ": line " in line else line

    def _place(self, found: re.Match[str]) -> str:
        if self._texts is None:
            # A log is what a job says: it names no file of this machine, but a script of this Lab or nothing.
            wholes = (stage for run in self._lab.runs.values() for stage in run.stages.values())
            stages = (stage for whole in wholes for stage in _with_parts(whole))
            scripts = {one.executable for one in stages if one.kind == "bash"}
            self._texts = {script.removeprefix("store/"): self._text(script) for script in scripts}
        text = self._texts.get(found[1])
        line = int(found[2])
        if text is None or line <= text.after:
            return found[0]
        return f"{text.file}:{text.first + line - text.after - 1}:"

    def _text(self, executable: str) -> _Text | None:
        try:
            script = Path(self._lab.path, executable).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return None
        marks = ((number, found) for number, line in enumerate(script, 1) if (found := _MARK.fullmatch(line)))
        after, mark = next(marks, (0, None))
        return None if mark is None else _Text(after, mark[1], int(mark[2]))


def _with_parts(stage: Stage) -> Iterator[Stage]:
    yield stage
    if stage.parts is not None:
        yield from (stage.parts.scatter, stage.parts.gather, *(step.stage for step in stage.parts.steps))

"""Where the lines of a stage's script stand in the user's file: for what Bash says of them; starts nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from repx.agent.lab.stage import Stage

_MARK = re.compile(r"# ---- (.+):(\d+) ----")
"""What a script has before the user's text: its file and line."""


def with_user_places(lines: Sequence[str], lab: str, stage: Stage) -> list[str]:
    """Lines of a Bash job's log; a line of its script is told as that of the user's file."""
    name = stage.executable.rpartition("/")[2]
    said = re.compile(rf"\S*/bin/{re.escape(name)}: line (\d+):")
    if stage.kind != "bash" or not any(map(said.search, lines)):
        return list(lines)
    try:
        script = Path(lab, stage.executable).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return list(lines)
    marks = ((number, found) for number, line in enumerate(script, 1) if (found := _MARK.fullmatch(line)))
    begins, mark = next(marks, (0, None))
    if mark is None:
        return list(lines)
    file, first = mark[1], int(mark[2])

    def told(found: re.Match[str]) -> str:
        line = int(found[1])
        return f"{file}:{first + line - begins - 1}:" if line > begins else found[0]

    return [said.sub(told, line) for line in lines]

"""Which files of a Bash script are told to be untracked."""

from __future__ import annotations

from pathlib import Path

import pytest

from repx.errors import SourceLocation
from repx.model.software import SoftwareRequest
from repx.realizer.checks.paths import path_notes


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("python3 FOLDER/tool.py", "tool.py"),
        ('cat "FOLDER/my file" > x', "my file"),
        ("run --config=FOLDER/tool.py", "tool.py"),
        ("cat < FOLDER/tool.py", "tool.py"),
        ("echo x >> FOLDER/tool.py", ""),
        ('echo x > "FOLDER/tool.py"', ""),
        ("# FOLDER/tool.py", ""),
        ("cat FOLDER/none FOLDER /etc/passwd", ""),
        ("cat $HOME/FOLDER/tool.py", ""),
    ],
)
def test_a_file_that_is_named_by_an_absolute_path_is_told(tmp_path: Path, line: str, told: str) -> None:
    for name in ("tool.py", "my file"):
        (tmp_path / name).touch()
    script = "true\n" + line.replace("FOLDER", str(tmp_path))
    request = SoftwareRequest("s", "bash", (), script, SourceLocation("e.py", 10))
    notes = path_notes(request)
    place = f"{tmp_path}/{told}"
    messages = [f"{place} is named by an absolute path, so a change of it runs nothing again"] if told else []
    assert [note.message for note in notes] == messages
    for note in notes:
        assert note.location == SourceLocation("e.py", 11)
        assert note.remedy == f'give it as an input: name: Input = repx.path("{told}")'


def test_a_stage_that_sees_the_machine_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "tool.py").touch()
    request = SoftwareRequest("s", "bash", (), f"cat {tmp_path}/tool.py", SourceLocation("e.py", 1), impure=True)
    assert path_notes(request) == ()

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


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ('def work():\n    return open("FOLDER/tool.py").read()', 2, "tool.py"),
        ('def work():\n    import pandas\n    return pandas.read_csv("FOLDER/my file")', 3, "my file"),
        ('from pathlib import Path\ndef work():\n    return Path("FOLDER") / "tool.py"', 3, "tool.py"),
        ('import os\ndef work():\n    return os.path.join("FOLDER", "tool.py")', 3, "tool.py"),
        ('def work():\n    folder = "FOLDER"\n    return f"{folder}/tool.py"', 3, "tool.py"),
        ('def work():\n    return "FOLDER" + "/tool.py"', 2, "tool.py"),
        ('DATA = "FOLDER/tool.py"\ndef work():\n    return open(DATA)', 1, "tool.py"),
        ('def work():\n    open("FOLDER/tool.py", "w").write("x")', 0, ""),
        ('from pathlib import Path\ndef work():\n    Path("FOLDER/tool.py").write_text("x")', 0, ""),
        ('def work():\n    return open("FOLDER/none"), "FOLDER", "/etc/passwd", "tool.py"', 0, ""),
    ],
)
def test_a_file_that_a_python_body_names_is_told_at_its_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    for name in ("tool.py", "my file"):
        (tmp_path / name).touch()
    lines = ((1, SourceLocation("e.py", 11)),)
    script = text.replace("FOLDER", str(tmp_path))
    request = SoftwareRequest("s", "python", (), script, SourceLocation("e.py", 10), lines=lines)
    notes = path_notes(request)
    assert [note.message.split()[0] for note in notes] == ([f"{tmp_path}/{told}".split()[0]] if told else [])
    assert [note.location for note in notes] == ([SourceLocation("e.py", 10 + line)] if told else [])

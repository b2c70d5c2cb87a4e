"""What CONFORMANCE.md names is there: a test that was moved takes its line along; knows no other document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = [line for line in (ROOT / "tests" / "CONFORMANCE.md").read_text().splitlines() if "/test_" in line]


def named(line: str) -> list[str]:
    """The tests that a line names: by their path, or by the file alone after another one of the same folder."""
    folder = ""
    found = []
    for path in re.findall(r"`([\w/*]*test_[\w*]+\.py)`", line):
        if path.startswith("tests/"):
            folder = path.rpartition("/")[0]
            found.append(path)
        else:
            found.append(f"{folder}/{path}")
    return found


@pytest.mark.parametrize("line", LINES)
def test_every_test_that_is_named_is_there(line: str) -> None:
    assert named(line)
    assert [path for path in named(line) if not any(ROOT.glob(path))] == []

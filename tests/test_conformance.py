"""What CONFORMANCE.md names is there: a test that was moved takes its line along; knows no other document."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DEFECTS, PYLIGHTNIX = (TESTS / "CONFORMANCE.md").read_text().split("\n# ")
LINES = [line for line in DEFECTS.splitlines() if "/test_" in line]
ROWS = [line for line in PYLIGHTNIX.splitlines() if re.match(r"\| \d", line)]


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
    assert [path for path in named(line) if not any(TESTS.parent.glob(path))] == []


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of the tests in a file, which is read and not run."""
    module = ast.parse((TESTS / file).read_text())
    return frozenset(node.name for node in module.body if isinstance(node, ast.FunctionDef))


def test_each_test_of_pylightnix_has_its_line() -> None:
    cells = [row.strip("| ").split(" | ") for row in ROWS]
    assert [int(row[0]) for row in cells] == list(range(1, 85))
    assert len({row[1] for row in cells}) == len(cells)
    unfounded = [row[1] for row in cells if "::" not in row[3] and not row[3].startswith("does not apply: ")]
    assert unfounded == []


@pytest.mark.parametrize("row", ROWS)
def test_each_test_of_ours_that_shows_the_same_is_there(row: str) -> None:
    ours = [name.split("::") for name in re.findall(r"`([^`]*::[^`]*)`", row)]
    assert [(file, test) for file, test in ours if test not in names_in(file)] == []

"""Texts that a test compares with a file below tests/golden; `--rewrite-golden` writes the file instead."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

GOLDEN = Path(__file__).parent / "golden"


class Golden(Protocol):
    """Compare a text with `tests/golden/<place>`."""

    def __call__(self, place: str, text: str) -> None:
        """Fail when they differ, or when there is no such file."""
        ...


@pytest.fixture(name="golden")
def golden_fixture(pytestconfig: pytest.Config) -> Golden:
    """Compares, or writes when the flag is given."""
    rewrite = bool(pytestconfig.getoption("--rewrite-golden"))

    def compare(place: str, text: str) -> None:
        file = GOLDEN / place
        if rewrite:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            return
        assert file.is_file(), f"there is no {file}; look at this text, then give --rewrite-golden:\n{text}"
        assert text == file.read_text()

    return compare

"""What a test may ask of the machine: what it needs, and what it can only use where it is; knows no test."""

from __future__ import annotations

import os
import shutil

import pytest

OPTIONAL = "optional: "
"""How the reason begins for which a test may be left out everywhere, CI included."""


def needs(condition: object, reason: str) -> None:
    """Go on where something holds; else it is a failure where everything has to be tested, and a skip elsewhere."""
    if not condition:
        pytest.skip(reason)


def needs_programs(*programs: str) -> None:
    """Go on where these programs are installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    needs(not missing, f"not installed: {', '.join(missing)} (scripts/check installs it)")


def optional(condition: object, reason: str) -> None:
    """Go on where the machine has something that nobody can install for a test: another kernel, another Python."""
    if not condition:
        pytest.skip(OPTIONAL + reason)


def must_test_everything() -> bool:
    """Whether what cannot be tested is a failure."""
    return os.environ.get("CI") == "true"

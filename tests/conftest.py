"""What every test gets; knows of no module in particular."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Deadlines measure the machine, not the code; a suite that runs beside other work must not fail for that.
settings.register_profile("repx", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("repx"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "repx")


def pytest_addoption(parser: pytest.Parser) -> None:
    """One flag for all golden texts."""
    parser.addoption("--rewrite-golden", action="store_true", help="write the texts below tests/golden anew")

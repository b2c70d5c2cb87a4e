"""What every test gets; knows of no module in particular."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# Deadlines measure the machine, not the code; a suite that runs beside other work must not fail for that.
settings.register_profile("repx", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("repx"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "repx")


def pytest_addoption(parser: pytest.Parser) -> None:
    """One flag for all golden texts."""
    parser.addoption("--rewrite-golden", action="store_true", help="write the texts below tests/golden anew")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What is to be tested with the real thing is not passed over where everything counts."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and item.get_closest_marker("real") is not None:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report

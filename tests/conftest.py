"""What every test gets; knows of no module in particular."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.machine import OPTIONAL, must_test_everything
from tests.ordinary import OrdinaryUser, ordinary_user

# Deadlines measure the machine, not the code; a suite that runs beside other work must not fail for that.
settings.register_profile("repx", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("repx"), derandomize=True, print_blob=True)
settings.load_profile("ci" if must_test_everything() else "repx")


def pytest_addoption(parser: pytest.Parser) -> None:
    """One flag for all golden texts."""
    parser.addoption("--rewrite-golden", action="store_true", help="write the texts below tests/golden anew")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What cannot be tested is not passed over where everything counts."""
    report = yield
    if report.skipped and must_test_everything() and OPTIONAL not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def ordinary() -> Iterator[OrdinaryUser]:
    """Somebody who owns nothing, with an installation of repx that everybody may enter."""
    with ordinary_user() as user:
        yield user

"""What every test gets; knows of no module in particular."""

from __future__ import annotations

import compileall
import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import repx
from tests.machine import OPTIONAL, must_test_everything
from tests.ordinary import OrdinaryUser, ordinary_user

REAL = "tests/real/"
REAL_NIX = "tests/real/test_nix"

# Deadlines measure the machine, not the code; a suite that runs beside other work must not fail for that.
settings.register_profile("repx", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("repx"), derandomize=True, print_blob=True)
settings.load_profile("ci" if must_test_everything() else "repx")


def pytest_addoption(parser: pytest.Parser) -> None:
    """One flag for all golden texts."""
    parser.addoption("--rewrite-golden", action="store_true", help="write the texts below tests/golden anew")


def pytest_configure(config: pytest.Config) -> None:
    """Give all tests the same start; and compile repx once, which would cost each Python they start half a second."""
    # The same wherever they are started: by `nohup`, by a script's `&`, by somebody who shows nobody his files.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    os.umask(0o022)
    if not hasattr(config, "workerinput"):
        _leave_the_users_folders_alone(config)
        compileall.compile_dir(str(Path(repx.__file__).parent), quiet=2)


def _leave_the_users_folders_alone(config: pytest.Config) -> None:
    """Nothing that a user has set, and nothing that an earlier run has left, counts in a test."""
    for name in [name for name in os.environ if name.startswith("REPX_")]:
        del os.environ[name]
    home = tempfile.mkdtemp(prefix="repx-home-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        os.environ[f"XDG_{kind}_HOME"] = f"{home}/{kind.lower()}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of several processes (pytest-xdist) one begins at once with what takes longest."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(REAL))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Share the tests out among processes: the tests of a file to one, and those of tests/real to two.

    What a file's tests share is made once. What tests/real shares is the machine's, and takes long to make: one process
    has what is about Nix itself, one has Podman's images and control groups.
    """
    # Imported by its name: it is there only where tests are shared out.
    by_scope = import_module("xdist.scheduler").LoadScopeScheduling
    return type("ByFile", (by_scope,), {"_split_scope": staticmethod(_group_of)})(config, log)


def _group_of(test: str) -> str:
    return next((group for group in (REAL_NIX, REAL) if test.startswith(group)), test.partition("::")[0])


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

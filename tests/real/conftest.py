"""The package set, fetched once, and a store that the tests of one run share."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from tests.machine import needs_programs
from tests.real.worlds import PACKAGE_SET, World, podman_environment, world


@pytest.fixture(scope="session")
def package_set() -> Path:
    """examples/nix-debian with its files fetched."""
    needs_programs("nix", "apt-get")
    subprocess.run([PACKAGE_SET / "fetch-debs"], check=True, capture_output=True)
    return PACKAGE_SET


@pytest.fixture(scope="session")
def open_package_set(package_set: Path) -> Iterator[Path]:
    """A copy of it that everybody may read: a checkout may lie below a home that is shut."""
    root = Path(tempfile.mkdtemp(prefix="repx-packages-", dir="/tmp"))
    shutil.copytree(package_set, root / "set")
    subprocess.run(["chmod", "-R", "a+rX", root], check=True)
    yield root / "set"
    remove_tree(str(root))


@pytest.fixture(scope="session")
def common_store(package_set: Path) -> Iterator[Path]:
    """A store with whatever has been brought into it so far. Short, for Podman's sake."""
    root = Path(tempfile.mkdtemp(prefix="repx-store-", dir="/tmp"))
    yield root / "store"
    remove_tree(str(root))


@pytest.fixture
def nix_world(common_store: Path) -> Iterator[World]:
    """A folder for an experiment on the common store."""
    with world(common_store) as made:
        yield made


@pytest.fixture(scope="session")
def podman_settings() -> Iterator[dict[str, str]]:
    """The environment of one Podman for all tests: an image is loaded once."""
    needs_programs("podman", "runc")
    with podman_environment() as environment:
        yield environment

"""The same flake and experiment give the same Lab, byte by byte: wherever they lie, and whoever realizes them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from tests.machine import needs_programs
from tests.ordinary import NOBODY, OrdinaryUser
from tests.real.overlays import NIX, overlay
from tests.real.test_nix import tree
from tests.real.worlds import World, world

pytestmark = pytest.mark.real

EXPERIMENT = """
from repx import *
from pathlib import Path
import repx

@bash(packages=["thing", "diffutils"])
def make(table: Input, data: Output = out("data.txt"), *, count: int, tool: Path = package("thing")):
    return 'thing "$count" "$tool" | cat - "$table" > "$data"'

@stage(packages=["numpy"])
def mean(data: Input, result: Output = out("mean.txt")):
    import numpy
    result.write_text(str(numpy.mean([len(line) for line in data.open()])))

@stage
def report(sweep: Results, table: Output = out("table.txt")):
    table.write_text(str(len(sweep.jobs())))

sweep = Run("sweep", lambda: mean(make(table=repx.path("table.csv"))), params={"count": [1, 2, 3]})
lab = Lab([sweep, Run("report", report, after=[sweep])], packages=nix("./nix"))
"""

START = "from repx.cli.main import main; main()"


def made_in(folder: Path, package_set: Path) -> Path:
    """An experiment with its package set and data."""
    overlay(folder / "nix", 'thing = program "thing" "echo $*";', base=package_set)
    (folder / "experiment.py").write_text(EXPERIMENT)
    (folder / "table.csv").write_text("1,2\n")
    return folder


def realized(made: World, folder: Path, place: Path, user: OrdinaryUser | None = None, **environment: str) -> Path:
    """The Lab of an experiment, with a store and a memory of its own below `place`."""
    own = {"REPX_STORE": str(place / "store"), "XDG_CACHE_HOME": str(place / "cache"), "HOME": str(place)}
    words = ("realize", "experiment.py", "-o", str(place / "lab"))
    done = subprocess.run(
        user.command(*words, folder=folder) if user else [sys.executable, "-c", START, *words],
        cwd=folder,
        env={**made.environment, **own, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return (place / "lab").resolve()


@contextmanager
def daemon(socket: Path) -> Iterator[None]:
    """Nix's daemon, for whoever may not write to Nix's store."""
    environment = {**os.environ, **NIX, "NIX_DAEMON_SOCKET_PATH": str(socket)}
    with subprocess.Popen(["nix-daemon"], env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 30
            while not socket.exists():
                assert time.monotonic() < deadline, "the daemon does not start"
                time.sleep(0.02)
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def places() -> Iterator[Path]:
    """A folder that everybody may look into."""
    root = Path(tempfile.mkdtemp(prefix="repx-", dir="/tmp"))
    root.chmod(0o755)
    yield root
    remove_tree(str(root))


def test_every_folder_store_and_user_makes_the_same_lab(
    places: Path, open_package_set: Path, ordinary: OrdinaryUser
) -> None:
    needs_programs("nix-daemon")
    with world(places / "unused") as made:
        here = made_in(places / "here", open_package_set)
        first = realized(made, here, places / "first")
        there = made_in(places / "a-longer-way" / "to" / "there", open_package_set)
        second = realized(made, there, places / "second")

        # Somebody who owns nothing, with a copy of the folder whose files have other times and modes.
        theirs = places / "theirs"
        shutil.copytree(here, theirs, copy_function=shutil.copyfile)
        for directory, _, names in os.walk(theirs):
            for name in (directory, *(f"{directory}/{name}" for name in names)):
                os.chown(name, NOBODY, NOBODY)
                os.utime(name, (1e9, 1e9))
        third_place = places / "third"
        third_place.mkdir()
        os.chown(third_place, NOBODY, NOBODY)
        with daemon(places / "socket"):
            reached = {"NIX_REMOTE": "daemon", "NIX_DAEMON_SOCKET_PATH": str(places / "socket")}
            third = realized(made, theirs, third_place, ordinary, **reached)

    assert first.name == second.name == third.name
    contents = tree(first)
    assert len(contents) > 1000
    assert tree(second) == contents
    assert tree(third) == contents

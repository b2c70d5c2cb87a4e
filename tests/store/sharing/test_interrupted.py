"""Killed at any step, or out of room: what had arrived whole stays, and the same command goes on from there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from repx.agent.base.files import remove_tree
from repx.cli import main as cli
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from tests.machine import needs
from tests.runtime.world import World
from tests.store.sharing.neighbours import (
    RESULTS,
    Neighbours,
    a_pair_of_neighbours,
    contents,
    ok,
    the_first_world,
)

__all__ = ["a_pair_of_neighbours", "the_first_world"]

STEPS = frozenset(["open", "os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.chmod"])
"""What Python tells of itself (PEP 578) when something on a disk is about to change."""

KILLS = 12
"""How often each command is killed, at steps spread over all that it does."""


@pytest.mark.parametrize("command", ["push", "pull", "unpack"])
def test_killed_at_any_step_it_goes_on_from_there(neighbours: Neighbours, command: str) -> None:
    here, there = neighbours.here, neighbours.there
    ok(here.repx("pack", "-o", str(neighbours.root / "lab.tar"), "--results"))
    receiving = neighbours.root / "other"
    argv, user = {
        "push": (["push", str(receiving)], here),
        "pull": (["pull", str(here.store), "--store", str(receiving)], there),
        "unpack": (["unpack", str(neighbours.root / "lab.tar"), "--store", str(receiving)], there),
    }[command]
    total = kill_at(user, argv, receiving, None)
    wanted = sorted(contents(receiving).values())
    assert len(wanted) == RESULTS
    for step in range(1, total, max(1, total // KILLS)):
        remove_tree(str(receiving))
        (there.root / "result").unlink(missing_ok=True)
        kill_at(user, argv, receiving, step)
        for lab in [*receiving.glob("labs/*"), *receiving.glob("foreign/*")]:
            verify(LabDirectory(lab))
        found = contents(receiving, is_settled=False).values()
        assert set(found) <= set(wanted), "what has a record is whole"
        (there.root / "result").unlink(missing_ok=True)
        ok(user.repx(*argv))
        assert sorted(contents(receiving).values()) == wanted, f"killed at step {step} of {total}"
        left = sorted(path.name for path in (receiving / "tmp").iterdir())
        assert not left, f"what the dead have left is cleared up after, killed at step {step} of {total}"


def kill_at(user: World, argv: list[str], store: Path, step: int | None) -> int:
    """Run a command that is killed before its n-th change of something in a store; how many changes there were."""
    count = user.root / "count"
    pid = os.fork()
    if pid == 0:
        try:
            _run(user, argv, store, step, count)
        finally:
            os._exit(99)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == (0 if step is None else -signal.SIGKILL)
    return int(count.read_text()) if step is None else 0


def _run(user: World, argv: list[str], store: Path, step: int | None, count: Path) -> NoReturn:
    os.chdir(user.root)
    os.environ.setdefault("REPX_STORE", str(user.store))
    steps = 0

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal steps
        if event in STEPS and any(str(store) in str(one) for one in arguments[:2]):
            steps += 1
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hear)
    status = 0
    try:
        cli.main(argv)
    except SystemExit as ended:
        status = int(ended.code or 0)
    count.write_text(str(steps))
    os._exit(status)


@pytest.fixture(name="disk")
def a_small_disk(neighbours: Neighbours) -> Iterator[Path]:
    """An empty directory on a file system of its own, of 3 MiB."""
    needs(os.geteuid() == 0 and shutil.which("mount"), "only root may mount a file system")
    place = neighbours.root / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(place)], check=False)
    needs(mounted.returncode == 0, "mounting is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("command", ["push", "pull", "unpack", "pack", "export"])
def test_a_full_disk_loses_nothing_that_had_arrived(neighbours: Neighbours, disk: Path, command: str) -> None:
    here, there = neighbours.here, neighbours.there
    ok(here.repx("pack", "-o", str(neighbours.root / "lab.tar"), "--results"))
    store = disk / "store"
    argv, user = {
        "push": (["push", str(store)], here),
        "pull": (["pull", str(here.store), "--store", str(store)], there),
        "unpack": (["unpack", str(neighbours.root / "lab.tar"), "--store", str(store)], there),
        "pack": (["pack", "-o", str(disk / "lab.tar"), "--results"], here),
        "export": (["export", str(disk / "out")], here),
    }[command]
    refused = 0
    for room in (0, 8_000, 300_000, 700_000, 800_000):
        ballast = fill(disk, but=room)
        done = user.repx(*argv)
        if done.status:
            refused += 1
            assert (done.status, "Traceback" in done.stderr) == (2, False), done.stderr
            assert "No space left on device" in done.stderr, done.stderr
            assert not list(disk.glob("*.tmp"))
        ballast.unlink()
        assert not [path.name for path in store.glob("tmp/*")], done.stderr
        for lab in [*store.glob("labs/*"), *store.glob("foreign/*")]:
            verify(LabDirectory(lab))
        if store.is_dir():
            contents(store)
    assert refused, "there was too much room"
    ok(user.repx(*argv))
    if store.is_dir():
        assert sorted(contents(store).values()) == sorted(contents(here.store).values())
    assert not list(disk.rglob("*.tmp"))


def fill(disk: Path, *, but: int) -> Path:
    """A file that leaves `but` bytes free."""
    ballast = disk / "ballast"
    ballast.write_bytes(b"\0" * max(0, shutil.disk_usage(disk).free - but))
    return ballast

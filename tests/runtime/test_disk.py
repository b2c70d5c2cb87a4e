"""Full disks and stores that may not be written: a clear error, nothing half-written, the same command goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from tests.machine import needs
from tests.ordinary import OrdinaryUser
from tests.runtime.world import World, a_world, tree

__all__ = ["a_world"]


@pytest.fixture(name="small")
def a_small_disk(world: World) -> Iterator[World]:
    """The world's store on a file system of 3 MiB."""
    needs(os.geteuid() == 0 and shutil.which("mount"), "only root may mount a file system")
    world.store.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(world.store)], check=False)
    needs(mounted.returncode == 0, "mounting is not allowed here")
    try:
        yield world
    finally:
        world.tidy()
        subprocess.run(["umount", str(world.store)], check=True)


LARGE = """
@bash
def large(result: Output = out("r.txt"), *, n: int = 0):
    return 'echo "large $n" >> DIARY; head -c 400000 /dev/zero > "$result"'

@bash
def small(parts: Inputs, result: Output = out("r.txt")):
    return 'echo small >> DIARY; cat "${parts[@]}" | wc -c > "$result"'

def work():
    small(parts=[large(n=n).result for n in range(5)])

lab = Lab(runs=[Run("work", work)])
"""


def fill(disk: Path, *, but: int) -> Path:
    """A file that leaves `but` bytes free."""
    free = shutil.disk_usage(disk).free - but
    ballast = disk / "ballast"
    ballast.write_bytes(b"\0" * max(0, free))
    return ballast


@pytest.mark.parametrize("room", [0, 4096, 40_000, 1_000_000])
def test_a_disk_that_fills_up_during_a_run(small: World, room: int) -> None:
    small.realize(LARGE)
    ballast = fill(small.store, but=room)
    full = small.repx("run", "-j", "2")
    assert full.status in (1, 2), full.stderr
    assert "No space left on device" in full.stderr
    assert "Traceback" not in full.stderr
    assert small.processes() == {}
    finished = {entry for entry in small.entries() if entry.startswith("large")}
    ballast.unlink()
    done = small.run("-j", "2")
    assert done.status == 0, done.stderr
    assert small.output("small", "r.txt") == "2000000\n"
    # What had been finished before is kept; at most what ran when the disk was full ran in vain.
    assert done.answer["found"] >= len(finished) - 2
    assert list((small.store / "tmp").iterdir()) == []


@pytest.mark.parametrize("room", [0, 4096, 30_000])
def test_a_disk_that_is_full_when_a_lab_is_made(small: World, room: int) -> None:
    small.write(LARGE)
    ballast = fill(small.store, but=room)
    full = small.repx("run", "experiment.py")
    assert full.status == 2, full.stderr
    assert "No space left on device" in full.stderr
    assert "Traceback" not in full.stderr
    assert list((small.store / "labs").glob("*")) == []
    ballast.unlink()
    done = small.repx("run", "experiment.py")
    assert done.status == 0, done.stderr


@pytest.fixture(name="shared")
def a_world_others_may_see() -> Iterator[World]:
    """One that an ordinary user may look at, whatever the folder for temporary files lets others see."""
    root = Path(tempfile.mkdtemp(prefix="repx-shared-", dir="/tmp"))
    try:
        root.chmod(0o755)
        world = World(root)
        yield world
        world.tidy()
    finally:
        remove_tree(str(root))


def test_a_store_that_may_not_be_written(shared: World, ordinary: OrdinaryUser) -> None:
    shared.realize(LARGE)
    before = tree(shared.store)
    refused = shared.start_program(*ordinary.command("run", folder=shared.root)).end()
    assert refused.status == 2, refused.stderr
    assert "the store cannot be written: Permission denied" in refused.stderr
    assert "--store" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert tree(shared.store) == before
    assert shared.entries() == {}


def test_a_store_that_may_not_be_written_where_all_is_done(shared: World, ordinary: OrdinaryUser) -> None:
    shared.realize(LARGE)
    assert shared.run().status == 0
    before = tree(shared.store)
    done = shared.start_program(*ordinary.command("run", folder=shared.root)).end()
    assert done.status == 0, done.stderr
    assert "nothing to run" in done.stdout
    assert tree(shared.store) == before


def test_a_store_that_cannot_be_made(shared: World, ordinary: OrdinaryUser) -> None:
    shared.write(LARGE)
    words = ("realize", "experiment.py", "--store", str(shared.root / "new"))
    refused = shared.start_program(*ordinary.command(*words, folder=shared.root)).end()
    assert refused.status == 2, refused.stderr
    assert "Permission denied" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_disk_that_is_full_when_results_are_handed_over(small: World) -> None:
    """The runner itself writes the file that says what a run gave."""
    small.realize(
        """
@bash
def fills(result: Output = out("r.txt")):
    return 'echo > "$result"; df --output=avail -B1 . | tail -n 1 | xargs -I N head -c N /dev/zero > BALLAST || true'

@bash
def use(first: Results, result: Output = out("r.txt")):
    return 'wc -l < "$first" > "$result"'

first = Run("first", fills)
lab = Lab(runs=[first, Run("second", use, after=[first])])
""".replace("BALLAST", str(small.store / "ballast"))
    )
    full = small.repx("run")
    assert full.status in (1, 2), full.stdout
    assert "No space left on device" in full.stderr
    assert "Traceback" not in full.stderr
    (small.store / "ballast").unlink(missing_ok=True)


READ_ONLY = """
@bash
def done(result: Output = out("r.txt")):
    return 'echo said; echo > "$result"'

@bash
def fails(result: Output = out("r.txt")):
    return 'exit 1'

lab = Lab(runs=[Run("first", done), Run("second", fails)])
"""


@pytest.mark.parametrize("jobs", ["none", "done"])
def test_a_store_on_a_disk_that_is_read_only(small: World, jobs: str) -> None:
    """What only reads works; what has to write says so in one error."""
    small.realize(READ_ONLY)
    if jobs == "done":
        assert small.repx("run", "first").status == 0
        assert small.repx("run", "second").status == 1
    subprocess.run(["mount", "-o", "remount,ro", str(small.store)], check=True)
    for command in (
        ("status",), ("list",), ("list", "jobs"), ("show", "job", "done"), ("run", "--dry-run"),
    ):  # fmt: skip
        seen = small.repx(*command)
        assert (command, seen.status, "Traceback" in seen.stderr) == (command, 0, False), seen.stderr
    if jobs == "done":
        assert small.repx("log", "done").stdout == "said\n"
        assert small.repx("run", "first").status == 0
    for command in (("run", "second"), ("run",), ("run", "--force", "first")):
        refused = small.repx(*command)
        assert refused.status == 2, (command, refused.stderr)
        assert "Read-only file system" in refused.stderr, command
        assert refused.stderr.count("error:") == 1, refused.stderr
        assert "Traceback" not in refused.stderr
    small.write(READ_ONLY.replace("exit 1", "exit 2"))
    refused = small.repx("realize", "experiment.py")
    assert refused.status == 2
    assert "Read-only file system" in refused.stderr
    assert "Traceback" not in refused.stderr

"""Full disks and stores that may not be written: a clear error, nothing half-written, the same command goes on."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import repx
from tests.runtime.world import World, a_world, tree

__all__ = ["a_world"]


def needs(condition: object, reason: str) -> None:
    """Skip where something is missing; in CI that is a failure."""
    if not condition:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


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


def unprivileged(world: World, *argv: str) -> tuple[str, ...]:
    """The command line of `repx` as somebody who owns nothing."""
    setpriv = shutil.which("setpriv")
    needs(os.geteuid() == 0 and setpriv, "only root can become somebody else")
    home = str(Path(repx.__file__).parent.parent)
    code = f"import os, sys; os.chdir({str(world.root)!r}); sys.path.insert(0, {home!r}); "
    code += "from repx.cli.main import main; main()"
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code, *argv)


@pytest.fixture(name="shared")
def a_world_others_may_see(world: World) -> World:
    """One that an unprivileged user may look at."""
    for directory in (world.root, *world.root.parents[:3]):
        if directory.stat().st_uid == os.geteuid() and directory != Path("/tmp"):
            directory.chmod(stat.S_IMODE(directory.stat().st_mode) | 0o055)
    probe = world.start_program(*unprivileged(world, "--version")).end()
    needs(probe.status == 0, f"an unprivileged user cannot start repx here: {probe.stderr[-300:]}")
    return world


def test_a_store_that_may_not_be_written(shared: World) -> None:
    shared.realize(LARGE)
    before = tree(shared.store)
    refused = shared.start_program(*unprivileged(shared, "run")).end()
    assert refused.status == 2, refused.stderr
    assert "the store cannot be written: Permission denied" in refused.stderr
    assert "--store" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert tree(shared.store) == before
    assert shared.entries() == {}


def test_a_store_that_may_not_be_written_where_all_is_done(shared: World) -> None:
    shared.realize(LARGE)
    assert shared.run().status == 0
    before = tree(shared.store)
    done = shared.start_program(*unprivileged(shared, "run")).end()
    assert done.status == 0, done.stderr
    assert "nothing to run" in done.stdout
    assert tree(shared.store) == before


def test_a_store_that_cannot_be_made(shared: World) -> None:
    shared.write(LARGE)
    command = unprivileged(shared, "realize", "experiment.py", "--store", str(shared.root / "new"))
    refused = shared.start_program(*command).end()
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

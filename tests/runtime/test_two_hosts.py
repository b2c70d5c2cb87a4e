"""Two hosts on one store, of which one stands still for a while: nothing runs twice that lives, nothing is replaced."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

import repx
from repx.agent.base.files import remove_tree
from repx.agent.held import LEASE_S, read_claim
from tests.machine import needs, needs_programs
from tests.runtime.world import Command, World, a_world

__all__ = ["a_world"]

SLOW = """
@bash
def slow(result: Output = out("r.txt")):
    return 'echo slow >> DIARY; while [ ! -e GO ]; do sleep 0.02; done; echo "$PPID" > "$result"'

lab = Lab(runs=[Run("work", slow)])
"""


@pytest.fixture(name="two")
def two_hosts(world: World) -> World:
    """A Lab of one job that ends when there is a file `go`."""
    needs(os.geteuid() == 0, "only root may play another host")
    needs_programs("unshare")
    world.realize(SLOW.replace("GO", str(world.root / "go")))
    return world


def on_another_host(world: World, *argv: str) -> Command:
    """`repx` with pids, a name and a clock's start of its own: no process of this host can be asked after there."""
    home = str(Path(repx.__file__).parent.parent)
    code = f"import os, socket, sys; socket.sethostname('another'); os.chdir({str(world.root)!r}); "
    code += f"sys.path.insert(0, {home!r}); from repx.cli.main import main; main()"
    words = [str(shutil.which("unshare")), "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
    return world.start_program(*words, sys.executable, "-c", code, *argv)


def age(world: World, *places: str) -> None:
    """Let files look as if nobody had touched them for longer than a lease."""
    old = time.time() - LEASE_S - 1
    for place in places:
        for path in world.store.glob(place):
            os.utime(path, (old, old))


def job_of(world: World) -> Path:
    (directory,) = world.job_directories("slow")
    return directory


def test_a_stopped_runner_does_not_lose_what_its_workers_do(two: World) -> None:
    """As by Ctrl-Z: its workers go on, and it is they who beat."""
    first = two.start("run", "--json")
    two.wait_for_entry("slow")
    two.wait_until(lambda: (claim := read_claim(str(job_of(two)))) is not None and claim.claim.group)
    first.send(signal.SIGSTOP)
    age(two, "tmp/*/heartbeat")
    second = on_another_host(two, "run", "--json")
    # Long enough for it to look at the job, and to take it if it would.
    two.wait_until(lambda: len(list((two.store / "tmp").iterdir())) > 1)
    time.sleep(0.5)
    assert two.entries() == {"slow": 1}
    (two.root / "go").touch()
    done = second.end()
    assert (done.status, done.answer["found"]) == (0, 1), done.stderr
    first.send(signal.SIGCONT)
    assert first.end().status == 0
    assert two.entries() == {"slow": 1}


def test_a_host_that_stood_still_finds_what_another_has_done_meanwhile(two: World) -> None:
    first = two.start("run", "--json")
    two.wait_for_entry("slow")
    (worker,) = two.workers()
    first.send(signal.SIGSTOP)
    os.kill(worker, signal.SIGSTOP)
    age(two, "tmp/*/heartbeat", "tmp/*/slot-*/claim", "outputs/*/claim")
    second = on_another_host(two, "run", "--json")
    two.wait_until(lambda: two.entries() == {"slow": 2})
    (two.root / "go").touch()
    done = second.end()
    assert (done.status, done.answer["found"]) == (0, 0), done.stderr
    record = (job_of(two) / "record.jsonl").read_bytes()
    os.kill(worker, signal.SIGCONT)
    first.send(signal.SIGCONT)
    done = first.end()
    # Its files were taken for a dead runner's: it starts afresh, and finds what there is.
    assert (done.status, done.answer["found"]) == (0, 1), done.stderr
    assert (job_of(two) / "record.jsonl").read_bytes() == record
    assert two.entries() == {"slow": 2}
    assert sorted(path.name for path in job_of(two).iterdir()) == ["out", "record.jsonl"]


def test_a_runner_whose_files_were_removed_starts_afresh(world: World) -> None:
    world.realize(
        """
@bash
def one(result: Output = out("r.txt"), *, n: int = 0):
    return 'echo "one $n" >> DIARY; while [ ! -e GO ]; do sleep 0.02; done; echo > "$result"'

lab = Lab(runs=[Run("work", one, params={"n": [1, 2, 3]})])
""".replace("GO", str(world.root / "go"))
    )
    command = world.start("run", "--json", "-j", "1")
    world.wait_until(lambda: world.entries())
    for path in (world.store / "tmp").iterdir():
        remove_tree(str(path))
    for path in world.store.glob("outputs/*/claim"):
        path.unlink()
    (world.root / "go").touch()
    done = command.end()
    assert done.status == 0, (done.stdout, done.stderr)
    assert done.answer["succeeded"] == 3
    assert sum(world.entries().values()) == 4

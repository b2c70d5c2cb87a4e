"""Claims: one holder, alive while its process is or its heartbeat beats; the dead are taken over, their jobs ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repx.agent.claim import (
    LEASE_S,
    ClaimFile,
    is_alive,
    is_runner_alive,
    kill_group,
    parse_claim,
    read_claim,
    server_time,
    start_time,
    take_over,
    this_process,
    touch_heartbeat,
)

SLEEPER = "import time; time.sleep(300)"


class Place:
    """A job's directory and a store's tmp/."""

    def __init__(self, root: Path) -> None:
        self.job = root / "job"
        self.tmp = root / "tmp"
        self.job.mkdir()
        (self.tmp / "runner" / "slot-0").mkdir(parents=True)

    def claim_file(self, number: int = 0) -> ClaimFile:
        return ClaimFile(str(self.tmp / "runner" / f"slot-{number}-claim"), "runner", number)

    def write(self, **fields: Any) -> dict[str, Any]:
        """A claim as another process would have left it."""
        claim = {"claim": 1, "runner": "runner", "slot": 0, **this_process(), **fields}
        (self.job / "claim").write_text(json.dumps(claim))
        return claim

    def is_alive(self) -> bool:
        held = read_claim(str(self.job))
        assert held is not None
        return is_alive(held, str(self.job), str(self.tmp))

    def take_over(self) -> bool:
        return take_over(str(self.job), str(self.tmp))


@pytest.fixture(name="place")
def a_place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(name="sleeper")
def a_sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a group of its own."""
    process = subprocess.Popen([sys.executable, "-c", SLEEPER], process_group=0)
    yield process
    process.kill()
    process.wait()


def a_dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_one_has_it_and_gives_it_back(place: Place) -> None:
    first, second = place.claim_file(0), place.claim_file(1)
    assert first.take(str(place.job))
    assert not second.take(str(place.job))
    assert first.holds(str(place.job))
    assert not second.holds(str(place.job))
    assert place.is_alive()
    assert not place.take_over()
    first.release(str(place.job))
    first.release(str(place.job))
    assert read_claim(str(place.job)) is None
    assert second.take(str(place.job))


def test_a_claim_says_what_runs_now(place: Place) -> None:
    claim = place.claim_file()
    claim.take(str(place.job))
    claim.update("a job with a very long name " * 5, 12345)
    claim.update("j", 77)
    held = read_claim(str(place.job))
    assert held is not None
    assert (held["job"], held["group"]) == ("j", 77)
    assert parse_claim(None) is None
    assert parse_claim(b"{") == {}
    assert parse_claim(b"[]") == {}


def test_a_dead_process_is_dead(place: Place) -> None:
    place.write(pid=a_dead_pid(), start=1)
    assert not place.is_alive()
    assert place.take_over()
    assert read_claim(str(place.job)) is None
    assert place.take_over()


def test_a_zombie_is_dead(place: Place) -> None:
    process = subprocess.Popen(["true"])
    started = start_time(process.pid)
    deadline = time.monotonic() + 10
    while start_time(process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    place.write(pid=process.pid, start=started)
    assert not place.is_alive()
    process.wait()


def test_a_process_id_given_to_another_is_dead(place: Place, sleeper: subprocess.Popen[bytes]) -> None:
    place.write(pid=sleeper.pid, start=start_time(sleeper.pid))
    assert place.is_alive()
    place.write(pid=sleeper.pid, start=start_time(sleeper.pid) - 1)
    assert not place.is_alive()


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"boot": "another"}, {"pidns": 1}])
def test_elsewhere_the_heartbeat_decides(place: Place, elsewhere: dict[str, Any]) -> None:
    place.write(pid=os.getpid(), **elsewhere)
    touch_heartbeat(str(place.tmp / "runner"))
    assert place.is_alive()
    assert not place.take_over()
    old = time.time() - LEASE_S - 1
    os.utime(place.tmp / "runner" / "heartbeat", (old, old))
    assert not place.is_alive()
    touch_heartbeat(str(place.tmp / "runner"))
    assert place.is_alive()
    (place.tmp / "runner" / "heartbeat").unlink()
    # A claim just made may be ahead of its runner's first heartbeat.
    assert place.is_alive()
    os.utime(place.job / "claim", (old, old))
    assert not place.is_alive()
    assert place.take_over()


def test_a_claim_that_cannot_be_read_is_alive_for_a_lease(place: Place) -> None:
    (place.job / "claim").write_bytes(b"\0\0")
    assert place.is_alive()
    old = time.time() - LEASE_S - 1
    os.utime(place.job / "claim", (old, old))
    assert not place.is_alive()


def test_taking_over_kills_the_group(place: Place, sleeper: subprocess.Popen[bytes]) -> None:
    place.write(pid=a_dead_pid(), start=1, group=sleeper.pid, group_began=int(time.time()))
    assert place.take_over()
    assert sleeper.wait(10) == -signal.SIGKILL


def test_taking_over_spares_a_group_that_is_another_by_now(place: Place, sleeper: subprocess.Popen[bytes]) -> None:
    place.write(pid=a_dead_pid(), start=1, group=sleeper.pid, group_began=int(time.time()) - 3600)
    assert place.take_over()
    place.write(pid=a_dead_pid(), start=1, host="another", group=sleeper.pid, group_began=int(time.time()))
    place.take_over()
    for group in (0, 1, -1, os.getpgrp(), "x"):
        place.write(pid=a_dead_pid(), start=1, group=group, group_began=int(time.time()))
        assert place.take_over()
    time.sleep(0.1)
    assert sleeper.poll() is None


def test_taking_over_ends_what_left_its_group(place: Place) -> None:
    marked = subprocess.Popen(
        [sys.executable, "-c", SLEEPER], start_new_session=True, env={"TMPDIR": str(place.tmp / "runner/slot-0/tmp")}
    )
    other = subprocess.Popen([sys.executable, "-c", SLEEPER], env={"TMPDIR": str(place.tmp / "runner/slot-1/tmp")})
    try:
        place.write(pid=a_dead_pid(), start=1)
        assert place.take_over()
        assert marked.wait(10) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for process in (marked, other):
            process.kill()
            process.wait()


def test_a_runner_is_alive_while_its_process_is(place: Place) -> None:
    assert not is_runner_alive("runner", str(place.tmp))
    touch_heartbeat(str(place.tmp / "runner"))
    assert is_runner_alive("runner", str(place.tmp))
    heartbeat = place.tmp / "runner" / "heartbeat"
    says = json.loads(heartbeat.read_text())
    heartbeat.write_text(json.dumps({**says, "pid": a_dead_pid()}))
    assert not is_runner_alive("runner", str(place.tmp))
    heartbeat.write_text(json.dumps({**says, "host": "another"}))
    assert is_runner_alive("runner", str(place.tmp))


def test_a_group_gets_its_grace() -> None:
    code = "import signal, time; signal.signal(15, lambda *_: exit(3)); print(1, flush=True); time.sleep(300)"
    process = subprocess.Popen([sys.executable, "-c", code], process_group=0, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    # Reaped only afterwards: until then its group is still there, and the grace runs out.
    kill_group(process.pid, 0.3)
    assert process.wait(10) == 3
    kill_group(process.pid)
    process.stdout.close()


def test_the_clock_is_that_of_the_file_server(tmp_path: Path) -> None:
    assert abs(server_time(str(tmp_path)) - time.time()) < 5
    assert list(tmp_path.iterdir()) == []

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

from repx.agent.claim import ClaimFile, ScratchGoneError, remove_dead, take_over
from repx.agent.held import LEASE_S, Claim, is_alive, parse_claim, read_claim, server_time
from repx.agent.processes import Process, kill_group, start_time, this_process
from repx.agent.runner import is_runner_alive, touch_heartbeat
from tests.agent.mini_lab import RUNNER

SLEEPER = "import time; time.sleep(300)"


class Place:
    """A job's directory and a store's tmp/."""

    def __init__(self, root: Path) -> None:
        self.job = root / "job"
        self.tmp = root / "tmp"
        self.job.mkdir()
        (self.tmp / RUNNER / "slot-0").mkdir(parents=True)

    def claim_file(self, number: int = 0) -> ClaimFile:
        (self.tmp / RUNNER / f"slot-{number}").mkdir(exist_ok=True)
        return ClaimFile(str(self.tmp / RUNNER / f"slot-{number}" / "claim"), str(self.tmp), RUNNER, number)

    def write(self, group: Any = None, group_began: int = 0, **process: Any) -> Claim:
        """A claim as another process would have left it."""
        claim = Claim(RUNNER, 0, this_process()._replace(**process), group=group, group_began=group_began)
        (self.job / "claim").write_bytes(claim.encoded())
        return claim

    def is_alive(self) -> bool:
        held = read_claim(str(self.job))
        assert held is not None
        return is_alive(held, str(self.tmp))

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
    assert first.take(str(place.job)) == []
    assert second.take(str(place.job)) is None
    assert first.holds(str(place.job))
    assert not second.holds(str(place.job))
    assert place.is_alive()
    assert not place.take_over()
    first.release(str(place.job))
    first.release(str(place.job))
    assert read_claim(str(place.job)) is None
    assert second.take(str(place.job)) == []


def test_a_claim_says_what_runs_now(place: Place) -> None:
    claim = place.claim_file()
    claim.take(str(place.job))
    claim.update("a job with a very long name " * 5, 12345)
    claim.update("j", 77)
    held = read_claim(str(place.job))
    assert held is not None
    assert (held.claim.job, held.claim.group) == ("j", 77)


ENCODED = json.loads(Claim(RUNNER, 0, this_process(), "job", 77, 5, "/group").encoded())


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"\0\0", *(json.dumps({**ENCODED, name: {}}).encode() for name in ENCODED if name != "claim")],
)
def test_what_is_no_claim_is_nobodys(data: bytes) -> None:
    assert parse_claim(json.dumps(ENCODED).encode()).job == "job"
    assert parse_claim(data) == Claim()
    assert not parse_claim(data).process.is_here()


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


ELSEWHERE = [{"host": "another"}, {"boot": "another"}, {"pidns": 1}, {"timens": 1}]


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_elsewhere_its_own_heartbeat_decides(place: Place, elsewhere: dict[str, Any]) -> None:
    place.write(pid=os.getpid(), **elsewhere)
    assert place.is_alive()
    assert not place.take_over()
    old = time.time() - LEASE_S - 1
    os.utime(place.job / "claim", (old, old))
    # That its runner lives says nothing of the worker, nor the other way round.
    touch_heartbeat(str(place.tmp / RUNNER))
    assert not place.is_alive()
    assert place.take_over()
    assert read_claim(str(place.job)) is None


@pytest.mark.parametrize("is_link", [True, False])
def test_a_heartbeat_reaches_every_claim_of_its_slot(place: Place, is_link: bool) -> None:
    claim = place.claim_file()
    claim.take(str(place.job))
    if not is_link:
        # As where there are no hard links.
        data = (place.job / "claim").read_bytes()
        (place.job / "claim").unlink()
        (place.job / "claim").write_bytes(data)
    old = time.time() - LEASE_S - 1
    for path in (place.job / "claim", Path(claim.path)):
        os.utime(path, (old, old))
    held = read_claim(str(place.job))
    assert held is not None
    another = held._replace(claim=held.claim._replace(process=Process("another")))
    assert not is_alive(another, str(place.tmp))
    claim.touch()
    held = read_claim(str(place.job))
    assert held is not None
    assert is_alive(held._replace(claim=another.claim), str(place.tmp))


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
    for group in (0, 1, -1, os.getpgrp()):
        place.write(pid=a_dead_pid(), start=1, group=group, group_began=int(time.time()))
        assert place.take_over()
    time.sleep(0.1)
    assert sleeper.poll() is None


def test_taking_over_ends_what_left_its_group(place: Place) -> None:
    marked = subprocess.Popen(
        [sys.executable, "-c", SLEEPER], start_new_session=True, env={"TMPDIR": str(place.tmp / f"{RUNNER}/slot-0/tmp")}
    )
    other = subprocess.Popen([sys.executable, "-c", SLEEPER], env={"TMPDIR": str(place.tmp / f"{RUNNER}/slot-1/tmp")})
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
    directory = str(place.tmp / RUNNER)
    assert not is_runner_alive(directory, str(place.tmp))
    touch_heartbeat(str(place.tmp / RUNNER))
    assert is_runner_alive(directory, str(place.tmp))
    heartbeat = place.tmp / RUNNER / "heartbeat"
    says = json.loads(heartbeat.read_text())
    heartbeat.write_text(json.dumps({**says, "pid": a_dead_pid()}))
    assert not is_runner_alive(directory, str(place.tmp))
    heartbeat.write_text(json.dumps({**says, "host": "another"}))
    assert is_runner_alive(directory, str(place.tmp))


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


def test_a_claim_that_was_moved_aside_by_mistake_is_still_one(place: Place) -> None:
    """As a rescuer leaves it who was killed after its rename, or while somebody else was at the name."""
    first, second = place.claim_file(0), place.claim_file(1)
    job = str(place.job)
    assert first.take(job) == []
    (place.job / "claim").rename(place.job / "claim.dead-x")
    # Whoever comes now gives way, since the worker lives.
    held = read_claim(job)
    assert held is None
    assert first.holds(job)
    assert sorted(path.name for path in place.job.iterdir()) == ["claim"]
    (place.job / "claim").rename(place.job / "claim.dead-x")
    assert first.take(job) == []
    assert second.take(job) is None
    assert first.holds(job)


def test_who_finds_a_living_claim_moved_aside_gives_way(place: Place) -> None:
    living = place.write(pid=os.getpid())
    (place.job / "claim").rename(place.job / "claim.dead-x")
    assert living.runner == RUNNER
    # It has the slot of another worker, of this same process.
    other = ClaimFile(str(place.tmp / "other"), str(place.tmp), "other", 1)
    assert other.take(str(place.job)) is None
    assert sorted(path.name for path in place.job.iterdir()) == ["claim.dead-x"]
    (place.job / "claim.dead-x").write_bytes(living._replace(process=Process(pid=1)).encoded())
    old = time.time() - LEASE_S - 1
    os.utime(place.job / "claim.dead-x", (old, old))
    assert other.take(str(place.job)) == []
    assert sorted(path.name for path in place.job.iterdir()) == ["claim"]


@pytest.mark.parametrize("moment", ["before it looks again", "just before it moves the claim"])
def test_a_living_claim_is_put_back_by_who_took_it_for_the_dead_one(place: Place, moment: str) -> None:
    """A rescuer has looked, and somebody else has taken the job before it acts."""
    place.write(pid=a_dead_pid(), start=1)
    job = str(place.job)
    dead = read_claim(job)
    assert dead is not None
    claim = place.claim_file()
    pid = os.fork()
    if pid == 0:
        has_exchanged = False

        def exchange(event: str, _: object) -> None:
            nonlocal has_exchanged
            if event == "os.rename" and not has_exchanged:
                has_exchanged = True
                (place.job / "claim").unlink()
                os._exit(1) if claim.take(job) is None else None

        if moment == "before it looks again":
            (place.job / "claim").unlink()
            claim.take(job)
        else:
            sys.addaudithook(exchange)
        os._exit(2 if remove_dead(job, dead) else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert sorted(path.name for path in place.job.iterdir()) == ["claim"]
    assert claim.holds(job)


RESCUER = """
import os, sys, time
from repx.agent.claim import ClaimFile, take_over
jobs, tmp, number, until = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
os.makedirs(f"{tmp}/r{number}/slot-0")
claim = ClaimFile(f"{tmp}/r{number}/slot-0/claim", tmp, f"r{number}", 0)
waiting = [f"{jobs}/{job}" for job in sorted(os.listdir(jobs))]
while time.time() < until:
    pass
while waiting:
    for job in list(waiting):
        kept = claim.take(job)
        if kept is None and take_over(job, tmp):
            kept = claim.take(job)
        if kept is None:
            continue
        # Whoever has it is alone with it: a second one would find the file.
        os.close(os.open(job + "/at-work", os.O_CREAT | os.O_EXCL))
        time.sleep(0.0005)
        if not claim.holds(job):
            sys.exit(f"{job}: a living worker has lost its claim")
        os.unlink(job + "/at-work")
        claim.release(job)
        waiting.remove(job)
print("had all")
"""


def test_of_many_rescuers_at_once_exactly_one_has_a_job(tmp_path: Path) -> None:
    jobs, tmp = tmp_path / "jobs", tmp_path / "tmp"
    tmp.mkdir()
    dead = Claim("dead", 0, this_process()._replace(pid=a_dead_pid(), start=1))
    for number in range(40):
        (jobs / f"{number:03}").mkdir(parents=True)
        (jobs / f"{number:03}" / "claim").write_bytes(dead.encoded())
    home = str(Path(__file__).parents[2])
    until = str(time.time() + 1.5)
    rescuers = [
        subprocess.Popen(
            [sys.executable, "-c", RESCUER, str(jobs), str(tmp), str(number), until],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": home},
        )
        for number in range(8)
    ]  # fmt: skip
    answers = [rescuer.communicate(timeout=60) for rescuer in rescuers]
    assert answers == [("had all\n", "")] * len(rescuers)
    assert [path for job in jobs.iterdir() for path in job.iterdir()] == []


def test_a_worker_whose_files_are_gone_knows_it(place: Place) -> None:
    claim = place.claim_file()
    Path(claim.path).unlink()
    with pytest.raises(ScratchGoneError):
        claim.take(str(place.job))
    with pytest.raises(FileNotFoundError):
        place.claim_file(1).take(str(place.job / "none"))


def test_a_pause_is_noticed_once_whoever_touches_first(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set is the time that clocks show: no test waits for half a minute."""
    claim = place.claim_file()
    assert not claim.is_in_doubt()
    paused = time.time() + LEASE_S
    monkeypatch.setattr("repx.agent.claim.time.time", lambda: paused)
    assert (claim.is_in_doubt(), claim.is_in_doubt()) == (True, False)
    monkeypatch.setattr("repx.agent.claim.time.time", lambda: paused + LEASE_S)
    # The heartbeat's thread may come first.
    claim.touch()
    assert (claim.is_in_doubt(), claim.is_in_doubt()) == (True, False)

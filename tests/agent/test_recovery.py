"""What the dead leave: kept if it is whole, ended if it runs, removed when it is nobody's; once for all of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.found import find_realization
from repx.agent.base.layout import Store
from repx.agent.base.record import Attempt, Outcome, OutputRecord, encode_record
from repx.agent.base.state import State
from repx.agent.cgroup import own_groups
from repx.agent.claim import ClaimFile, end_processes_of
from repx.agent.held import Claim
from repx.agent.makers import maker_name
from repx.agent.processes import Process, boot_id, children_of, start_time, this_process
from repx.agent.recovery import ABANDONED_S, recover_dead_runners
from repx.agent.runner import make_runner_directory
from repx.agent.worker_cgroup import can_enter_cgroup
from tests.agent.mini_lab import RUNNER
from tests.agent.test_worker import Conversation
from tests.machine import needs

KEY = "k" * 32


@pytest.fixture(name="store")
def a_store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path))
    store.create()
    return store


def a_dead_process() -> Process:
    process = subprocess.Popen(["true"])
    process.wait()
    return this_process()._replace(pid=process.pid, start=1)


def a_dead_slot(store: Store, runner: str, number: int) -> ClaimFile:
    """A slot of a runner that was killed, with the claim file of its worker."""
    directory = make_runner_directory(store, runner)
    (Path(directory) / "heartbeat").write_text("{}")
    os.utime(Path(directory) / "heartbeat", (1, 1))
    place = Path(directory) / f"slot-{number}"
    place.mkdir()
    claim = ClaimFile(str(place / "claim"), store.tmp, runner, number)
    os.pwrite(os.open(place / "claim", os.O_WRONLY), Claim(runner, number, a_dead_process()).encoded().ljust(1024), 0)
    return claim


def a_job(store: Store, number: int, claim: ClaimFile, *, is_pending: bool) -> Path:
    """A job's directory as a worker leaves it that was killed over it, or before it could commit it."""
    job = f"{number:032}-job-1"
    directory = Path(store.job(job))
    directory.mkdir()
    assert claim.take(str(directory)) == []
    if is_pending:
        (directory / "out").mkdir()
        (directory / "out/r").write_text(job)
        outcome = Outcome(job, "s", "1", 0, KEY, State.SUCCEEDED, "lab", {}, {"r": OutputRecord("r", "d", 1)})
        (directory / "pending").write_bytes(encode_record(outcome, [Attempt(boot=boot_id())]))
    return directory


def test_the_outputs_are_walked_once_for_all_dead_slots(store: Store) -> None:
    jobs = []
    for number in range(12):
        claim = a_dead_slot(store, "dead", number)
        jobs += [a_job(store, 3 * number + one, claim, is_pending=one < 2) for one in range(3)]
    walks = 0

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal walks
        walks += event == "os.scandir" and arguments[0] == store.outputs

    pid = os.fork()
    if pid == 0:
        sys.addaudithook(hear)
        recover_dead_runners(store)
        os._exit(walks)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    for place, job in enumerate(jobs):
        left = sorted(path.name for path in job.iterdir())
        assert left == ([] if place % 3 == 2 else ["out", "record.jsonl"]), job
        assert (find_realization(str(job), 0, KEY) is None) is (place % 3 == 2)
    assert list(Path(store.tmp).iterdir()) == []


def test_a_claim_that_its_rescuer_was_killed_over_is_recovered_by_whoever_takes_the_job(store: Store) -> None:
    job = a_job(store, 1, a_dead_slot(store, "dead", 0), is_pending=False)
    (job / "claim").rename(job / "claim.dead-x")
    recover_dead_runners(store)
    claim = ClaimFile(store.tmp + "/claim", store.tmp, "me", 0)
    assert claim.take(str(job)) == []
    assert sorted(path.name for path in job.iterdir()) == ["claim"]


def test_what_names_a_dead_maker_goes_at_once_and_what_names_none_after_a_day(store: Store) -> None:
    tmp = Path(store.tmp)
    mine = maker_name("lab")
    fields = mine.split(",")
    gone, elsewhere = list(fields), list(fields)
    gone[4:6] = [str(a_dead_process().pid), "1"]
    elsewhere[1] = "another-host"
    names = {"mine": mine, "gone": ",".join(gone), "elsewhere": ",".join(elsewhere), "nobody's": "half-a-lab"}
    for name in names.values():
        (tmp / name).mkdir()
        (tmp / name / "file").touch()
    recover_dead_runners(store)
    assert {what for what, name in names.items() if (tmp / name).exists()} == {"mine", "elsewhere", "nobody's"}
    for name in names.values():
        if (tmp / name).exists():
            os.utime(tmp / name, (time.time() - ABANDONED_S - 60,) * 2)
    recover_dead_runners(store)
    assert not (tmp / names["elsewhere"]).exists()
    assert not (tmp / names["nobody's"]).exists()


def test_half_written_files_are_cleared_once_a_day_when_they_are_a_day_old(store: Store) -> None:
    old = time.time() - ABANDONED_S - 60
    litter = [Path(place) / "x.0a1b.tmp" for place in (store.objects, store.verified, store.keys)]
    for path in litter:
        path.touch()
        os.utime(path, (old, old))
    young = Path(store.objects) / "y.0a1b.tmp"
    young.touch()
    recover_dead_runners(store)
    assert [path for path in litter if path.exists()] == []
    assert young.exists()
    litter[0].touch()
    os.utime(litter[0], (old, old))
    recover_dead_runners(store)
    assert litter[0].exists()
    os.utime(Path(store.verified) / "swept", (old, old))
    recover_dead_runners(store)
    assert not litter[0].exists()


def test_another_users_runner_is_left_alone(store: Store) -> None:
    needs(os.geteuid() == 0, "only root can be two users")
    directory = make_runner_directory(store, "theirs")
    assert Path(directory).stat().st_mode & 0o077 == 0
    (Path(directory) / "slot-0").mkdir()
    for path in (*Path(store.root).parents, Path(store.root), Path(store.tmp)):
        if path.stat().st_uid == 0 and path not in (Path("/"), Path("/tmp")):
            path.chmod(0o777)
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            recover_dead_runners(store)
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (Path(directory) / "slot-0").is_dir()


HIDES = """
import os, subprocess, sys, time
# A session of its own, no environment, its parent gone: nothing that it could shed says whose it is.
code = "import os, sys, time; os.setsid(); os.fork() and os._exit(0); open(sys.argv[1], 'w').write(str(os.getpid())); "
subprocess.Popen([sys.executable, "-S", "-c", code + "time.sleep(300)", sys.argv[1] + ".tmp"], env={}).wait()
while not os.path.exists(sys.argv[1] + ".tmp") or not os.path.getsize(sys.argv[1] + ".tmp"):
    time.sleep(0.01)
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
"""


@pytest.fixture(name="hiding")
def a_script_that_hides(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A command of which a process stays that has shed all marks, and the file that tells its id."""
    script, told = tmp_path / "hides.py", tmp_path / "hidden"
    script.write_text(HIDES)
    yield f"{sys.executable} {script} {told} && touch {tmp_path}/hides && sleep 300", told
    if told.exists() and start_time(int(told.read_text())):
        os.kill(int(told.read_text()), 9)


def is_alive(told: Path) -> bool:
    return start_time(int(told.read_text())) != 0


def wait_until_gone(told: Path) -> None:
    deadline = time.monotonic() + 20
    while is_alive(told):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.01)


def test_what_hides_from_a_killed_worker_is_found_by_its_control_group(
    hiding: tuple[str, Path], tmp_path: Path
) -> None:
    needs(can_enter_cgroup(), "no control group can be made here")
    command, told = hiding
    worker = Conversation(tmp_path, sys.executable)
    try:
        worker.order(command)
        worker.wait_for("hides")
        worker.kill()
        assert is_alive(told)
        # Its runner is dead as well: nobody is there but the next one.
        heartbeat = Path(worker.store.tmp) / f"{RUNNER}/heartbeat"
        heartbeat.write_text("{}")
        os.utime(heartbeat, (1, 1))
        recover_dead_runners(worker.store)
        assert not is_alive(told)
    finally:
        worker.clean()


def test_what_hides_from_a_killed_worker_is_ended_by_its_supervisor(hiding: tuple[str, Path], tmp_path: Path) -> None:
    command, told = hiding
    worker = Conversation(tmp_path, sys.executable, has_cgroup=False)
    try:
        worker.order(command)
        worker.wait_for("hides")
        (child,) = children_of(worker.process.pid)
        os.kill(child, 9)
        assert worker.process.wait(30) == 128 + 9
        wait_until_gone(told)
    finally:
        worker.clean()


@pytest.mark.parametrize("by", ["its supervisor's end", "a signal to its supervisor"])
def test_a_worker_ends_its_job_with_its_supervisor(hiding: tuple[str, Path], tmp_path: Path, by: str) -> None:
    command, told = hiding
    worker = Conversation(tmp_path, sys.executable, has_cgroup=False)
    try:
        worker.order(command)
        worker.wait_for("hides")
        os.kill(worker.process.pid, 9 if by == "its supervisor's end" else 15)
        assert worker.hear().state is State.CANCELLED
        wait_until_gone(told)
    finally:
        worker.clean()


def test_a_claim_cannot_have_another_group_killed(tmp_path: Path) -> None:
    needs(can_enter_cgroup(), "no control group can be made here")
    group = Path(own_groups()[0]) / f"repx-worker-{os.getpid()}"
    group.mkdir()
    sleeper = subprocess.Popen(["sleep", "300"])
    try:
        (group / "cgroup.procs").write_text(str(sleeper.pid))
        end_processes_of([Claim(RUNNER, 0, this_process(), cgroup=str(group))])
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()
        group.rmdir()

"""Publishing, step by step: killed before any of them, a result is complete, pending or not there; nothing is lost."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repx.agent.base.digest import plain_file_digest
from repx.agent.base.files import remove_tree, sync_filesystem
from repx.agent.base.found import find_realization
from repx.agent.base.layout import Store
from repx.agent.base.record import Attempt, LogFile, Outcome, OutputRecord, encode_record
from repx.agent.base.state import State
from repx.agent.claim import ClaimFile
from repx.agent.processes import boot_id
from repx.agent.publish import (
    Batch,
    commit_pending,
    displace,
    make_current,
    publish_failure,
    publish_success,
    recover_pending,
)

A, B = "a" * 32, "b" * 32
JOB = "0" * 32 + "-job-1"


class Jobs:
    """A store with one job's directory."""

    def __init__(self, root: Path) -> None:
        self.store = Store(str(root / "store"))
        self.store.create()
        self.job = Path(self.store.job(JOB))
        self.job.mkdir()
        self._made = root / "made"
        self.claim = ClaimFile(str(root / "claim"), self.store.tmp, "runner", 0)

    def make(self, text: str) -> str:
        """An `out` that a script has filled and that has been looked at: its files are read-only."""
        self._made.mkdir()
        (self._made / "r").write_text(text)
        (self._made / "r").chmod(0o444)
        return str(self._made)

    def record(
        self, key: str, text: str, index: int = 0, boot: str | None = None, *, is_true: bool = False, **attempt: Any
    ) -> bytes:
        """A record that says what its output holds; with `is_true` with the digest that this has."""
        digest = plain_file_digest(hashlib.sha256(text.encode()).hexdigest()) if is_true else text
        outputs = {"r": OutputRecord("r", digest, len(text))}
        outcome = Outcome(JOB, "s", "1", index, key, State.SUCCEEDED, "lab", {}, outputs)
        return encode_record(outcome, [Attempt(boot=boot_id() if boot is None else boot, **attempt)])

    def publish(self, key: str, text: str, index: int = 0, **attempt: Any) -> str:
        record = self.record(key, text, index, **attempt)
        return publish_success(str(self.job), index, key, self.make(text), record, self.store.tmp)

    def complete(self, key: str, text: str, index: int = 0, **attempt: Any) -> None:
        commit_pending(self.store, self.publish(key, text, index, **attempt), key)

    def found(self, key: str, index: int = 0) -> str | None:
        """What the complete result under a key says; its record must agree."""
        found = find_realization(str(self.job), index, key)
        if found is None:
            return None
        text = (Path(found[0]) / "out" / "r").read_text()
        assert found[1].outputs["r"].digest == text
        return text


@pytest.fixture(name="jobs")
def some_jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


def test_a_result_is_pending_until_it_is_committed(jobs: Jobs) -> None:
    directory = jobs.publish(A, "one")
    assert jobs.found(A) is None
    assert (jobs.job / "pending").is_file()
    commit_pending(jobs.store, directory, A)
    assert jobs.found(A) == "one"
    assert Path(jobs.store.key(A)).samefile(jobs.job / "record.jsonl")
    assert not (jobs.job / "pending").exists()
    assert (jobs.job / "out").stat().st_mode & 0o222 == 0


def test_a_further_realization_stands_by_itself(jobs: Jobs) -> None:
    jobs.complete(A, "zero")
    jobs.complete(B, "two", index=2)
    assert (jobs.job / f"2-{B[:8]}" / "out" / "r").read_text() == "two"
    assert (jobs.found(A), jobs.found(B, 2), jobs.found(B)) == ("zero", "two", None)


def test_a_pending_result_is_recovered(jobs: Jobs) -> None:
    jobs.publish(A, "one")
    outcome = recover_pending(jobs.store, str(jobs.job))
    assert outcome is not None
    assert jobs.found(A) == "one"
    assert recover_pending(jobs.store, str(jobs.job)) is None


@pytest.mark.parametrize("boot", ["another", ""])
def test_a_pending_result_of_another_boot_is_recovered_if_its_outputs_are_what_they_should_be(
    jobs: Jobs, boot: str
) -> None:
    """Its bytes may never have reached the disk; those that did are as good as they were."""
    record = jobs.record(A, "one", boot=boot, is_true=True)
    publish_success(str(jobs.job), 0, A, jobs.make("one"), record, jobs.store.tmp)
    for damaged in ("", "on\0", "one more"):
        (jobs.job / "out/r").write_text(damaged)
        assert recover_pending(jobs.store, str(jobs.job)) is None
    (jobs.job / "out/r").write_text("one")
    assert recover_pending(jobs.store, str(jobs.job)) is not None
    assert find_realization(str(jobs.job), 0, A) is not None


def test_a_pending_record_cut_off_anywhere_is_none(jobs: Jobs) -> None:
    jobs.publish(A, "one")
    pending = jobs.job / "pending"
    whole = pending.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        pending.write_bytes(whole[:length])
        assert recover_pending(jobs.store, str(jobs.job)) is None
    pending.write_bytes(whole)
    (jobs.job / "out" / "r").unlink()
    assert recover_pending(jobs.store, str(jobs.job)) is None


def test_killed_between_the_steps_of_a_commit(jobs: Jobs) -> None:
    jobs.publish(A, "one")
    os.link(jobs.job / "pending", jobs.job / "record.jsonl")
    assert jobs.found(A) == "one"
    assert recover_pending(jobs.store, str(jobs.job)) is not None
    assert not (jobs.job / "pending").exists()
    assert jobs.found(A) == "one"


def test_killed_before_the_pending_record(jobs: Jobs) -> None:
    Path(jobs.make("lost")).rename(jobs.job / "out")
    assert jobs.found(A) is None
    assert recover_pending(jobs.store, str(jobs.job)) is None
    jobs.complete(A, "again")
    assert jobs.found(A) == "again"


def test_another_key_displaces_and_comes_back(jobs: Jobs) -> None:
    (jobs.job / "stdout-1.log").write_text("long")
    jobs.complete(A, "one", stdout=LogFile("stdout-1.log"))
    jobs.complete(B, "two")
    assert (jobs.found(A), jobs.found(B)) == ("one", "two")
    assert (jobs.job / "out" / "r").read_text() == "two"
    assert (jobs.job / f"0-{A[:8]}" / "stdout-1.log").read_text() == "long"
    assert make_current(jobs.store, str(jobs.job), 0, A, jobs.claim)
    assert (jobs.job / "out" / "r").read_text() == "one"
    assert (jobs.job / "stdout-1.log").read_text() == "long"
    assert (jobs.found(A), jobs.found(B)) == ("one", "two")
    assert make_current(jobs.store, str(jobs.job), 0, B, jobs.claim)
    assert (jobs.found(A), jobs.found(B)) == ("one", "two")
    assert sorted(path.name for path in jobs.job.iterdir()) == [f"0-{A[:8]}", "out", "record.jsonl"]


def test_nothing_is_moved_under_somebodys_hands(jobs: Jobs) -> None:
    jobs.complete(A, "one")
    jobs.complete(B, "two")
    claim = ClaimFile(jobs.store.tmp + "/claim", jobs.store.tmp, "another", 0)
    claim.take(str(jobs.job))
    assert not make_current(jobs.store, str(jobs.job), 0, A, jobs.claim)
    assert jobs.found(A) == "one"


def test_a_complete_result_is_replaced_by_one_of_the_same_key_only_if_that_is_asked_for(jobs: Jobs) -> None:
    jobs.complete(A, "one")
    made, record = jobs.make("two"), jobs.record(A, "two")
    assert publish_success(str(jobs.job), 0, A, made, record, jobs.store.tmp) == str(jobs.job)
    assert (jobs.found(A), (jobs.job / "pending").exists()) == ("one", False)
    publish_success(str(jobs.job), 0, A, made, record, jobs.store.tmp, replace=True)
    commit_pending(jobs.store, str(jobs.job), A)
    assert jobs.found(A) == "two"
    assert sorted(path.name for path in jobs.job.iterdir()) == ["out", "record.jsonl"]


def test_a_record_without_outputs_does_not_speak_for_new_ones(jobs: Jobs) -> None:
    jobs.complete(A, "one")
    (jobs.job / "out" / "r").unlink()
    (jobs.job / "out").rmdir()
    jobs.complete(A, "two")
    assert jobs.found(A) == "two"


def test_a_stale_pending_record_does_not_speak_for_new_outputs(jobs: Jobs) -> None:
    jobs.complete(A, "one")
    os.link(jobs.job / "record.jsonl", jobs.job / "pending")
    directory = jobs.publish(B, "two")
    # Writing the new pending record in place would have changed the old record, which was the same file.
    assert jobs.found(A) == "one"
    commit_pending(jobs.store, directory, B)
    assert (jobs.found(A), jobs.found(B)) == ("one", "two")


CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "open"}
"""Audit events of the interpreter that come just before the file system is changed."""


def killed_before(step: int, work: Callable[[], object]) -> bool:
    """Do something in a process of its own that is killed before its n-th change of the file system."""
    pid = os.fork()
    if pid == 0:
        left = step

        def count(event: str, _: object) -> None:
            nonlocal left
            if event in CHANGES:
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        sys.addaudithook(count)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_kill_at_any_step_of_displacing_loses_nothing(tmp_path: Path) -> None:
    step = 0
    killed = True
    while killed:
        root = tmp_path / str(step)
        root.mkdir()
        jobs = Jobs(root)
        jobs.complete(A, "one")
        made = Path(jobs.make("two"))

        def work(jobs: Jobs = jobs, made: Path = made) -> None:
            record = jobs.record(B, "two")
            directory = publish_success(str(jobs.job), 0, B, str(made), record, jobs.store.tmp)
            commit_pending(jobs.store, directory, B)
            make_current(jobs.store, str(jobs.job), 0, A, jobs.claim)

        killed = killed_before(step, work)
        assert jobs.found(A) == "one", step
        recover_pending(jobs.store, str(jobs.job))
        # Whatever was left, the same work goes on from there.
        if jobs.found(B) is None:
            remove_tree(str(made))
            jobs.complete(B, "two")
        assert (jobs.found(A), jobs.found(B)) == ("one", "two"), step
        for key, text in ((A, "one"), (B, "two"), (A, "one")):
            make_current(jobs.store, str(jobs.job), 0, key, jobs.claim)
            assert jobs.found(key) == text, step
        step += 1
    assert step > 15


def test_a_failure_replaces_the_one_before_and_a_success_ends_it(jobs: Jobs) -> None:
    for text in ("bad", "worse"):
        publish_failure(str(jobs.job), jobs.make(text), text.encode())
        assert (jobs.job / "failed" / "r").read_text() == text
        assert (jobs.job / "failure.jsonl").read_text() == text
    publish_failure(str(jobs.job), str(jobs.job / "nothing"), b"even $out was gone")
    assert not (jobs.job / "failed").exists()
    jobs.complete(A, "good")
    assert sorted(path.name for path in jobs.job.iterdir()) == ["out", "record.jsonl"]


def test_killed_at_any_step_of_a_commit_after_a_failure_leaves_nothing_of_the_failure(tmp_path: Path) -> None:
    step = 0
    killed = True
    while killed:
        root = tmp_path / str(step)
        root.mkdir()
        jobs = Jobs(root)
        publish_failure(str(jobs.job), jobs.make("bad"), jobs.record(A, "bad"))
        directory = jobs.publish(A, "good")

        def work(jobs: Jobs = jobs, directory: str = directory) -> None:
            commit_pending(jobs.store, directory, A)

        killed = killed_before(step, work)
        recover_pending(jobs.store, str(jobs.job))
        assert jobs.found(A) == "good", step
        assert sorted(path.name for path in jobs.job.iterdir()) == ["out", "record.jsonl"], step
        step += 1
    assert step > 5


def test_a_batch_commits_all_and_gives_all_back(jobs: Jobs) -> None:
    batch = Batch(jobs.store, jobs.claim)
    places = [jobs.job, jobs.job / f"1-{A[:8]}", jobs.job / f"2-{A[:8]}"]
    for index, place in enumerate(places):
        place.mkdir(exist_ok=True)
        assert jobs.claim.take(str(place)) is not None
        batch.add(str(place), jobs.publish(A, str(index), index), A, after_failure=False)
    # One of them is removed by somebody meanwhile: that is told, and the others do not suffer.
    (places[1] / "pending").unlink()
    assert batch.commit() == [str(places[1])]
    assert len(batch) == 0
    assert not [place for place in places if (place / "claim").exists()]
    assert [jobs.found(A, index) for index in range(3)] == ["0", None, "2"]


def test_records_are_flushed_too_when_nothing_more_will_come(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    is_recorded: list[bool] = []

    def flush(path: str) -> None:
        is_recorded.append((jobs.job / "record.jsonl").exists())
        sync_filesystem(path)

    monkeypatch.setattr("repx.agent.publish.sync_filesystem", flush)
    batch = Batch(jobs.store, jobs.claim)
    batch.flush_records()
    jobs.claim.take(str(jobs.job))
    batch.add(str(jobs.job), jobs.publish(A, "one"), A, after_failure=False)
    batch.commit()
    batch.flush_records()
    batch.flush_records()
    assert is_recorded == [False, True]


MOVER = """
import os, sys, time
from repx.agent.claim import ClaimFile
from repx.agent.base.layout import Store
from repx.agent.publish import make_current
root, number, keys = sys.argv[1], sys.argv[2], sys.argv[3:]
store = Store(root)
os.makedirs(f"{store.tmp}/{number}/slot-0")
claim = ClaimFile(f"{store.tmp}/{number}/slot-0/claim", store.tmp, number, 0)
moved = 0
end = time.monotonic() + 1
while time.monotonic() < end:
    moved += make_current(store, store.job("0" * 32 + "-job-1"), 0, keys[moved % 2], claim)
print(moved)
"""


def test_many_who_move_results_at_once_lose_none(jobs: Jobs) -> None:
    jobs.complete(A, "one")
    jobs.complete(B, "two")
    home = str(Path(__file__).parents[2])
    movers = [
        subprocess.Popen(
            [sys.executable, "-c", MOVER, jobs.store.root, str(number), A, B],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": home},
        )
        for number in range(4)
    ]  # fmt: skip
    answers = [mover.communicate(timeout=60) for mover in movers]
    assert [errors for _, errors in answers] == [""] * len(movers)
    assert sum(int(moved) for moved, _ in answers) > len(movers)
    assert (jobs.found(A), jobs.found(B)) == ("one", "two")
    aside = (B if (jobs.job / "out/r").read_text() == "one" else A)[:8]
    assert sorted(path.name for path in jobs.job.iterdir()) == [f"0-{aside}", "out", "record.jsonl"]


@pytest.mark.parametrize("other", ["at work", "ended", "complete"])
def test_a_job_that_somebody_has_taken_is_not_committed(jobs: Jobs, other: str) -> None:
    batch = Batch(jobs.store, jobs.claim)
    jobs.claim.take(str(jobs.job))
    batch.add(str(jobs.job), jobs.publish(A, "mine"), A, after_failure=False)
    # This machine stood still; somebody has taken the job, and found that what is pending is not whole.
    (jobs.job / "claim").unlink()
    another = ClaimFile(jobs.store.tmp + "/claim", jobs.store.tmp, "another", 0)
    another.take(str(jobs.job))
    displace(str(jobs.job), str(jobs.job), A, jobs.store.tmp)
    if other != "at work":
        jobs.publish(A, "theirs")
    if other == "complete":
        commit_pending(jobs.store, str(jobs.job), A)
        another.release(str(jobs.job))
    before = sorted(path.name for path in jobs.job.iterdir())
    assert batch.commit() == ([] if other == "complete" else [str(jobs.job)])
    assert sorted(path.name for path in jobs.job.iterdir()) == before
    assert jobs.found(A) == ("theirs" if other == "complete" else None)


def test_displacing_what_is_not_whole_throws_it_away(jobs: Jobs) -> None:
    (jobs.job / "out").mkdir()
    displace(str(jobs.job), str(jobs.job), A, jobs.store.tmp)
    assert list(jobs.job.iterdir()) == []
    assert list(Path(jobs.store.tmp).iterdir()) == []

"""A worker driven through its pipes, as a runner does it, under every Python that agents must work with."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import repx
from repx.agent.base.layout import Store
from repx.agent.base.record import Attempt, decode_attempts, decode_outcome, read_attempts, read_outcome
from repx.agent.base.state import State
from repx.agent.held import Claim, read_claim
from repx.agent.messages import Forget, JobOrder, Message, Stop, UseLab, UseStage, decode_answer, encode_message
from repx.agent.processes import this_process
from repx.agent.sandbox import Sandbox
from repx.agent.stage_start import StageStart
from tests.agent.mini_lab import EXECUTABLE, RUN, RUNNER, MiniJob, job_id, write_mini_lab
from tests.machine import needs_programs

PATIENCE_S = 30.0
START = """
import sys, types
package = types.ModuleType("repx")
package.__path__ = [sys.argv.pop(1)]
sys.modules["repx"] = package
import repx.agent.claim, repx.agent.worker_cgroup
repx.agent.claim.HEARTBEAT_S = {beats_every_s}
if not {has_cgroup}:
    # As where no group may be made.
    repx.agent.worker_cgroup.own_groups = lambda: []
from repx.agent.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


USAGE = b"usage: agent worker STORE RUNNER NUMBER\n       agent run --store STORE --lab LAB JOB\n"


def pythons() -> list[str]:
    """This Python, and the oldest that agents support where there is one: a shim on PATH may lead nowhere."""
    found = [sys.executable]
    places = [shutil.which("python3.9"), *map(str, sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python3.9")))]
    for place in places:
        if place and subprocess.run([place, "-c", ""], capture_output=True, check=False).returncode == 0:
            found.append(place)
            break
    return found


class Conversation:
    """A store, a stage with a script of its own, and a worker to talk to."""

    def __init__(self, root: Path, python: str, *, has_cgroup: bool = True, beats_every_s: float = 10.0) -> None:
        self.root = root
        self.store = Store(str(root / "store"))
        self.store.create()
        runner = Path(self.store.tmp) / RUNNER
        runner.mkdir()
        (runner / "heartbeat").write_text(json.dumps(this_process()._asdict()))
        self.process = subprocess.Popen(
            [
                python,
                "-I",
                "-S",
                "-c",
                START.format(has_cgroup=has_cgroup, beats_every_s=beats_every_s),
                str(Path(repx.__file__).parent),
                "worker",
                self.store.root,
                RUNNER,
                "0",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._labs = 0

    def tell(self, message: Message) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(encode_message(message))
        self.process.stdin.flush()

    def ask(self, script: str, **fields: Any) -> Any:
        """Order one job, and wait for its answer."""
        self.order(script, **fields)
        return self.hear()

    def order(
        self,
        script: str,
        *,
        job: str = "job",
        outputs: Mapping[str, str] = MappingProxyType({"r": "r.txt"}),
        start: StageStart | None = None,
        **fields: Any,
    ) -> None:
        """Order a job of a Lab of its own; other fields are those of `MiniJob`, or else of `JobOrder`."""
        self._labs += 1
        file = self.root / f"stage-{self._labs}.sh"
        file.write_text('out=$1\nsource "${3%.json}.sh"\ncd "$out"\n' + script)
        said = {name: fields.pop(name) for name in ("params", "inputs", "recipe") if name in fields}
        lab = write_mini_lab(self.root / f"lab-{self._labs}", MiniJob(job_id(job), dict(outputs), **said))
        self.tell(UseLab(str(lab)))
        own = StageStart(("/bin/bash", str(file)), os.environ["PATH"], {}, None)
        self.tell(UseStage(EXECUTABLE, "", start or own))
        self.tell(JobOrder(RUN, job_id(job), **fields))

    def hear(self) -> Any:
        """The next answer: a JobAnswer, or a Trouble."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the worker has ended"
        return decode_answer(line)

    def attempt(self, job: str = "job") -> Attempt:
        """The last attempt that stands in the record of a job, pending or not."""
        directory = self.directory(job)
        record = directory / "record.jsonl"
        return decode_attempts((record if record.exists() else directory / "pending").read_bytes())[-1]

    def wait_for_record(self) -> None:
        """Until the result of the job has been committed."""
        deadline = time.monotonic() + PATIENCE_S
        while (self.job / "pending").exists() or not (self.job / "record.jsonl").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self) -> int:
        """Close its orders; its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """Kill the worker, and whoever watches over it: nobody is to tidy up."""
        claim = read_claim(f"{self.store.tmp}/{RUNNER}/slot-0")
        assert claim is not None
        assert claim.claim.process.pid > 0
        for pid in (self.process.pid, claim.claim.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    @property
    def job(self) -> Path:
        return self.directory("job")

    def directory(self, job: str) -> Path:
        return Path(self.store.job(job_id(job)))

    def group_of(self, job: str) -> int:
        """The process group of a job that runs, when its claim says so."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            held = read_claim(f"{self.store.tmp}/{RUNNER}/slot-0")
            if held is not None and held.claim.job == self.directory(job).name and held.claim.group:
                return held.claim.group
            time.sleep(0.005)
        raise AssertionError(f"{job} does not run")

    def wait_for(self, name: str) -> None:
        """Until a script has made this file in the root."""
        deadline = time.monotonic() + PATIENCE_S
        while not (self.root / name).exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def wait_for_process(self, name: str) -> None:
        """Until a script has written its process's id to this file: the shell makes the file first, and writes then."""
        self.wait_for(name)
        deadline = time.monotonic() + PATIENCE_S
        while not (self.root / name).read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def is_running(self, name: str) -> bool:
        """Whether the process lives whose id stands in this file."""
        try:
            state = Path(f"/proc/{int((self.root / name).read_text())}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state not in "ZX"

    def clean(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
        self.process.stdin.close()
        self.process.stdout.close()


def names(directory: str | Path) -> list[str]:
    return sorted(path.name for path in Path(directory).iterdir())


@pytest.fixture(name="worker", params=pythons(), ids=lambda path: Path(path).name)
def a_worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Conversation]:
    conversation = Conversation(tmp_path, request.param)
    yield conversation
    conversation.clean()


def test_success_failure_and_what_is_found(worker: Conversation) -> None:
    answer = worker.ask('echo hello; echo "$n" > "$out/r.txt"', params={"n": 5})
    assert (answer.state, answer.is_found) == ("succeeded", False)
    assert answer.outputs["r"].size == 2
    assert (worker.job / "pending").exists()
    worker.wait_for_record()
    outcome = decode_outcome((worker.job / "record.jsonl").read_bytes())
    assert (outcome.state, outcome.key, outcome.lab) == ("succeeded", answer.key, "0" * 32)
    assert not (worker.job / "claim").exists()
    found = worker.ask("exit 1")
    assert (found.state, found.is_found, found.outputs) == ("succeeded", True, answer.outputs)
    failed = worker.ask("echo no >&2; exit 4", recipe="another")
    assert (failed.state, failed.attempt.exit, failed.attempt.stderr) == ("failed", 4, "no\n")
    assert not (worker.job / "claim").exists()
    forced = worker.ask('echo forced > "$out/r.txt"', force=True)
    assert forced.state == "succeeded"
    assert worker.end() == 0
    assert (worker.job / "out" / "r.txt").read_text() == "forced\n"
    assert names(worker.store.tmp) == []


def test_a_missing_output(worker: Conversation) -> None:
    answer = worker.ask("echo > one", outputs={"a": "one", "b": "two", "c": "d/three"})
    assert answer.state == "failed"
    assert answer.attempt.detail == "the script ended well but did not make: b ($out/two), c ($out/d/three)"
    assert (worker.job / "failed" / "one").exists()


def test_inputs_by_path_by_list_and_none(worker: Conversation) -> None:
    given = worker.root / "a name"
    given.write_text("given ")
    inputs = {"a": given, "c": [given, given], "d": None}
    answer = worker.ask('cat "$a" "${c[@]}" > "$out/r.txt"; echo "${#c[@]}$d" >> "$out/r.txt"', inputs=inputs)
    assert answer.state == "succeeded"
    assert (worker.job / "out" / "r.txt").read_text() == "given given given 2\n"
    worker.wait_for_record()
    outcome = decode_outcome((worker.job / "record.jsonl").read_bytes())
    assert outcome.inputs == {"a": "d" * 64, "c": ["d" * 64, "d" * 64], "d": None}


def special(root: Path) -> list[str]:
    """What has setuid, setgid or sticky below a directory, itself among it."""
    return [str(path) for path in (root, *root.rglob("*")) if path.lstat().st_mode & 0o7000]


LEAVES_SPECIAL_BITS = """
mkdir -p "$out/d/e"; echo > "$out/d/r.txt"; cp /bin/true "$out/undeclared"; cp /bin/true "$out/d/e/f"
chmod 6755 "$out/d/r.txt" "$out/undeclared" "$out/d/e/f"; chmod 7777 "$out/d/e" "$out/d" "$out"
head -c 20000 /dev/zero; chmod 6755 /proc/self/fd/1
"""


@pytest.mark.parametrize("end", ["exit 0", "exit 1"])
def test_nothing_of_a_job_keeps_setuid_setgid_or_sticky(worker: Conversation, end: str) -> None:
    answer = worker.ask(LEAVES_SPECIAL_BITS + end, outputs={"r": "d/r.txt"})
    assert answer.state == ("succeeded" if end == "exit 0" else "failed")
    # At once: a result stands in its place before it is committed.
    assert special(Path(worker.store.root)) == []
    assert worker.end() == 0
    assert special(Path(worker.store.root)) == []
    assert sorted(path.name for path in worker.job.glob("*/d/e/*")) == ["f"]


@pytest.mark.parametrize("end", ["exit 0", "exit 1"])
def test_a_folder_that_may_not_be_read_costs_neither_outcome_nor_log(worker: Conversation, end: str) -> None:
    answer = worker.ask('echo > "$out/r.txt"; mkdir -p "$out/cache/a"; chmod 000 "$out/cache/a"; echo said; ' + end)
    assert (answer.attempt or worker.attempt()).stdout == "said\n", answer
    if os.geteuid() == 0:
        assert answer.state == ("succeeded" if end == "exit 0" else "failed")
    else:
        assert answer.state == "failed"
        assert (worker.job / "failure.jsonl").exists()


def test_a_time_limit_for_a_job_that_ignores_sigterm(worker: Conversation) -> None:
    script = "trap '' TERM; echo $$ > ../../../../pid; while true; do sleep 0.1; done"
    answer = worker.ask(script.replace("../../../../", f"{worker.root}/"), time_s=0.3)
    assert answer.state == "failed"
    assert (answer.attempt.cause, answer.attempt.signal) == ("timeout", 9)
    assert answer.attempt.detail == "stopped after its time limit of 0.3 s"
    assert not worker.is_running("pid")


def test_a_stop_while_a_job_runs(worker: Conversation) -> None:
    worker.ask('echo one > "$out/r.txt"')
    worker.order(f"echo said; echo $$ > {worker.root}/pid; sleep 300", job="other")
    worker.wait_for_process("pid")
    worker.tell(Stop())
    assert worker.hear().state == "cancelled"
    assert worker.process.wait(PATIENCE_S) == 0
    assert not worker.is_running("pid")
    # What had finished is kept; of the other, what it had said and made.
    assert (worker.job / "record.jsonl").exists()
    outcome = read_outcome(str(worker.directory("other") / "failure.jsonl"))
    assert outcome is not None
    assert outcome.state is State.CANCELLED
    assert names(worker.directory("other")) == ["failed", "failure.jsonl"]
    attempt = read_attempts(str(worker.directory("other") / "failure.jsonl"))[-1]
    assert (attempt.cause, attempt.stdout) == ("cancelled", "said\n")
    assert names(worker.store.tmp) == []


def test_orders_given_ahead_are_dropped_when_told_so_and_after_a_failure(worker: Conversation) -> None:
    worker.order(f"touch {worker.root}/begun; until [ -e {worker.root}/go ]; do sleep 0.02; done; echo > r.txt", unit=1)
    worker.order(f"touch {worker.root}/never; echo two > r.txt", job="second", unit=2)
    worker.wait_for("begun")
    worker.tell(Forget())
    answer = worker.hear()
    assert (answer.unit, answer.state) == (2, "ready"), "at once, and not when the first has ended"
    (worker.root / "go").touch()
    answer = worker.hear()
    assert (answer.unit, answer.state) == (1, "succeeded")
    assert worker.ask("echo three > r.txt", job="third").state == "succeeded"
    worker.order("exit 1", job="fourth")
    worker.order("echo five > r.txt", job="fifth", after_success=True)
    worker.order("echo six > r.txt", job="sixth")
    assert [worker.hear().state for _ in range(3)] == ["failed", "ready", "succeeded"]
    assert not (worker.root / "never").exists()


def test_what_was_dropped_is_answered_for_before_what_was_ordered_later(worker: Conversation) -> None:
    worker.ask("echo one > r.txt", job="done")
    lines: list[Message] = [
        JobOrder(RUN, job_id("done"), force=True, unit=2),
        Forget(),
        JobOrder(RUN, job_id("done"), unit=3),
    ]
    # At once, so that they are read together: the last is answered for without any wait.
    assert worker.process.stdin is not None
    worker.process.stdin.write(b"".join(map(encode_message, lines)))
    worker.process.stdin.flush()
    answers = [worker.hear() for _ in range(2)]
    assert [(answer.unit, str(answer.state), answer.is_found) for answer in answers] == [
        (2, "ready", False),
        (3, "succeeded", True),
    ]


@pytest.mark.parametrize("by", ["orders", "sigterm"])
def test_the_end_of_orders_while_a_job_runs(worker: Conversation, by: str) -> None:
    worker.ask('echo one > "$out/r.txt"')
    worker.order(f"echo $$ > {worker.root}/pid; sleep 300", job="other")
    worker.wait_for_process("pid")
    if by == "sigterm":
        worker.process.terminate()
    assert worker.end() == 0
    assert not worker.is_running("pid")
    assert (worker.job / "record.jsonl").exists()
    assert names(worker.store.tmp) == []


def test_a_killed_worker_leaves_a_pending_result_that_the_next_one_takes_up(worker: Conversation) -> None:
    worker.ask('echo one > "$out/r.txt"')
    worker.order(f"echo $$ > {worker.root}/pid; sleep 300", job="other")
    worker.wait_for_process("pid")
    worker.kill()
    following = Conversation.__new__(Conversation)
    following.__dict__.update(worker.__dict__)
    following.process = subprocess.Popen(
        [*worker.process.args[:-1], "1"],  # type: ignore[index]
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert following.ask("exit 1").is_found
        assert following.ask('echo again > "$out/r.txt"', job="other").state == "succeeded"
        assert not worker.is_running("pid")
        assert following.end() == 0
    finally:
        following.clean()
    assert names(worker.job) == ["out", "record.jsonl"]


def test_nothing_outlives_its_job(worker: Conversation) -> None:
    script = """
setsid sleep 301 & echo $! > ROOT/daemon
(setsid bash -c 'trap "" TERM HUP; echo $$ > ROOT/twice; sleep 302 & wait' &)
while [ ! -s ROOT/twice ]; do sleep 0.01; done
echo > "$out/r.txt"
"""
    answer = worker.ask(script.replace("ROOT", str(worker.root)))
    assert answer.state == "succeeded"
    assert [worker.is_running(name) for name in ("daemon", "twice")] == [False, False]
    # And the next job's measure is its own.
    assert worker.ask('echo > "$out/r.txt"', job="next").state == "succeeded"
    assert worker.attempt("next").max_rss < 30 << 20


def test_a_claim_of_somebody_alive_is_respected(worker: Conversation) -> None:
    worker.job.mkdir()
    (worker.job / "claim").write_bytes(Claim("x", 0, this_process()).encoded())
    assert worker.ask("exit 1").state == "running"
    assert (worker.job / "claim").exists()


def test_a_result_whose_claim_was_lost_meanwhile_is_not_published(worker: Conversation) -> None:
    worker.order(
        f'echo > {worker.root}/started; while [ ! -e {worker.root}/go ]; do sleep 0.01; done; echo > "$out/r.txt"'
    )
    worker.wait_for("started")
    (worker.job / "claim").unlink()
    (worker.job / "claim").write_bytes(Claim("x", 0, this_process()).encoded())
    (worker.root / "go").touch()
    assert worker.hear().state == "running"
    assert names(worker.job) == ["claim"]


def test_the_log_of_a_job_that_was_lost_is_not_that_of_the_next(worker: Conversation) -> None:
    worker.order(f"echo noise; head -c 20000 /dev/zero; touch {worker.root}/begun; sleep 300 & wait", job="lost")
    worker.wait_for("begun")
    group = worker.group_of("lost")
    (worker.directory("lost") / "claim").unlink()
    os.killpg(group, signal.SIGKILL)
    assert worker.hear().state == "running"
    answer = worker.ask('echo mine; echo > "$out/r.txt"')
    assert answer.state == "succeeded"
    assert (worker.attempt().stdout, worker.attempt().stderr) == ("mine\n", "")


def test_attempts_and_their_logs_are_kept_apart(worker: Conversation) -> None:
    for number in range(3):
        answer = worker.ask(f"echo number {number}; exit 1")
        assert answer.attempt.stdout == f"number {number}\n"
    attempts = decode_attempts((worker.job / "failure.jsonl").read_bytes())
    assert [attempt.stdout for attempt in attempts] == [f"number {number}\n" for number in range(3)]
    assert all(attempt.start <= attempt.end for attempt in attempts)


def test_a_program_that_is_not_there_fails_one_job(worker: Conversation) -> None:
    answer = worker.ask("", start=StageStart(("/nowhere",), "", {}, None))
    assert answer.state == "failed"
    assert "/nowhere: No such file or directory" in answer.attempt.detail
    assert worker.ask('echo > "$out/r.txt"').state == "succeeded"


def test_usage() -> None:
    start = START.format(has_cgroup=True, beats_every_s=10.0)
    command = [sys.executable, "-c", start, str(Path(repx.__file__).parent), "nonsense"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (2, USAGE)


@pytest.mark.real
def test_what_a_stage_sets_for_its_loader_acts_in_its_job_alone(worker: Conversation) -> None:
    needs_programs("bwrap")
    sandbox = Sandbox(
        "bwrap", str(shutil.which("bwrap")), str(worker.root), worker.store.outputs, "/bin/bash", "/usr/bin/env",
        host=True,
    )  # fmt: skip
    env = {"LD_PRELOAD": "/nowhere.so", "LONG": "x" * 100_000}
    answer = worker.ask("", start=StageStart(("/bin/bash", "-c", "echo > r.txt"), "/bin", env, sandbox))
    assert answer.state == "succeeded", answer
    # The loader complains once for each program that is started with it: the shell that waits in there, and the job.
    assert str(worker.attempt().stderr).count("/nowhere.so") == 2


def test_signals_reach_a_job_as_usual(worker: Conversation) -> None:
    """A worker ignores Ctrl-C; its jobs must not inherit that."""
    answer = worker.ask("kill -INT $$; sleep 1")
    assert (answer.state, answer.attempt.signal) == ("failed", signal.SIGINT)


def test_a_worker_beats_whatever_its_job_does(tmp_path: Path) -> None:
    worker = Conversation(tmp_path, sys.executable, beats_every_s=0.05)
    try:
        worker.order(f"touch {tmp_path}/begun; sleep 300")
        worker.wait_for("begun")
        claim = worker.job / "claim"
        os.utime(claim, (1, 1))
        deadline = time.monotonic() + PATIENCE_S
        while claim.stat().st_mtime < time.time() - 5:
            assert time.monotonic() < deadline, "it does not beat"
            time.sleep(0.01)
    finally:
        worker.clean()


@pytest.mark.parametrize("moment", ["idle", "at work"])
def test_a_worker_whose_files_are_gone_leaves_and_says_so(worker: Conversation, moment: str) -> None:
    assert worker.ask('echo > "$out/r.txt"').state == "succeeded"
    if moment == "at work":
        worker.order("sleep 0.5", job="other")
        worker.group_of("other")
        (worker.directory("other") / "claim").unlink()
    shutil.rmtree(f"{worker.store.tmp}/{RUNNER}")
    if moment == "at work":
        assert worker.hear().state == "running"
    worker.order('echo > "$out/r.txt"', job="next")
    assert "its files are gone" in worker.hear().text
    assert worker.process.wait(PATIENCE_S) == 1
    # What had been finished is kept: its claim had not been taken.
    assert (worker.job / "record.jsonl").exists()
    assert not (worker.job / "claim").exists()

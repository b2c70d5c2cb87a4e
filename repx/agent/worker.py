"""A slot that lives as long as its run: takes orders as JSON lines, runs one job at a time, answers in JSON lines.

    orders    {"stage": {"id", "kind", "argv", "path", "env", "outputs", "name", "version", "lines"}}
                  told once per stage; with "sandbox" where its jobs are to be shut in (repx.agent.sandbox)
              {"job", "stage": id, "index", "key", "inputs", "params", "cpus", "time_s", "force", "lab", "fingerprint"}
                  with "after_success": only if the job before it did not fail; else it is dropped
                  with "failure_before": asked again, after "running"; another failure by now counts as this one's
              {"forget": true}       drop the orders that have not been begun
              {"commit": true}       flush and commit what is pending, answer {"committed": n}
              {"stop": true}         end the running job, commit, leave
    answers   {"job", "index", "key", "state", "outputs", "directory", "attempt"}; "state" is a `State`:
                  succeeded (with "found" where it was done already), failed or cancelled; running where somebody else
                  works on it (with the mark of the "failure" that stands there), ready where it was dropped

When its orders end (the runner is gone) a worker ends its job, commits what is finished and leaves.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import time
from typing import Any

from repx.agent.base.files import mark_of_file
from repx.agent.base.layout import CLAIM, FAILURE, PENDING, Store, realization, slot
from repx.agent.base.record import (
    Attempt,
    Outcome,
    OutputRecord,
    encode_outputs,
    encode_record,
    find_realization,
    read_attempts,
    read_outcome,
)
from repx.agent.base.state import State
from repx.agent.cgroup import JobLimits, process_family
from repx.agent.claim import HEARTBEAT_S, ClaimFile, ScratchGoneError, take_over
from repx.agent.exit_cause import add_exit_cause
from repx.agent.job import claim_and_start, collect_outputs
from repx.agent.orders import Orders
from repx.agent.publish import Batch, publish_failure, publish_success, recover_pending
from repx.agent.sandbox import parse_sandbox, sandbox_command
from repx.agent.scratch import Scratch, end_of_log, environment
from repx.agent.stage_lines import StageLines
from repx.agent.supervisor import kill_descendants
from repx.agent.worker_cgroup import CgroupEntry

_FAILED_ELSEWHERE = Attempt(cause="elsewhere", detail="it failed in another run on this store")

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Worker:
    """One slot of a runner. `orders` and `answers` are file descriptors; `cgroup` is where its jobs can be found."""

    def __init__(
        self, store: Store, runner: str, number: int, orders: int, answers: int, cgroup: CgroupEntry | None = None
    ) -> None:
        self._store = store
        self._answers = answers
        runner_directory = "%s/%s" % (store.tmp, runner)
        self._scratch = Scratch(slot(runner_directory, number))
        self._claim = ClaimFile(self._scratch.directory + "/" + CLAIM, store.tmp, runner, number)
        self._cgroup = cgroup
        self._batch = Batch(store, self._claim)
        self._oldest = 0.0
        self._stages: dict[str, dict[str, Any]] = {}
        self._lines = StageLines(store)
        self._has_failed = False
        self._orders = Orders(orders)
        self._input: int | None = None
        self._held: int | None = None

    def serve(self) -> None:
        """Work until told to stop or until nobody gives orders any more.

        Raises ScratchGoneError when somebody has taken this worker for dead and removed its files.
        """
        # A thread: a long digest, or a flush of a slow disk, is no reason to be taken for dead.
        _thread.start_new_thread(self._beat, ())
        try:
            while True:
                order = self._orders.next(self._time_to_commit())
                if order is None:
                    if self._orders.ended:
                        break
                    self._commit()
                elif "commit" in order:
                    count = len(self._batch)
                    self._commit()
                    self._answer({"committed": count})
                elif "job" in order:
                    if self._orders.forgotten or (order.get("after_success") and self._has_failed):
                        self._answer({**_named(order), "state": State.READY})
                        continue
                    answer = self._run(order)
                    self._has_failed = answer["state"] is State.FAILED
                    self._answer(answer)
                    if (self._batch and self._time_to_commit() == 0) or len(self._batch) >= Batch.LIMIT:
                        self._commit()
                elif "forget" in order:
                    self._orders.forgotten = False
                else:
                    stage = order["stage"]
                    self._stages[stage["id"]] = {**stage, "sandbox": parse_sandbox(stage.get("sandbox"))}
        finally:
            self._commit()
            self._flush_records()
            self._scratch.remove()

    def _run(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do one order; whatever goes wrong with the store becomes a failed job, not a dead worker."""
        answer = _named(order)
        job_directory = self._store.job(order["job"])
        # Each realization is claimed by itself, so that several run at once.
        index, key = order["index"], order["key"]
        claimed = job_directory if index == 0 else realization(job_directory, index, key)
        try:
            is_new = self._is_new(claimed)
            failure = None if is_new else mark_of_file(claimed + "/" + FAILURE)
            if "failure_before" in order and failure not in (None, order["failure_before"]):
                outcome = read_outcome(claimed + "/" + FAILURE)
                if outcome is not None and outcome.key == key:
                    return {**answer, "state": State.FAILED, "attempt": _FAILED_ELSEWHERE.encoded()}
            kept = self._take(claimed)
            if kept is None:
                return {**answer, "state": State.RUNNING, "failure": failure}
        except OSError as error:
            return {**answer, "state": State.FAILED, "attempt": self._store_trouble(error)}
        pending = False
        try:
            # Not what mkdir has said: between that and the claim somebody may have done it all, or half of it.
            is_new = not kept
            if PENDING in kept:
                recover_pending(self._store, claimed)
            again = "failure_before" in order
            looks = not is_new and (again or not order["force"])
            found = find_realization(job_directory, index, key) if looks else None
            if found is not None:
                directory, outcome = found
                outputs = encode_outputs(outcome.outputs)
                return {**answer, "state": State.SUCCEEDED, "found": True, "directory": directory, "outputs": outputs}
            result = self._attempt(order, job_directory, is_new)
            pending = result["state"] is State.SUCCEEDED
            return {**answer, **result}
        except OSError as error:
            return {**answer, "state": State.FAILED, "attempt": self._store_trouble(error)}
        finally:
            if not pending:
                self._claim.release(claimed)

    def _take(self, job_directory: str) -> list[str] | None:
        """Claim a job: the names of what is kept of it, or None when somebody else has it."""
        for _ in range(3):
            try:
                kept = self._claim.take(job_directory)
            except FileNotFoundError:
                os.makedirs(job_directory, exist_ok=True)
                continue
            if kept is not None or not take_over(job_directory, self._store.tmp):
                return kept
        return None

    def _is_new(self, job_directory: str) -> bool:
        """Whether nothing is kept of a job yet; makes its directory then."""
        try:
            os.mkdir(job_directory)
        except FileExistsError:
            return False
        except FileNotFoundError:
            os.makedirs(job_directory, exist_ok=True)
            return False
        return True

    def _attempt(self, order: dict[str, Any], job_directory: str, is_new: bool) -> dict[str, Any]:
        stage = self._stages[order["stage"]]
        index, key = order["index"], order["key"]
        claimed = job_directory if index == 0 else realization(job_directory, index, key)
        self._scratch.prepare(order, stage)
        # Nothing begins under a claim that somebody may have taken while this machine stood still.
        if self._claim.is_in_doubt() and not self._claim.holds(claimed):
            return {"state": State.RUNNING}
        attempt = self._execute(order, stage)
        kill_descendants()
        outputs: dict[str, OutputRecord] = {}
        if not attempt.cause:
            outputs, complaint = collect_outputs(stage, self._scratch.out)
            if complaint:
                attempt = attempt._replace(cause="output", detail=complaint)
        elif attempt.cause == "timeout":
            attempt = attempt._replace(detail="stopped after its time limit of %g s" % order["time_s"])
        earlier = [] if is_new else self._earlier(order, job_directory)
        return self._publish(order, stage, job_directory, attempt, outputs, earlier, is_new)

    def _execute(self, order: dict[str, Any], stage: dict[str, Any]) -> Attempt:
        """Start a job, natively or shut in, and wait for its end; the attempt but for what its outputs tell."""
        scratch = self._scratch
        if self._cgroup is not None:
            self._claim.cgroup = self._cgroup.path()
        env = environment(order, stage, scratch)
        arguments = (scratch.out, scratch.inputs_json.path, scratch.params_json.path)
        argv = [*stage["argv"], *(scratch.seen(path, stage) for path in arguments)]
        box, limits = stage.get("sandbox"), order.get("limits", {})
        is_container = box is not None and box.kind != "bwrap"
        if is_container:
            scratch.chown_to_user()
        command = sandbox_command(argv, env, box, scratch.directory, scratch.shown, limits)
        # An engine sets the limits of its containers itself, and natively there are none.
        enforced = limits if box is not None and not is_container else {}
        with JobLimits(enforced.get("mem"), enforced.get("cpus")) as group:
            started = claim_and_start(
                self._claim, order["job"], command, scratch, self._open_end() if is_container else None
            )
            if enforced:
                for pid in process_family(started.pid):
                    group.add(pid)
            attempt = started.wait(order["time_s"], self._pause)
            if box is not None:
                attempt = add_exit_cause(attempt, box.kind, scratch.tmp, group.memory_kills(), limits.get("mem"))
        if is_container:
            scratch.chown_back()
        return attempt

    def _open_end(self) -> int:
        """The standard input of a container: it ends when this process does, whatever ends it."""
        if self._input is None:
            self._input, self._held = os.pipe()
        return self._input

    def _earlier(self, order: dict[str, Any], job_directory: str) -> list[Attempt]:
        """The failed attempts before this one."""
        index = order["index"]
        directory = job_directory if index == 0 else realization(job_directory, index, order["key"])
        return read_attempts(directory + "/" + FAILURE)

    def _publish(
        self,
        order: dict[str, Any],
        stage: dict[str, Any],
        job_directory: str,
        attempt: Attempt,
        outputs: dict[str, OutputRecord],
        earlier: list[Attempt],
        is_new: bool,
    ) -> dict[str, Any]:
        state = State.FAILED if attempt.cause else State.SUCCEEDED
        index, key = order["index"], order["key"]
        aside = job_directory if index == 0 else realization(job_directory, index, key)
        if attempt.cause == "cancelled":
            return {"state": State.CANCELLED, "attempt": _told(attempt)}
        if not self._claim.holds(aside):
            # Taken over while this machine did not answer: whoever has it now decides.
            return {"state": State.RUNNING}
        scratch = self._scratch
        stdout, stderr = scratch.take_logs(aside, len(earlier) + 1)
        attempt = attempt._replace(stdout=stdout, stderr=stderr)
        inputs = {name: _digests(value) for name, value in order["inputs"].items()}
        job, name, version = order["job"], stage["name"], stage["version"]
        outcome = Outcome(job, name, version, index, key, state, order["lab"], inputs, outputs)
        record = encode_record(outcome, [*earlier, attempt], self._lines.told(order, stage))
        if state is State.FAILED:
            publish_failure(aside, scratch.out, record)
            return {"state": State.FAILED, "attempt": _told(attempt, aside), "directory": aside}
        directory = publish_success(
            job_directory, index, key, scratch.out, record, scratch.directory, is_new=is_new, replace=order["force"]
        )
        if not self._batch:
            self._oldest = time.monotonic()
        self._batch.add(aside, directory, key, after_failure=not is_new)
        return {
            "state": State.SUCCEEDED,
            "outputs": encode_outputs(outputs),
            "directory": directory,
            "attempt": _told(attempt),
        }

    def _pause(self, seconds: float | None) -> bool:
        """Wait for the job; meanwhile commit what is old enough and listen for a stop."""
        limit = self._time_to_commit()
        waits = [value for value in (seconds, limit) if value is not None]
        self._orders.wait(min(waits) if waits else None)
        if self._time_to_commit() == 0:
            with contextlib.suppress(OSError):
                self._commit()
        return self._orders.ended

    def _time_to_commit(self) -> float | None:
        if not self._batch:
            return None
        return max(0.0, self._oldest + Batch.AGE_S - time.monotonic())

    def _commit(self) -> None:
        try:
            for directory in self._batch.commit():
                lost = "a result is lost, for somebody has taken its job while this machine stood still: "
                self._answer({"trouble": lost + os.path.basename(directory)})
        except OSError as error:
            self._answer({"trouble": "results could not be committed: %s" % error})
            self._oldest = time.monotonic()

    def _flush_records(self) -> None:
        try:
            self._batch.flush_records()
        except OSError as error:
            self._answer({"trouble": "results could not be flushed: %s" % error})

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            # Where the disk does not answer, others take this worker for dead, and it asks before it goes on.
            with contextlib.suppress(OSError):
                self._claim.touch()

    def _store_trouble(self, error: OSError) -> dict[str, Any]:
        """What a disk has refused, as an attempt. Raises ScratchGoneError when this worker's files are gone."""
        if not self._claim.exists():
            raise ScratchGoneError(self._claim.path) from error
        detail = "%s: %s" % (error.filename or "store", error.strerror)
        return Attempt(cause="store", detail=detail).encoded()

    def _answer(self, answer: dict[str, Any]) -> None:
        data = memoryview(_encode(answer).encode() + b"\n")
        # A runner that is gone needs no answer; what was done stays done.
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._answers, data) :]


def _named(order: dict[str, Any]) -> dict[str, Any]:
    return {name: order[name] for name in ("job", "index", "key")}


def _digests(value: Any) -> Any:
    return [one["digest"] for one in value] if isinstance(value, list) else value and value["digest"]


def _told(attempt: Attempt, directory: str = "") -> dict[str, Any]:
    """An attempt as the runner needs it: of a log in a file of `directory` the end."""
    logs = [
        log if isinstance(log, str) else end_of_log("%s/%s" % (directory, log.name)) if directory else ""
        for log in (attempt.stdout, attempt.stderr)
    ]
    return attempt._replace(host="", boot="", stdout=logs[0], stderr=logs[1]).encoded()

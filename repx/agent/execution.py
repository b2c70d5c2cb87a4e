"""One job executed in a slot's scratch, natively or shut in: prepared, started, waited for; publishes nothing."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence

from repx.agent.base.files import remove_tree
from repx.agent.base.layout import Store
from repx.agent.base.record import Attempt, OutputRecord
from repx.agent.cgroup import JobLimits, process_family
from repx.agent.claim import ClaimFile
from repx.agent.exit_cause import add_exit_cause
from repx.agent.input_marks import InputMark, changed_inputs, input_marks
from repx.agent.job import Pause, StartedJob
from repx.agent.outputs import collect_outputs
from repx.agent.passed_env import told_variables
from repx.agent.resolved_job import ResolvedJob
from repx.agent.sandbox import sandbox_command
from repx.agent.scratch import Scratch, environment
from repx.agent.supervisor import kill_descendants


class Execution:
    """Executes jobs one after the other. What has to live as long as its process is made once."""

    def __init__(self, store: Store, scratch: Scratch, claim: ClaimFile, pause: Pause) -> None:
        self._outputs = store.outputs
        self._scratch = scratch
        self._claim = claim
        self._pause = pause
        self._input: int | None = None
        self._held: int | None = None

    def run(self, job: ResolvedJob) -> tuple[Attempt, dict[str, OutputRecord]]:
        """Execute a job whose scratch has been prepared; what it has made, if it has not failed."""
        # In a sandbox they are read-only, whoever it is.
        marks = input_marks(job.inputs) if job.start.sandbox is None else {}
        attempt = self._execute(job)
        if job.start.passed:
            attempt = attempt._replace(passed_env=told_variables(job.start.passed))
        peak, cpu = kill_descendants()
        if job.start.sandbox is not None and job.start.sandbox.kind == "bwrap":
            # Bubblewrap does not wait for the process that has run the job, which therefore ends as a child of ours.
            attempt = attempt._replace(max_rss=max(attempt.max_rss, peak), cpu=round(attempt.cpu + cpu, 6))
        changed = changed_inputs(marks)
        if changed:
            return self._damaged(attempt, changed), {}
        if attempt.cause == "timeout":
            limit = "stopped after its time limit of %g s" % (job.time_s or 0)
            return attempt._replace(detail="; ".join(filter(None, (limit, attempt.detail)))), {}
        if attempt.cause:
            return attempt, {}
        outputs, complaint = collect_outputs(job.job.stage.outputs, self._scratch.out)
        return (attempt._replace(cause="output", detail=complaint), {}) if complaint else (attempt, outputs)

    def _damaged(self, attempt: Attempt, changed: Sequence[InputMark]) -> Attempt:
        """A job that has written to its inputs fails, and what it has spoiled is nobody's result any more."""
        discard_spoiled(self._outputs, changed)
        names = ", ".join(sorted({mark.input for mark in changed}))
        detail = "it has written to its input %s: copy what is to be changed" % names
        return attempt._replace(cause=attempt.cause or "input", detail=attempt.detail or detail)

    def _execute(self, job: ResolvedJob) -> Attempt:
        scratch, box, limits = self._scratch, job.start.sandbox, job.limits
        arguments = (scratch.out, scratch.inputs_json.path, scratch.params_json.path)
        argv = [*job.start.argv, *(scratch.seen(path, box) for path in arguments)]
        is_container = box is not None and box.kind != "bwrap"
        if is_container:
            scratch.chown_to_user()
        command = sandbox_command(argv, environment(job, scratch), box, scratch.directory, scratch.shown, limits)
        # An engine sets the limits of its containers itself, and natively there are none.
        enforced = limits if box is not None and not is_container else {}
        with JobLimits(enforced.get("mem"), enforced.get("cpus")) as group:
            end = self._open_end() if is_container else None
            started = StartedJob(job.job.id, command, scratch.logs, self._claim, end)
            if enforced:
                for pid in process_family(started.pid):
                    group.add(pid)
            attempt = started.wait(job.time_s, self._pause)
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


def discard_spoiled(outputs: str, changed: Sequence[InputMark]) -> None:
    """Take away the outputs of others that a job has written to."""
    for top in {mark.top for mark in changed}:
        if top.startswith(outputs + "/"):
            with contextlib.suppress(OSError):
                # A result is read-only.
                os.chmod(os.path.dirname(top), stat.S_IRWXU)
                remove_tree(top)

"""One attempt at one job: start it, wait, stop it; decides nothing about others."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Callable

from repx.agent.base.record import Attempt
from repx.agent.claim import ClaimFile
from repx.agent.exit_cause import unfinished_detail
from repx.agent.job_log import TRACE_DESCRIPTOR, JobLogs
from repx.agent.processes import boot_id, descendants, group_members, has_group, kill_group
from repx.agent.sandbox import DESCRIPTOR, Command

GRACE_S = 5.0
"""Seconds between SIGTERM and SIGKILL when a job is stopped."""

UNFINISHED_S = 30.0
"""Seconds for which what a script has started may still write when the script itself has ended well."""

SHORT_S = 0.02
"""Seconds after which others are told what runs: who runs shorter is gone before anybody could look."""

Pause = Callable[["float | None", Sequence[int]], bool]
"""Sleeps until a child has ended, a descriptor can be read, or so many seconds; whether the job is to be stopped."""

_ALL_SIGNALS = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
"""What a job ignores at its start would depend on who started repx: `nohup` and a script's `&` ignore some."""


class StartedJob:
    """A started job. `wait` returns when it has ended, was stopped, or ran out of time."""

    def __init__(self, name: str, command: Command, logs: JobLogs, claim: ClaimFile, stdin: int | None = None) -> None:
        self.start = time.time()
        self._name = name
        self._logs = logs
        self._claim = claim
        self._generations = command.generations
        self._is_known = False
        self._end: os.waitid_result | None = None
        self._reaped: list[resource.struct_rusage] = []
        """What was used by those that ended after their leader."""
        self._began = time.monotonic()
        descriptor = _readable(command.words) if command.words else None
        try:
            argv = [word if word != DESCRIPTOR else str(descriptor) for word in command.argv]
            self.pid = self._spawn(argv, command.env, stdin)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _spawn(self, argv: Sequence[str], env: Mapping[str, str], stdin: int | None) -> int:
        return os.posix_spawn(
            argv[0],
            list(argv),
            dict(env),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)
                if stdin is None
                else (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, self._logs.stdout.descriptor, 1),
                (os.POSIX_SPAWN_DUP2, self._logs.stderr.descriptor, 2),
                (os.POSIX_SPAWN_DUP2, self._logs.trace.descriptor, TRACE_DESCRIPTOR),
            ],
            setpgroup=0,
            setsigdef=_ALL_SIGNALS,
            setsigmask=(),
        )

    def wait(self, time_limit_s: float | None, pause: Pause) -> Attempt:
        """Wait for the end of it and of its process group, within its time."""
        try:
            return self._wait(time_limit_s, pause)
        except BaseException:
            kill_group(self.pid)
            raise

    def _wait(self, time_limit_s: float | None, pause: Pause) -> Attempt:
        deadline = None if time_limit_s is None else self._began + time_limit_s
        stopped = self._wait_until(self._has_ended, deadline, pause)
        if stopped:
            self._terminate(pause)
        if stopped or not self._has_succeeded():
            # Whatever it has left running in its group goes with it. Only then is its leader reaped: until that is
            # done, nobody else can be given the group's id.
            kill_group(self.pid)
        _, status, usage = os.wait4(self.pid, 0)
        self._reaped.append(usage)
        detail = ""
        if status == 0 and not stopped and has_group(self.pid, self._reaped):
            stopped, detail = self._wait_for_group(deadline, pause)
        ended = time.monotonic()
        exit_status = os.waitstatus_to_exitcode(status)
        cause = stopped or ("" if exit_status == 0 else "exit" if exit_status > 0 else "signal")
        return Attempt(
            start=round(self.start, 3),
            end=round(self.start + ended - self._began, 3),
            host=HOST,
            boot=BOOT,
            exit=exit_status if exit_status >= 0 else None,
            signal=-exit_status if exit_status < 0 else None,
            cause=cause,
            detail=detail,
            max_rss=max(one.ru_maxrss for one in self._reaped) * 1024,
            cpu=round(sum(one.ru_utime + one.ru_stime for one in self._reaped), 6),
        )

    def make_known(self) -> None:
        """Say in the claim which job runs, in which process group, and let its logs be followed."""
        if not self._is_known:
            self._is_known = True
            self._claim.update(self._name, self.pid)
            self._logs.show()

    def _wait_until(
        self, is_over: Callable[[], bool], deadline: float | None, pause: Pause, *, heeds_stop: bool = True
    ) -> str:
        """Wait; empty when it is over, "timeout" at the deadline, "cancelled" when told to stop."""
        while not is_over():
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return "timeout"
            left = None if deadline is None else deadline - now
            if now < self._began + SHORT_S:
                short = self._began + SHORT_S - now
                must_stop = pause(short if left is None else min(left, short), ())
            else:
                self.make_known()
                must_stop = pause(left, self._logs.readers)
                self._logs.read()
            if must_stop and heeds_stop:
                return "cancelled"
        return ""

    def _wait_for_group(self, deadline: float | None, pause: Pause) -> tuple[str, str]:
        """Wait for what an ended script has left running: what it writes belongs to its outputs. Cause and detail."""
        patience = time.monotonic() + UNFINISHED_S
        is_limit = deadline is not None and deadline < patience
        stopped = self._wait_until(self._has_no_group, deadline if is_limit else patience, pause)
        members = group_members(self.pid)
        if members:
            # They keep the group's id as their leader did.
            kill_group(self.pid)
        if stopped != "timeout":
            return stopped, ""
        return "timeout" if is_limit else "unfinished", unfinished_detail(members)

    def _terminate(self, pause: Pause) -> None:
        """Tell its whole group to end, and end it after the grace. Its leader has ended then, and is not reaped."""
        told = next(descendants(self.pid, self._generations), 0) if self._generations else 0
        with contextlib.suppress(ProcessLookupError):
            if told:
                os.kill(told, signal.SIGTERM)
            else:
                os.killpg(self.pid, signal.SIGTERM)
        self._wait_until(self._has_all_ended, time.monotonic() + GRACE_S, pause, heeds_stop=False)
        kill_group(self.pid)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def _has_ended(self) -> bool:
        self._end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return self._end is not None

    def _has_succeeded(self) -> bool:
        return self._end is not None and self._end.si_status == 0

    def _has_all_ended(self) -> bool:
        """Whether its leader, which is not reaped yet, is all that is left of its group."""
        return self._has_ended() and not group_members(self.pid)

    def _has_no_group(self) -> bool:
        return not has_group(self.pid, self._reaped)


def _readable(words: Sequence[str]) -> int:
    """A descriptor that a child inherits, to read words from, each ended by a NUL."""
    data = b"".join(os.fsencode(word) + b"\0" for word in words)
    descriptor = os.memfd_create("words", 0)
    # Not write(2): the child reads from the place where that would leave the descriptor.
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], written)
    return descriptor


HOST = os.uname().nodename
BOOT = boot_id()

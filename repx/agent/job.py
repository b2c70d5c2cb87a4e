"""One attempt at one job: start it, wait, look at what it left; decides nothing about others."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time
from collections.abc import Callable, Mapping, Sequence

from repx.agent.base.digest import TreeError, check_entry, digest_and_size
from repx.agent.base.files import take_special_bits
from repx.agent.base.record import Attempt, OutputRecord
from repx.agent.claim import ClaimFile
from repx.agent.processes import boot_id, kill_group
from repx.agent.sandbox import DESCRIPTOR, Command
from repx.agent.scratch import Scratch

GRACE_S = 5.0
"""Seconds between SIGTERM and SIGKILL when a job is stopped."""

_ALL_SIGNALS = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
"""What a job ignores at its start would depend on who started repx: `nohup` and a script's `&` ignore some."""


class StartedJob:
    """A started job. `wait` returns when it has ended, was stopped, or ran out of time."""

    def __init__(self, command: Command, scratch: Scratch, stdin: int | None = None) -> None:
        self.start = time.time()
        self._began = time.monotonic()
        descriptor = _readable(command.words) if command.words else None
        try:
            argv = [word if word != DESCRIPTOR else str(descriptor) for word in command.argv]
            self.pid = self._spawn(argv, command.env, scratch, stdin)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _spawn(self, argv: Sequence[str], env: Mapping[str, str], scratch: Scratch, stdin: int | None) -> int:
        return os.posix_spawn(
            argv[0],
            list(argv),
            dict(env),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)
                if stdin is None
                else (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, scratch.stdout.descriptor, 1),
                (os.POSIX_SPAWN_DUP2, scratch.stderr.descriptor, 2),
            ],
            setpgroup=0,
            setsigdef=_ALL_SIGNALS,
            setsigmask=(),
        )

    def wait(self, time_limit_s: float | None, pause: Callable[[float | None], bool]) -> Attempt:
        """Wait for the end; `pause(seconds)` sleeps until a child ends or the timeout, and says whether to stop."""
        stopped = ""
        deadline = None if time_limit_s is None else self._began + time_limit_s
        while True:
            if self._has_ended():
                break
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            must_stop = pause(left)
            if must_stop and not stopped:
                stopped = "cancelled"
            elif not stopped and deadline is not None and time.monotonic() >= deadline:
                stopped = "timeout"
            if stopped:
                self._stop()
                break
        # Whatever the script left running in its group goes with it. Only then is its leader reaped: until that is
        # done, nobody else can be given the group's id.
        kill_group(self.pid)
        _, status, usage = os.wait4(self.pid, 0)
        exit_status = os.waitstatus_to_exitcode(status)
        cause = stopped or ("" if exit_status == 0 else "exit" if exit_status > 0 else "signal")
        return Attempt(
            start=round(self.start, 3),
            end=round(self.start + time.monotonic() - self._began, 3),
            host=HOST,
            boot=BOOT,
            exit=exit_status if exit_status >= 0 else None,
            signal=-exit_status if exit_status < 0 else None,
            cause=cause,
            max_rss=usage.ru_maxrss * 1024,
            cpu=round(usage.ru_utime + usage.ru_stime, 6),
        )

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _stop(self) -> None:
        kill_soft = time.monotonic() + GRACE_S
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        while time.monotonic() < kill_soft:
            if self._has_ended():
                return
            time.sleep(0.01)
        kill_group(self.pid)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)


def _readable(words: Sequence[str]) -> int:
    """A descriptor that a child inherits, to read words from, each ended by a NUL."""
    data = b"".join(os.fsencode(word) + b"\0" for word in words)
    descriptor = os.memfd_create("words", 0)
    # Not write(2): the child reads from the place where that would leave the descriptor.
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], written)
    return descriptor


def collect_outputs(declared_paths: Mapping[str, str], out: str) -> tuple[dict[str, OutputRecord], str]:
    """Each declared output with its digest and size, and a complaint when one is missing or cannot be kept.

    Everything in `out` is looked at once, and loses setuid, setgid and sticky on the way.
    """
    outputs: dict[str, OutputRecord] = {}
    missing = []
    try:
        status = os.lstat(out)
    except FileNotFoundError:
        return {}, _NO_OUT
    if not stat.S_ISDIR(status.st_mode):
        return {}, _NO_OUT
    take_special_bits(out, status)
    try:
        for name, path in declared_paths.items():
            try:
                digest, size = digest_and_size(out + "/" + path, out, take_special_bits)
            except (FileNotFoundError, NotADirectoryError):
                missing.append("%s ($out/%s)" % (name, path))
                continue
            except TreeError as error:
                return {}, "output %s: %s" % (name, str(error).replace(out, "$out"))
            outputs[name] = OutputRecord(path, digest, size)
        if missing:
            return {}, "the script ended well but did not make: " + ", ".join(missing)
        # Files nobody declared are kept as well, so they too must be of a kind that can be.
        declared = {output.path for output in outputs.values()}
        if not declared.issuperset(os.listdir(out)):
            _check_undeclared(out, "", declared)
    except TreeError as error:
        return {}, str(error).replace(out, "$out")
    except PermissionError as error:
        return {}, "what the script left cannot be read: %s" % str(error.filename).replace(out, "$out")
    return outputs, ""


def _check_undeclared(out: str, inner: str, declared: set[str]) -> None:
    """Look at everything in a directory of `out` but the declared outputs. Raises TreeError."""
    with os.scandir(out + "/" + inner) as listing:
        entries = list(listing)
    for entry in entries:
        place = inner + entry.name
        if place in declared:
            continue
        status = entry.stat(follow_symlinks=False)
        check_entry(out + "/" + place, status, out)
        take_special_bits(out + "/" + place, status)
        if stat.S_ISDIR(status.st_mode):
            _check_undeclared(out, place + "/", declared)


def claim_and_start(
    claim: ClaimFile,
    job: str,
    command: Command,
    scratch: Scratch,
    stdin: int | None = None,
) -> StartedJob:
    """Start a job and write its process group into the claim, so that a rescuer can end it."""
    started = StartedJob(command, scratch, stdin)
    try:
        claim.update(job, started.pid)
    except BaseException:
        kill_group(started.pid)
        raise
    return started


_NO_OUT = "the script has removed $out, or put something else in its place"

HOST = os.uname().nodename
BOOT = boot_id()

"""One attempt at one job: prepare its scratch, start it, wait, look at what it left; decides nothing about others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from repx.agent.claim import ClaimFile, boot_id, kill_group
from repx.agent.digest import TreeError, digest_and_size
from repx.agent.files import ScratchFile, read_file, remove_tree, write_file

SMALL_LOG = 8192
"""Bytes up to which a log is kept inside the record."""

GRACE_S = 5.0
"""Seconds between SIGTERM and SIGKILL when a job is stopped."""


class Scratch:
    """The reused directories and files of one slot: in/, out/, tmp/, home/, the script's arguments and its logs."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.out = directory + "/out"
        self.inputs = directory + "/in"
        self.tmp = directory + "/tmp"
        self.home = directory + "/home"
        for path in (directory, self.inputs, self.tmp, self.home):
            os.makedirs(path, exist_ok=True)
        self.inputs_json = ScratchFile(directory + "/inputs.json")
        self.params_json = ScratchFile(directory + "/params.json")
        self.assignments = ScratchFile(directory + "/params.sh")
        self.stdout = ScratchFile(directory + "/stdout", append=True)
        self.stderr = ScratchFile(directory + "/stderr", append=True)
        self._links: list[str] = []

    def prepare(self, order: Mapping[str, Any], stage: Mapping[str, Any]) -> None:
        """Make $out empty, link the inputs, write the arguments."""
        if os.path.lexists(self.out):
            remove_tree(self.out)
        os.mkdir(self.out)
        for path in stage["outputs"].values():
            if "/" in path:
                os.makedirs(os.path.dirname(self.out + "/" + path), exist_ok=True)
        self._clear()
        places = {name: self._place(name, value) for name, value in order["inputs"].items()}
        self.inputs_json.write(_encode(places).encode())
        self.params_json.write(_encode(order["params"]).encode())
        if stage["kind"] == "bash":
            self.assignments.write(assignments(places, order["params"]).encode("utf-8", "surrogateescape"))
        os.chdir(self.out)

    def log(self, log: ScratchFile, kept: str) -> Any:
        """A log for the record: its text when small, else the name of the file it is moved to."""
        data = log.take(SMALL_LOG)
        if data is not None:
            return data.decode("utf-8", "replace")
        log.move(kept)
        return {"file": os.path.basename(kept)}

    def _place(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        directory = self.inputs + "/" + name
        if isinstance(value, list):
            return [self._link("%s/%d" % (directory, number), one) for number, one in enumerate(value)]
        return self._link(directory, value)

    def _link(self, directory: str, value: Mapping[str, Any]) -> str:
        path: str = directory + "/" + value["file"]
        try:
            self._link_at(path, value)
        except FileNotFoundError:
            os.makedirs(directory, exist_ok=True)
            self._link_at(path, value)
        self._links.append(path)
        return path

    def _link_at(self, path: str, value: Mapping[str, Any]) -> None:
        if "text" in value:
            write_file(path, value["text"].encode())
        else:
            os.symlink(value["path"], path)

    def _clear(self) -> None:
        """Take away the links, and whatever a job has put beside them or in their place."""
        for path in self._links:
            try:
                os.unlink(path)
            except OSError:
                remove_tree(path)
        for directory in {os.path.dirname(path) for path in self._links}:
            if not os.path.isdir(directory) or os.listdir(directory):
                remove_tree(directory)
        self._links = []
        for directory in (self.tmp, self.home):
            with os.scandir(directory) as listing:
                leftovers = [entry.path for entry in listing]
            for path in leftovers:
                remove_tree(path)

    def remove(self) -> None:
        """Take the scratch away."""
        os.chdir("/")
        shutil.rmtree(self.directory, ignore_errors=True)
        remove_tree(self.directory)


def environment(order: Mapping[str, Any], stage: Mapping[str, Any], scratch: Scratch) -> dict[str, str]:
    """A job's whole environment: nothing of the runner's gets through (decision: the same bytes everywhere)."""
    return {
        "PATH": stage["path"],
        "HOME": scratch.home,
        "TMPDIR": scratch.tmp,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": str(order["cpus"]),
        **stage["env"],
    }


def assignments(inputs: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """What a Bash script sources instead of starting jq twice: every input and param as a variable and in its array."""
    lines = []
    members = []
    for name, value in inputs.items():
        if isinstance(value, list):
            lines.append("%s=(%s)" % (name, " ".join(map(quote, value))))
            members.append("[%s]=%s" % (quote(name), quote("\n".join(value))))
        elif value is None:
            lines.append(name + "=''")
        else:
            lines.append("%s=%s" % (name, quote(value)))
            members.append("[%s]=%s" % (quote(name), quote(value)))
    lines.append("declare -A inputs=(%s)" % " ".join(members))
    members = []
    for name, value in params.items():
        text = shell_text(value)
        lines.append("%s=%s" % (name, quote(text)))
        if value is not None:
            members.append("[%s]=%s" % (quote(name), quote(text)))
    lines.append("declare -A params=(%s)" % " ".join(members))
    return "\n".join(lines) + "\n"


def quote(text: str) -> str:
    """`text` as one word of Bash, whatever is in it."""
    return "'" + text.replace("'", "'\\''") + "'"


def shell_text(value: Any) -> str:
    """A param as Bash sees it; the same text as jq's `tostring`, and nothing at all for null."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return str(json.dumps(value))


class Attempt:
    """A started job. `wait` returns when it has ended, was stopped, or ran out of time."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], scratch: Scratch) -> None:
        self.start = time.time()
        self._began = time.monotonic()
        self.pid = os.posix_spawn(
            argv[0],
            list(argv),
            dict(env),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, scratch.stdout.descriptor, 1),
                (os.POSIX_SPAWN_DUP2, scratch.stderr.descriptor, 2),
            ],
            setpgroup=0,
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP, signal.SIGCHLD),
            setsigmask=(),
        )

    def wait(self, time_limit_s: float | None, pause: Callable[[float | None], bool]) -> dict[str, Any]:
        """Wait for the end; `pause(seconds)` sleeps until a child ends or the timeout, and says whether to stop.

        Returns the fields of an attempt: start, end, exit, signal, cause, max_rss, cpu.
        """
        stopped = ""
        deadline = None if time_limit_s is None else self._began + time_limit_s
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            must_stop = pause(left)
            if must_stop and not stopped:
                stopped = "cancelled"
            elif not stopped and deadline is not None and time.monotonic() >= deadline:
                stopped = "timeout"
            if stopped:
                pid, status, usage = self._stop()
                break
        # Whatever the script left running in its group goes with it.
        kill_group(self.pid)
        exit_status = os.waitstatus_to_exitcode(status)
        cause = stopped or ("" if exit_status == 0 else "exit" if exit_status > 0 else "signal")
        return {
            "start": round(self.start, 3),
            "end": round(self.start + time.monotonic() - self._began, 3),
            "host": HOST,
            "boot": BOOT,
            "exit": exit_status if exit_status >= 0 else None,
            "signal": -exit_status if exit_status < 0 else None,
            "cause": cause,
            "detail": "",
            "max_rss": usage.ru_maxrss * 1024,
            "cpu": round(usage.ru_utime + usage.ru_stime, 6),
        }

    def _stop(self) -> tuple[int, int, Any]:
        kill_soft = time.monotonic() + GRACE_S
        _signal(self.pid, signal.SIGTERM)
        while time.monotonic() < kill_soft:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                return pid, status, usage
            time.sleep(0.01)
        _signal(self.pid, signal.SIGKILL)
        return os.wait4(self.pid, 0)


def collect_outputs(stage: Mapping[str, Any], out: str) -> tuple[dict[str, Any], str]:
    """Each declared output with its digest and size, and a complaint when one is missing or cannot be kept."""
    outputs = {}
    missing = []
    if os.path.islink(out) or not os.path.isdir(out):
        return {}, "the script has removed $out, or put something else in its place"
    for name, path in stage["outputs"].items():
        try:
            digest, size = digest_and_size(out + "/" + path, root=out)
        except (FileNotFoundError, NotADirectoryError):
            missing.append("%s ($out/%s)" % (name, path))
            continue
        except PermissionError as error:
            return {}, "output %s cannot be read: %s" % (name, str(error.filename).replace(out, "$out"))
        except TreeError as error:
            return {}, "output %s: %s" % (name, str(error).replace(out, "$out"))
        outputs[name] = {"path": path, "digest": digest, "size": size}
    if missing:
        return {}, "the script ended well but did not make: " + ", ".join(missing)
    extra = set(os.listdir(out)).difference(stage["outputs"].values())
    if extra:
        # Files nobody declared are kept as well, so they too must be of a kind that can be.
        try:
            digest_and_size(out)
        except TreeError as error:
            return {}, str(error).replace(out, "$out")
    return outputs, ""


def end_leftovers(me: int) -> None:
    """Kill and reap what escaped a job's process group: this process is their subreaper."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            continue
        try:
            children = read_file("/proc/self/task/%d/children" % me).split()
        except OSError:
            return
        if not children:
            return
        for child in children:
            _kill_process(int(child))


def claim_and_start(
    claim: ClaimFile, job: str, argv: Sequence[str], env: Mapping[str, str], scratch: Scratch
) -> Attempt:
    """Start a job and write its process group into the claim, so that a rescuer can end it."""
    attempt = Attempt(argv, env, scratch)
    try:
        claim.update(job, attempt.pid)
    except BaseException:
        kill_group(attempt.pid)
        raise
    return attempt


def _kill_process(pid: int) -> None:
    _signal_one(pid, signal.SIGKILL)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def _signal_one(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


_encode = json.JSONEncoder().encode
HOST = socket.gethostname()
BOOT = boot_id()

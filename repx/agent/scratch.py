"""The scratch of one slot: what a job finds before it starts, and the environment it gets; starts nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from typing import Any

from repx.agent.base.files import ScratchFile, discard_tree, hardlink_or_symlink, remove_tree, walk, write_file
from repx.agent.base.layout import short_name
from repx.agent.base.value import shell_text
from repx.agent.job_log import SMALL_LOG, JobLogs
from repx.agent.resolve import Given, InputValue, ItemInput
from repx.agent.resolved_job import ResolvedJob
from repx.agent.sandbox import GROUP, HOSTS, INSIDE, PASSWD, STORE_DIR, USER, Sandbox
from repx.agent.sandbox_inputs import SandboxInputs

_OWN_MODE = 0o700
_SHORT = 40
"""Bytes that a slot's directory may have: a socket's path has 107 (unix(7)), of which libraries want 60."""


class Scratch:
    """The reused directories and files of one slot: in/, out/, tmp/, home/, the script's arguments and its logs.

    `shown` is what the last job's sandbox has to show beyond this directory: (path outside, path inside).
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.out = directory + "/out"
        self.inputs = directory + "/in"
        self.tmp = directory + "/tmp"
        self.home = directory + "/home"
        self.etc = directory + "/etc"
        self.results = directory + "/results"
        self._is_shown = False
        for path in (directory, self.inputs, self.tmp, self.home):
            os.makedirs(path, exist_ok=True)
        short = _short_directory(directory)
        self.native_tmp = short + "/tmp"
        self.native_home = short + "/home"
        self.inputs_json = ScratchFile(directory + "/inputs.json")
        self.params_json = ScratchFile(directory + "/params.json")
        self.assignments = ScratchFile(directory + "/params.sh")
        self.logs = JobLogs(directory)
        self._links: list[str] = []
        self.shown: list[tuple[str, str]] = []

    def prepare(self, job: ResolvedJob) -> None:
        """Make $out and the logs empty, place the inputs, write the arguments."""
        self.logs.begin()
        try:
            os.mkdir(self.out)
        except FileExistsError:
            # What a failed job has left, or a link that it has put there.
            discard_tree(self.out)
            os.mkdir(self.out)
        for path in job.job.stage.outputs.values():
            if "/" in path:
                os.makedirs(os.path.dirname(self.out + "/" + path), exist_ok=True)
        self._clear()
        box = job.start.sandbox
        if box is None:
            places = {name: self._place(name, value) for name, value in job.inputs.items()}
        else:
            places = self._show(job, box)
        self.inputs_json.write(_encode(places).encode())
        self.params_json.write(_encode(job.params).encode())
        if job.job.stage.kind == "bash":
            self.assignments.write(assignments(places, job.params).encode("utf-8", "surrogateescape"))
        os.chdir(self.out)

    def seen(self, path: str, box: Sandbox | None) -> str:
        """A path below this directory as a job sees it."""
        return path if box is None else INSIDE + path[len(self.directory) :]

    def chown_to_user(self) -> None:
        """Let the ordinary user of a container write where a job may. Root has to do this, and nobody else can."""
        if os.geteuid() == 0:
            self._own(USER)

    def chown_back(self) -> None:
        """Own again what a container's user has left, and let the user of the next container read it."""
        if os.geteuid() == 0:
            self._own(0)
            for entry in walk(self.out):
                mode = os.lstat(entry).st_mode
                if not stat.S_ISLNK(mode):
                    os.chmod(entry, stat.S_IMODE(mode) | (0o555 if mode & 0o100 else 0o444))

    def _own(self, user: int) -> None:
        for directory in (self.out, self.tmp):
            for entry in walk(directory):
                os.chown(entry, user, user, follow_symlinks=False)

    def _place(self, name: str, value: Given) -> str | list[str] | None:
        if value is None:
            return None
        directory = self.inputs + "/" + name
        if isinstance(value, list):
            return [self._link("%s/%d" % (directory, number), one) for number, one in enumerate(value)]
        return self._link(directory, value)

    def _link(self, directory: str, value: InputValue) -> str:
        path = directory + "/" + value.file
        try:
            self._link_at(path, value)
        except FileNotFoundError:
            os.makedirs(directory, exist_ok=True)
            self._link_at(path, value)
        self._links.append(path)
        return path

    def _link_at(self, path: str, value: InputValue) -> None:
        if isinstance(value, ItemInput):
            write_file(path, value.text.encode())
        else:
            hardlink_or_symlink(value.path, path)

    def _show(self, job: ResolvedJob, box: Sandbox) -> dict[str, Any]:
        """Place the inputs for a sandbox; where each is in there."""
        if not os.path.isdir(self.etc):
            os.mkdir(self.etc)
            for name, text in (("passwd", PASSWD), ("group", GROUP), ("hosts", HOSTS)):
                write_file(self.etc + "/" + name, text.encode())
            for path in box.mounts:
                if path.startswith("/etc/"):
                    _make_place(path, self.directory + path)
        shown = SandboxInputs(self.inputs, self.results, box)
        places = {name: shown.place(name, value) for name, value in job.inputs.items()}
        self.shown = shown.binds
        if box.kind != "bwrap":
            # An image has the closure and nothing else of the Lab: the script, and the stored paths among the params.
            self.shown += [(box.store + "/" + name, STORE_DIR + "/" + name) for name in (box.stage, *job.stored)]
        self._is_shown = True
        return places

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
        if self._is_shown:
            self._is_shown = False
            remove_tree(self.results)
            remove_tree(self.inputs)
            os.mkdir(self.inputs)
        for directory in (self.tmp, self.home):
            _empty(directory)

    def remove(self) -> None:
        """Take the scratch away."""
        os.chdir("/")
        with contextlib.suppress(OSError):
            os.unlink(short_name(self.directory))
        shutil.rmtree(self.directory, ignore_errors=True)
        # What a job has made somebody else's stays.
        with contextlib.suppress(PermissionError):
            remove_tree(self.directory)


def end_of_log(path: str) -> str:
    """The last `SMALL_LOG` bytes of a log's file, from the beginning of a line on; empty when there is no such file."""
    try:
        with open(path, "rb") as file:
            position = max(0, file.seek(0, os.SEEK_END) - SMALL_LOG)
            file.seek(position)
            data = file.read(SMALL_LOG)
    except OSError:
        return ""
    whole = data[data.find(b"\n") + 1 :] if position else data
    return (whole or data).decode("utf-8", "replace")


def _short_directory(directory: str) -> str:
    """A slot's directory by its short name, where it needs one and can have it."""
    short = short_name(directory)
    if len(directory) <= _SHORT:
        return directory
    with contextlib.suppress(OSError):
        os.symlink(directory, short)
    try:
        return short if os.readlink(short) == directory else directory
    except OSError:
        return directory


def _empty(directory: str) -> None:
    """Have a directory there, empty and its owner's, whatever a job has made of it."""
    try:
        with os.scandir(directory) as listing:
            leftovers = [entry.path for entry in listing]
        if not leftovers and stat.S_IMODE(os.lstat(directory).st_mode) == _OWN_MODE:
            return
    except OSError:
        leftovers = None
    if leftovers is None or os.path.islink(directory):
        remove_tree(directory)
        os.mkdir(directory)
        leftovers = []
    os.chmod(directory, _OWN_MODE)
    try:
        for path in leftovers:
            remove_tree(path)
    except PermissionError:
        discard_tree(directory)
        os.mkdir(directory, _OWN_MODE)


def _make_place(shown: str, place: str) -> None:
    """Something to mount `shown` on, since nothing can be made in a sandbox's /etc."""
    os.makedirs(place if os.path.isdir(shown) else os.path.dirname(place), exist_ok=True)
    if not os.path.lexists(place):
        write_file(place, b"")


def environment(job: ResolvedJob, scratch: Scratch) -> dict[str, str]:
    """A job's whole environment: of the runner's only what its target lets through."""
    start = job.start
    return {
        "PATH": start.path,
        "HOME": scratch.native_home if start.sandbox is None else "/tmp",
        "TMPDIR": scratch.native_tmp if start.sandbox is None else "/tmp",
        # As a sandbox calls it: what reads it writes the same bytes everywhere.
        "USER": "repx",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": str(job.cpus),
        **start.passed,
        **start.env,
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


_encode = json.JSONEncoder().encode

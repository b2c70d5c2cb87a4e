"""`repx` as a fork of this process, which has imported everything already: half a second less for each command."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import NoReturn

import repx
from repx.cli import main as cli

for module in walk_packages(repx.__path__, "repx."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
# Commands import it when they need it first: a tenth of a second for each that realizes.
import_module("jinja2")


def fork_repx(
    argv: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    stdout: Path,
    stderr: Path,
    *,
    has_group: bool = False,
) -> int:
    """Start a command; `has_group` gives it a process group of its own, as a shell does. Its process id."""
    pid = os.fork()
    if pid == 0:
        try:
            _become(list(argv), folder, environment, stdout, stderr, has_group=has_group)
        finally:
            os._exit(99)
    return pid


def run_repx(
    argv: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as `subprocess.run` does."""
    with tempfile.TemporaryDirectory(prefix="repx-said-", dir="/tmp") as place:
        stdout, stderr = Path(place, "stdout"), Path(place, "stderr")
        pid = fork_repx(argv, folder, environment, stdout, stderr)
        end = os.pidfd_open(pid)
        try:
            ended, _, _ = select.select([end], [], [], timeout_s)
        finally:
            os.close(end)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert ended, f"repx {' '.join(argv)} does not end"
        return subprocess.CompletedProcess(list(argv), status, stdout.read_text(), stderr.read_text())


def _become(
    argv: list[str], folder: Path, environment: Mapping[str, str], stdout: Path, stderr: Path, *, has_group: bool
) -> NoReturn:
    """Be `repx` from here on."""
    if has_group:
        os.setpgid(0, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # remembered from another TMPDIR
    for number, path in ((0, Path(os.devnull)), (1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in ((0, "r"), (1, "w"), (2, "w")))
    warnings.resetwarnings()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 0
    try:
        cli.main(argv)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

"""What this machine lets a job be shut into, tried here and where it is forbidden for real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repx.agent.capabilities import bwrap_problem, forbidding_sysctl, user_namespace_problem, writing_problem

PROBES = "from repx.agent.capabilities import *; "
FORBID = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'

needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap on PATH")


def script(place: Path, text: str) -> str:
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return str(place)


def settings(place: Path, **values: str) -> str:
    """Kernel settings as they stand below /proc/sys; a name's first `_` is its dot."""
    for name, value in values.items():
        folder, _, file = name.partition("_")
        (place / folder).mkdir(exist_ok=True)
        (place / folder / file).write_text(value + "\n")
    return str(place)


def probed_in(starter: list[str], probe: str) -> str:
    """What a probe says in a process that is started by another program."""
    argv = [*starter, sys.executable, "-c", f"{PROBES}print({probe})"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return done.stdout.strip()


def test_a_user_namespace_is_made_where_the_kernel_lets_unshare_make_one() -> None:
    made = subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode == 0
    assert (user_namespace_problem() == "") is made


@pytest.mark.real
def test_the_setting_that_forbids_user_namespaces_is_named() -> None:
    """Inside a user namespace its maker may set how many more there may be, and the machine is not touched."""
    problem = probed_in(["unshare", "-Ur", "sh", "-c", FORBID, "sh"], "user_namespace_problem()")
    assert problem == "No space left on device (user.max_user_namespaces = 0 forbids user namespaces)"


def test_each_setting_that_forbids_is_known_and_one_that_allows_is_not_blamed(tmp_path: Path) -> None:
    assert forbidding_sysctl(str(tmp_path)) == ""
    place = settings(tmp_path, user_max_user_namespaces="96364", kernel_apparmor_restrict_unprivileged_userns="0")
    assert forbidding_sysctl(place) == ""
    settings(tmp_path, kernel_apparmor_restrict_unprivileged_userns="1")
    assert forbidding_sysctl(place) == "kernel.apparmor_restrict_unprivileged_userns = 1"
    settings(tmp_path, kernel_unprivileged_userns_clone="0")
    assert forbidding_sysctl(place) == "kernel.unprivileged_userns_clone = 0"


def test_bubblewrap_says_why_it_cannot_start(tmp_path: Path) -> None:
    place = settings(tmp_path, kernel_apparmor_restrict_unprivileged_userns="1")
    bwrap = script(tmp_path / "bwrap", "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1")
    assert bwrap_problem(bwrap, str(tmp_path / "none")) == "setting up uid map: Permission denied"
    assert bwrap_problem(bwrap, place) == (
        "setting up uid map: Permission denied "
        "(kernel.apparmor_restrict_unprivileged_userns = 1 forbids user namespaces)"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [("exit 3", "ends with status 3 and no word"), ("exit 0", ""), ("kill -9 $$", "ends with status -9 and no word")],
)
def test_how_it_ends_is_what_counts(tmp_path: Path, text: str, problem: str) -> None:
    assert bwrap_problem(script(tmp_path / "bwrap", text), str(tmp_path)) == problem


def test_a_bubblewrap_that_is_no_program_is_a_problem_and_no_error(tmp_path: Path) -> None:
    assert bwrap_problem(str(tmp_path / "gone"), str(tmp_path)) == "does not start: No such file or directory"
    (tmp_path / "text").write_text("")
    assert bwrap_problem(str(tmp_path / "text"), str(tmp_path)) == "does not start: Permission denied"


@pytest.mark.real
@needs_bwrap
def test_a_sandbox_that_may_not_mount_proc_is_no_sandbox() -> None:
    """In a sandbox without rights of its own, as in most containers: bwrap starts, and `/proc` is refused it."""
    bwrap = str(shutil.which("bwrap"))
    assert bwrap_problem(bwrap) == ""
    unprivileged = [bwrap, "--unshare-user", "--uid", "1000", "--ro-bind", "/", "/"]
    inner = probed_in([*unprivileged, "--proc", "/proc", "--dev", "/dev"], f"bwrap_problem({bwrap!r})")
    assert "proc" in inner
    assert "not permitted" in inner


def test_trying_to_write_leaves_nothing(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mtime_ns
    assert writing_problem(str(tmp_path)) == ""
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat().st_mtime_ns == before
    assert writing_problem(str(tmp_path / "gone")) == "there is no such directory"
    (tmp_path / "file").write_text("")
    assert writing_problem(str(tmp_path / "file")) == os.strerror(20)


@pytest.mark.real
@needs_bwrap
def test_a_read_only_disk_is_told_from_a_missing_right(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    read_only = [str(shutil.which("bwrap")), "--ro-bind", "/", "/"]
    assert probed_in(read_only, f"writing_problem({str(tmp_path)!r})") == "Read-only file system"
    tmp_path.chmod(0o555)
    one_of_many = ["--unshare-user", "--uid", "1000", "--cap-drop", "ALL", "--bind", "/", "/"]
    assert probed_in([read_only[0], *one_of_many], f"writing_problem({str(tmp_path)!r})") == "Permission denied"

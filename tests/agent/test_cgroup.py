"""Limits that the kernel enforces, where this machine hands on control groups; and what is said where it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repx.agent.cgroup import JobLimits, version
from tests.machine import needs

WAIT = "import sys, time; sys.stdin.read(1); "
MIB = 1 << 20


def work_in(limits: JobLimits, program: str) -> tuple[int, str]:
    """Exit status and answer of a Python program that begins when it is in the groups."""
    child = subprocess.Popen([sys.executable, "-c", WAIT + program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    limits.add(child.pid)
    answer, _ = child.communicate(b"x")
    return child.returncode, answer.decode().strip()


def given(limits: JobLimits, controller: str) -> JobLimits:
    """The limits, where this machine gives that one."""
    needs(controller not in limits.problems, f"{controller} cannot be limited here: {limits.problems.get(controller)}")
    return limits


def groups() -> list[str]:
    """Job groups of any process that are there now."""
    found = subprocess.run(
        ["find", "/sys/fs/cgroup", "-name", "repx-job-*", "-type", "d"], capture_output=True, text=True, check=False
    )
    return found.stdout.split()


@pytest.mark.real
def test_who_takes_more_memory_than_asked_for_is_ended_and_it_is_told() -> None:
    with JobLimits(64 * MIB, None) as limits:
        given(limits, "memory")
        assert work_in(limits, "print(len(bytearray(16 << 20)))") == (0, str(16 * MIB))
        assert limits.memory_kills() == 0
        assert work_in(limits, "print(len(bytearray(200 << 20)))") == (-9, "")
        assert limits.memory_kills() == 1
        assert limits.problems == {}


@pytest.mark.real
def test_half_a_processor_is_half_of_the_time() -> None:
    spin = "end = time.time() + 1\nwhile time.time() < end: pass\nprint(time.process_time())"
    with JobLimits(None, 0.5) as limits:
        given(limits, "cpu")
        status, seconds = work_in(limits, f"exec({spin!r})")
    assert status == 0
    assert float(seconds) < 0.75


@pytest.mark.real
def test_what_a_process_starts_is_limited_with_it() -> None:
    inner = f"{sys.executable} -c 'bytearray(200 << 20)'"
    with JobLimits(64 * MIB, None) as limits:
        given(limits, "memory")
        assert work_in(limits, f"import os; print(os.waitstatus_to_exitcode(os.system({inner!r})))") == (0, "137")


@pytest.mark.real
def test_the_groups_are_gone_at_the_end_also_after_a_kill() -> None:
    with JobLimits(64 * MIB, 1.0) as limits:
        given(limits, "memory")
        made = {group for group in groups() if group in limits.directories()}
        assert made == set(limits.directories())
        work_in(limits, "bytearray(200 << 20)")
    assert made.isdisjoint(groups())


def test_nothing_asked_for_is_nothing_made() -> None:
    with JobLimits(None, None) as limits:
        assert (limits.directories(), limits.problems) == ([], {})
        limits.add(os.getpid())
        assert limits.memory_kills() == 0


def test_a_process_that_has_ended_is_a_problem_and_no_error() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    with JobLimits(64 * MIB, None) as limits:
        given(limits, "memory")
        limits.add(child.pid)
        assert limits.problems == {"memory": "the process cannot be moved: No such process"}


def proc(place: Path, cgroup: str, mountinfo: str) -> str:
    """A /proc/self with these two files."""
    place.mkdir(exist_ok=True)
    (place / "cgroup").write_text(cgroup)
    (place / "mountinfo").write_text(mountinfo)
    return str(place)


def test_a_machine_without_control_groups_limits_nothing(tmp_path: Path) -> None:
    for place in (str(tmp_path), proc(tmp_path / "proc", "", "22 1 0:5 / /proc rw - proc proc rw\n")):
        limits = JobLimits(MIB, 1.0, place)
        hands_on = "no control group of this process hands on the controller"
        assert limits.problems == {"memory": f"{hands_on} 'memory'", "cpu": f"{hands_on} 'cpu'"}
        assert version(place) == "none"


def test_under_version_2_the_group_lies_beside_ours_where_controllers_are_handed_on(tmp_path: Path) -> None:
    """A common directory shows where it is tried; that it is no control group shows in the files that do not come."""
    slice_, scope = tmp_path / "cg/user.slice", tmp_path / "cg/user.slice/run.scope"
    scope.mkdir(parents=True)
    for group, controllers in ((slice_, "cpu memory pids"), (scope, "")):
        (group / "cgroup.subtree_control").write_text(controllers + "\n")
        (group / "cgroup.procs").write_text("")
    place = proc(
        tmp_path / "proc", "0::/user.slice/run.scope\n", f"30 1 0:26 / {tmp_path}/cg rw shared:4 - cgroup2 none rw\n"
    )
    assert version(place) == "v2"
    limits = JobLimits(MIB, None, place)
    assert limits.problems == {"memory": f"No such file or directory in {slice_}"}
    assert sorted(one.name for one in slice_.iterdir()) == ["cgroup.procs", "cgroup.subtree_control", "run.scope"]
    (slice_ / "cgroup.subtree_control").write_text("pids\n")
    assert version(place) == "none"


def test_the_group_around_a_worker_does_not_stand_between_a_job_and_its_limits(tmp_path: Path) -> None:
    scope = tmp_path / "cg/user.slice/run.scope"
    (scope / "repx-worker-abc-0").mkdir(parents=True)
    for group in (tmp_path / "cg/user.slice", scope, scope / "repx-worker-abc-0"):
        (group / "cgroup.subtree_control").write_text("memory\n" if group.name == "user.slice" else "\n")
        (group / "cgroup.procs").write_text("")
    place = proc(
        tmp_path / "proc",
        "0::/user.slice/run.scope/repx-worker-abc-0\n",
        f"30 1 0:26 / {tmp_path}/cg rw shared:4 - cgroup2 none rw\n",
    )
    assert version(place) == "v2"
    assert JobLimits(MIB, None, place).problems == {
        "memory": f"No such file or directory in {tmp_path / 'cg/user.slice'}"
    }


def test_a_group_is_found_where_only_its_part_of_the_hierarchy_is_mounted(tmp_path: Path) -> None:
    """As in a container without a namespace of its own: the path is the host's, the mount begins at the container."""
    (tmp_path / "cg/inner").mkdir(parents=True)
    place = proc(
        tmp_path / "proc",
        "4:memory:/docker/abc/inner\n1:name=systemd:/\n",
        f"30 1 0:26 /docker/abc {tmp_path}/cg rw - cgroup none rw,memory\n",
    )
    (tmp_path / "cg/inner/cgroup.procs").write_text("")
    assert version(place) == "v1"
    limits = JobLimits(MIB, None, place)
    assert limits.problems == {"memory": f"No such file or directory in {tmp_path}/cg/inner"}
    assert [one.name for one in (tmp_path / "cg/inner").iterdir()] == ["cgroup.procs"]

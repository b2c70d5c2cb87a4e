"""What control groups allow: the smallest limit on the way up counts, in every version and wherever it is mounted."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from repx.agent.allowance import allowed_cpus, allowed_memory
from repx.agent.cgroup import own_group_places
from tests.machine import needs

MIB = 1 << 20


class Machine:
    """A /proc/self and control groups as files."""

    def __init__(self, root: Path, version: int, path: str, root_shown: str = "/") -> None:
        self.groups = root / "cg"
        self.proc = root / "proc"
        self.proc.mkdir()
        name = "memory,cpu" if version == 1 else ""
        (self.proc / "cgroup").write_text(f"5:pids:/elsewhere\n4:{name}:{path}\n")
        kind, options = ("cgroup", "rw,memory,cpu") if version == 1 else ("cgroup2", "rw")
        (self.proc / "mountinfo").write_text(f"30 1 0:26 {root_shown} {self.groups} rw - {kind} none {options}\n")

    def set(self, group: str, file: str, text: str) -> None:
        place = self.groups / group
        place.mkdir(parents=True, exist_ok=True)
        (place / file).write_text(text + "\n")


def test_the_smallest_limit_on_the_way_up_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 2, "/slurm/job_7/step_0")
    machine.set("slurm/job_7/step_0", "memory.max", "max")
    machine.set("slurm/job_7/step_0", "cpu.max", "max 100000")
    machine.set("slurm/job_7", "memory.max", str(512 * MIB))
    machine.set("slurm/job_7", "cpu.max", "250000 100000")
    machine.set("slurm", "memory.max", str(4096 * MIB))
    machine.set("other", "memory.max", str(MIB))
    assert allowed_memory(str(machine.proc)) == 512 * MIB
    assert allowed_cpus(str(machine.proc)) == 2.5


def test_version_1_says_it_in_other_files(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 1, "/slurm/job_7")
    machine.set("slurm/job_7", "memory.limit_in_bytes", str(9223372036854771712))
    machine.set("slurm", "memory.limit_in_bytes", str(512 * MIB))
    machine.set("slurm/job_7", "cpu.cfs_quota_us", "-1")
    machine.set("slurm/job_7", "cpu.cfs_period_us", "100000")
    machine.set("slurm", "cpu.cfs_quota_us", "50000")
    machine.set("slurm", "cpu.cfs_period_us", "100000")
    assert allowed_memory(str(machine.proc)) == 512 * MIB
    assert allowed_cpus(str(machine.proc)) == 0.5


def test_a_container_sees_the_limit_at_its_mount(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 1, "/docker/abc/inner", "/docker/abc")
    machine.set(".", "memory.limit_in_bytes", str(64 * MIB))
    assert allowed_memory(str(machine.proc)) == 64 * MIB


@pytest.mark.parametrize("text", ["max", "", "nonsense"])
def test_where_nothing_limits_there_is_no_limit(tmp_path: Path, text: str) -> None:
    machine = Machine(tmp_path, 2, "/")
    machine.set(".", "memory.max", text)
    assert allowed_memory(str(machine.proc)) is None
    assert allowed_cpus(str(machine.proc)) is None
    assert allowed_memory(str(tmp_path / "none")) is None


@pytest.mark.real
def test_inside_of_an_allocation_its_limit_is_seen() -> None:
    """As a scheduler makes one: a limit on a group, and this process two groups below it."""
    places = own_group_places("memory")
    limit = next((file for file in ("memory.limit_in_bytes", "memory.max") if (Path(places[0]) / file).exists()), "")
    outer = Path(places[0]) / f"repx-test-{uuid.uuid4().hex[:8]}"
    try:
        (outer / "step").mkdir(parents=True)
        (outer / limit).write_text(str(512 * MIB))
    except OSError as error:
        needs(False, f"no group can be made here: {error}")
    try:
        code = "import sys; open(sys.argv[1], 'w').write('0'); from repx.runtime.limits import machine_memory as m; "
        done = subprocess.run(
            [sys.executable, "-c", code + "print(m())", str(outer / "step/cgroup.procs")],
            capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert (done.stdout, done.stderr) == (f"{512 * MIB}\n", "")
    finally:
        (outer / "step").rmdir()
        outer.rmdir()

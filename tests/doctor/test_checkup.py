"""`repx doctor` on machines drawn from small programs on a PATH, and on this one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.doctor.machine import Machine, machine_fixture, told
from tests.golden_texts import Golden, golden_fixture

__all__ = ["golden_fixture", "machine_fixture"]


def test_a_machine_with_nothing_is_told_what_each_thing_would_give(machine: Machine, golden: Golden) -> None:
    rows, of_this_machine, kept = machine.doctor().splitlines(), False, []
    for row in rows:
        if row.startswith("  ") and not row.startswith("   "):
            name = row[2:17].strip()
            of_this_machine = name in ("Python", "ShellCheck", "shfmt", "store", "user namespaces", "job limits")
        elif not row.startswith(" "):
            of_this_machine = False
        if not of_this_machine:
            kept.append(row)
    assert max(map(len, rows)) <= 100
    golden("doctor/nothing.txt", "\n".join(kept) + "\n")


def test_what_is_lacking_says_what_for_and_how_to_get_it(machine: Machine) -> None:
    lacking = [row for row in machine.rows().values() if row["state"] == "no"]
    assert {"git", "Nix", "bubblewrap", "Podman", "Docker", "SSH", "Slurm"} <= {row["name"] for row in lacking}
    assert [row["name"] for row in lacking if not row["gives"] or not row["remedy"]] == []


def test_text_and_json_have_the_same_rows_in_the_same_order(machine: Machine) -> None:
    rows = json.loads(machine.doctor("--json"))
    assert set(rows[0]) == {"group", "name", "state", "found", "path", "gives", "remedy"}
    lines = [line for line in machine.doctor().splitlines() if line.startswith("  ") and not line.startswith("   ")]
    assert [tuple(line[2:26].split()) for line in lines] == [tuple(f"{r['name']} {r['state']}".split()) for r in rows]


def test_versions_are_found_where_each_program_says_them(machine: Machine) -> None:
    ssh = machine.has("ssh", "echo 'OpenSSH_9.2p1 Debian-2+deb12u5, OpenSSL 3.0.15 3 Sep 2024' >&2")
    machine.has("dot", "echo 'dot - graphviz version 2.43.0 (0)' >&2")
    machine.has("git", "echo 'git version 2.39.5'")
    machine.has("python3", "echo 'Python 3.8.10'")
    rows = machine.rows()
    assert told(rows["SSH"]) == ("yes", "9.2p1")
    assert rows["SSH"]["path"] == ssh
    assert told(rows["Graphviz"]) == ("yes", "2.43.0")
    assert told(rows["git"]) == ("yes", "2.39.5")
    assert told(rows["python3 on PATH"]) == ("no", "3.8.10: too old")
    assert rows["Python"]["state"] == rows["ShellCheck"]["state"] == rows["shfmt"]["state"] == "yes"


def test_a_bubblewrap_that_cannot_start_is_none(machine: Machine) -> None:
    fails = "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1"
    machine.has("bwrap", f"case $1 in --version) echo 'bubblewrap 0.8.0';; *) {fails};; esac")
    state, found = told(machine.rows()["bubblewrap"])
    assert state == "no"
    assert found.startswith("0.8.0: setting up uid map: Permission denied")


def test_slurm_without_a_controller_is_limited(machine: Machine) -> None:
    machine.has("sbatch", "echo 'slurm-wlm 22.05.8'")
    machine.has("squeue", "exit 1")
    why = "slurm_load_partitions: Unable to contact slurm controller (connect failure)"
    machine.has("sinfo", f"echo '{why}' >&2; exit 1")
    assert told(machine.rows()["Slurm"]) == ("limited", f"22.05.8: {why}")
    machine.has("sinfo", "printf 'debug\\nlong\\n'")
    assert told(machine.rows()["Slurm"]) == ("yes", "22.05.8, partitions debug, long")


def test_programs_that_hang_hold_nobody_up(machine: Machine) -> None:
    """All at once, each for its time: the sum of their limits would be more than half a minute."""
    for name in ("git", "dot", "ssh", "sbatch", "python3", "nix", "bwrap"):
        machine.has(name, f"exec {shutil.which('sleep')} 100")
    began = time.monotonic()
    rows = machine.rows()
    assert time.monotonic() - began < 12
    names = ["git", "Graphviz", "SSH", "Slurm", "python3 on PATH", "Nix", "bubblewrap"]
    assert [told(rows[name]) for name in names] == [("no", "no answer within 5 s")] * len(names)


def test_the_place_of_the_store(machine: Machine) -> None:
    row = machine.rows()["store"]
    assert row["path"] == f"{machine.place}/store"
    assert row["state"] == "yes"
    assert row["found"].endswith("G free, not made yet")
    (machine.place / "file").write_text("")
    assert told(machine.rows(f"{machine.place}/file/store")["store"]) == (
        "no",
        f"{machine.place}/file is not a directory",
    )
    assert machine.rows(str(machine.place))["store"]["found"].endswith("G free")


def test_nothing_is_written_by_looking(machine: Machine) -> None:
    """With the real programs: Nix, Podman and Docker like to keep things at home."""
    machine.environment["PATH"] = os.environ["PATH"]
    store = machine.place / "nix"
    machine.doctor()
    assert [list((machine.place / name).iterdir()) for name in ("home", "tmp")] == [[], []]
    assert not store.exists()
    assert not (machine.place / "store").exists()
    assert str(machine.place) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.real
def test_this_machine(machine: Machine) -> None:
    """What is on PATH is found, and says the version it says when it is asked by hand."""
    machine.environment = {"PATH": os.environ["PATH"]}
    rows = machine.rows()
    for name, program in [("Nix", "nix"), ("bubblewrap", "bwrap"), ("Podman", "podman"), ("git", "git")]:
        path = shutil.which(program)
        if path is None:
            assert told(rows[name]) == ("no", "not found")
            continue
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
        assert rows[name]["path"] == path
        assert rows[name]["state"] != "no", rows[name]
        assert rows[name]["found"].split(",")[0] in said
    starts = [str(shutil.which("unshare")), "-Urm", "true"]
    can = subprocess.run(starts, capture_output=True, check=False).returncode == 0
    assert rows["user namespaces"]["state"] == ("yes" if can else "no")

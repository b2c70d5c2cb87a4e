"""The package set host(): what a stage gets, what identifies it, and what is complained about."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import shutil
import sys
from pathlib import Path

import pytest

from repx.agent import command_identity
from repx.errors import CheckError, SourceLocation
from repx.model.software import ImportedModule, Software, SoftwareRequest
from repx.realizer.host import HostSoftware

BASE = ("bash", "mkdir", "rm")
PYTHON = ("python", f"{platform.python_implementation()} {platform.python_version()}")


def bash(script: str, *packages: str, line: int = 10) -> SoftwareRequest:
    return SoftwareRequest("total", "bash", packages, script, SourceLocation("experiment.py", line))


def python(*packages: str, imports: str = "") -> SoftwareRequest:
    modules = tuple(ImportedModule(name, SourceLocation("experiment.py", 3)) for name in imports.split())
    return SoftwareRequest("train", "python", packages, "pass", SourceLocation("experiment.py", 10), modules)


def resolve(request: SoftwareRequest, search_path: Path | str) -> Software:
    (software,) = HostSoftware(str(search_path)).resolve([request])
    return software


def executable(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


def sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A PATH of one folder with the base of a small machine and two tools."""
    folder = tmp_path / "machine"
    for name in (*BASE, "sort", "grep", "plotter"):
        executable(folder / name, f"\x7fELF {name}")
    executable(tmp_path / "opt" / "mawk", "\x7fELF mawk")
    (folder / "awk").symlink_to(tmp_path / "opt" / "mawk")
    return folder


def test_a_bash_stage_gets_what_it_lists_and_what_of_the_base_it_uses(machine: Path) -> None:
    software = resolve(bash("sort x | grep y", "plotter", "awk"), machine)
    names = ("awk", *BASE, "plotter", "sort", "grep")
    contents = {name: sha256(f"\x7fELF {'mawk' if name == 'awk' else name}") for name in names}
    assert software.identity == tuple(sorted((f"command.{name}", digest) for name, digest in contents.items()))
    assert software.manifest == {"kind": "host", "commands": dict(sorted(contents.items())), "distributions": {}}
    assert software.findings == ()


def test_a_python_stage_gets_the_interpreter_and_its_distributions(machine: Path) -> None:
    software = resolve(python("scikit-learn", "plotter", imports="sklearn numpy json"), machine)
    keys = [key for key, _ in software.identity]
    assert PYTHON in software.identity
    assert f"{importlib.metadata.version('numpy')} " in dict(software.identity)["distribution.numpy"]
    assert {"command.plotter", "distribution.scikit-learn", "distribution.scipy", "python.sha256"} <= set(keys)
    assert keys == sorted(keys)
    assert "command.bash" not in keys
    assert software.findings == ()
    assert software.manifest["python"] == {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "sha256": hashlib.sha256(Path(sys.executable).resolve().read_bytes()).hexdigest(),
    }


def test_manifests_are_json_and_name_no_place(machine: Path) -> None:
    for request in (bash("sort", "plotter"), python("numpy")):
        text = json.dumps(dict(resolve(request, machine).manifest))
        assert str(machine.parent) not in text
        assert sys.prefix not in text


def test_python3_changes_nothing_in_a_python_stage(machine: Path) -> None:
    assert resolve(python("numpy"), machine) == resolve(python("python3", "numpy", "python"), machine)


def test_python_is_the_interpreter_of_repx_whatever_path_says(machine: Path) -> None:
    without = resolve(bash("python3 -c 1; python -c 2", "python3"), machine)
    executable(machine / "python3", "a shim")
    executable(machine / "python", "another")
    assert resolve(bash("python3 -c 1; python -c 2", "python3"), machine) == without
    assert PYTHON in without.identity
    assert without.findings == ()


def test_a_bash_stage_with_a_distribution_has_python(machine: Path) -> None:
    software = resolve(bash("python3 -c 'import numpy'", "numpy"), machine)
    assert f"{importlib.metadata.version('numpy')} " in dict(software.identity)["distribution.numpy"]
    assert PYTHON in software.identity
    assert software.findings == ()


def test_a_distribution_is_no_command(machine: Path) -> None:
    (finding,) = resolve(bash("numpy", "numpy"), machine).findings
    assert finding.message == "command 'numpy' is not in the stage's software"


def test_a_command_goes_before_a_distribution_of_the_same_name(machine: Path) -> None:
    executable(machine / "numpy", "not the library")
    assert ("command.numpy", sha256("not the library")) in resolve(bash("numpy", "numpy"), machine).identity
    keys = {key for key, _ in resolve(python("numpy", imports="numpy"), machine).identity}
    assert {"command.numpy", "distribution.numpy"} <= keys


def test_content_is_what_counts(machine: Path, tmp_path: Path) -> None:
    before = resolve(bash("awk 1", "awk"), machine)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(machine, elsewhere)
    assert resolve(bash("awk 1", "awk"), elsewhere) == before
    executable(tmp_path / "opt" / "mawk", "\x7fELF another mawk")
    assert resolve(bash("awk 1", "awk"), machine).identity != before.identity


def test_findings_read_like_this(machine: Path) -> None:
    executable(machine / "zonalstats", "\x7fELF")
    script = "grpe x | zonalstats\njq . x\npython3 -c 1\n/usr/bin/sort\n"
    software = resolve(bash(script, "zonalstat", "scikit-lern", "no-such-thing-at-all"), machine)
    assert (
        "\n".join(CheckError(software.findings).lines())
        == """\
error: 8 findings in 1 stage
  experiment.py:10: total: package 'zonalstat' is neither a command of this machine nor an installed Python \
distribution
      did you mean zonalstats?
  experiment.py:10: total: package 'scikit-lern' is neither a command of this machine nor an installed Python \
distribution
      did you mean scikit-learn?
  experiment.py:10: total: package 'no-such-thing-at-all' is neither a command of this machine nor an installed Python \
distribution
      install no-such-thing-at-all, or take it from packages
  experiment.py:10: total: command 'grpe' is not in the stage's software
      install grpe, which this machine does not have, and add "grpe" to packages; did you mean grep?
  experiment.py:10: total: command 'zonalstats' is not in the stage's software
      add "zonalstats" to packages; this machine has it
  experiment.py:12: total: command 'python3' is not in the stage's software
      add "python3" to packages; this machine has it
  experiment.py:13: total: '/usr/bin/sort' is an absolute path, outside the stage's software
      write sort
  experiment.py:11: total: command 'jq' is not on this machine
      install jq
hint: nothing was written; correct these and run the same command again"""
    )


def test_a_machine_without_bash_is_told(tmp_path: Path) -> None:
    findings = resolve(bash("true"), tmp_path).findings
    assert [finding.message for finding in findings] == [f"command '{name}' is not on this machine" for name in BASE]


def test_a_command_that_may_not_be_read_is_told(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root reads everything, so the refusal is drawn.
    def refuse(path: str) -> str:
        raise PermissionError(path)

    monkeypatch.setattr("repx.realizer.host.command_identity", refuse)
    finding = resolve(bash("true", "plotter"), machine).findings[-2]
    assert finding.message == "command 'plotter' cannot be read, so nothing can identify it"


def test_relative_and_missing_entries_of_path_do_not_count(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(machine)
    assert resolve(bash("true", "plotter"), "").findings[0].message.startswith("package 'plotter' is neither")
    assert resolve(bash("true", "plotter"), f":.:/no/such/place:{machine}").findings == ()


def test_path_is_the_default(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(machine))
    (software,) = HostSoftware().resolve([bash("plotter", "plotter")])
    assert ("command.plotter", sha256("\x7fELF plotter")) in software.identity


def test_answers_come_in_order_and_each_command_is_read_once(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: str) -> str:
        read.append(Path(path).name)
        return sha256(path)

    monkeypatch.setattr(command_identity, "file_sha256", counted)
    for name in ("sort", "plotter", *BASE):
        executable(machine / name, f"{name} {machine}")
    requests = [bash(f"sort {n}; plotter", *(["plotter"] if n % 2 else [])) for n in range(500)]
    answers = HostSoftware(str(machine)).resolve(requests)
    assert [len(answer.findings) for answer in answers] == [1, 0] * 250
    assert sorted(read) == sorted([*BASE, "plotter", "sort"])


def test_the_same_requests_get_the_same_answers(machine: Path) -> None:
    requests = [bash("awk 1 | foo", "awk", "x"), python("numpy", "y", imports="scipy"), bash("sort")]
    assert HostSoftware(str(machine)).resolve(requests) == HostSoftware(str(machine)).resolve(requests)
    assert HostSoftware(str(machine)).resolve([]) == []

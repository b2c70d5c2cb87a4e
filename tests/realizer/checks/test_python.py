"""Checks of Python stages: syntax, and imports that the stage's packages bring."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from repx.errors import CheckError, SourceLocation
from repx.model.software import ImportedModule, SoftwareRequest
from repx.realizer.checks.distributions import Distributions
from repx.realizer.checks.python import check_python


def request(imports: str, *packages: str, script: str = "pass", optional: bool = False) -> SoftwareRequest:
    modules = tuple(
        ImportedModule(name, SourceLocation("experiment.py", 3 + n), optional) for n, name in enumerate(imports.split())
    )
    return SoftwareRequest("train", "python", packages, script, SourceLocation("experiment.py", 10), modules)


def world(tmp_path: Path, distributions: Mapping[str, tuple[str, str, str]]) -> Distributions:
    """Installed distributions, drawn as name to (version, modules, requirements by comma)."""
    for name, (version, modules, requirements) in distributions.items():
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requirements.split(",") if r)]
        (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")
        (info / "RECORD").write_text("".join(f"{module}/__init__.py,,\n" for module in modules.split()))
    return Distributions([str(tmp_path)])


@pytest.fixture
def installed(tmp_path: Path) -> Distributions:
    return world(
        tmp_path,
        {
            "scikit-learn": ("1.5", "sklearn", "NumPy>=1,scipy,absent"),
            "scipy": ("1.14", "scipy", "numpy; python_version >= '3'"),
            "numpy": ("2.1", "numpy", "old; python_version < '3'"),
            "old": ("1", "old", ""),
            "pandas": ("2.2", "pandas", "numpy,xlsx-io; extra == 'excel',pandas[excel]; extra == 'all'"),
            "xlsx-io": ("3", "xlsx", "pandas"),
            "cloud-a": ("1", "cloud", ""),
            "cloud-b": ("1", "cloud", "nonsense requirement line"),
        },
    )


def test_findings_read_like_this(installed: Distributions) -> None:
    (findings,) = check_python([request("sklearn.svm scipy.stats cloud json no_such_module", "pandas")], installed)
    assert (
        "\n".join(CheckError(findings).lines())
        == f"""\
error: 4 findings in 1 stage
  experiment.py:3: train: module 'sklearn' is not in the stage's software
      add "scikit-learn" to packages
  experiment.py:4: train: module 'scipy' is not in the stage's software
      add "scipy" to packages
  experiment.py:5: train: module 'cloud' is not in the stage's software
      add "cloud-a" or "cloud-b" to packages
  experiment.py:7: train: module 'no_such_module' is not installed in {sys.executable}
      install it and add it to packages
hint: nothing was written; correct these and run the same command again"""
    )


@pytest.mark.parametrize(
    ("imports", "packages"),
    [
        ("os.path json __future__ _thread", ""),
        ("sklearn", "scikit-learn"),
        ("sklearn", "Scikit_Learn"),
        ("sklearn", "sklearn"),
        ("numpy scipy", "scikit-learn"),
        ("numpy", "python3 scipy"),
        ("cloud.storage", "cloud-b"),
        ("xlsx", "pandas[excel]"),
        ("xlsx", "pandas[all]"),
    ],
)
def test_what_a_listed_distribution_brings_is_allowed(imports: str, packages: str, installed: Distributions) -> None:
    assert check_python([request(imports, *packages.split())], installed) == [()]


@pytest.mark.parametrize(("imports", "packages"), [("old", "numpy"), ("xlsx", "pandas"), ("sklearn", "python3 numpy")])
def test_what_it_does_not_require_here_is_not(imports: str, packages: str, installed: Distributions) -> None:
    ((finding,),) = check_python([request(imports, *packages.split())], installed)
    assert finding.message == f"module '{imports}' is not in the stage's software"


def test_optional_imports_are_no_mistake(installed: Distributions) -> None:
    assert check_python([request("sklearn no_such_module", optional=True)], installed) == [()]


def test_a_module_is_told_once(installed: Distributions) -> None:
    ((finding,),) = check_python([request("numpy numpy.linalg")], installed)
    assert finding.location.line == 3


def test_a_listed_module_that_is_not_installed_need_not_be_listed_again(installed: Distributions) -> None:
    ((finding,),) = check_python([request("no_such_module", "no-such-module")], installed)
    assert finding.remedy == "install it"


def test_a_module_without_a_distribution_is_told_apart(
    installed: Distributions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loose_module.py").write_text("raise SystemExit('never imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    ((finding,),) = check_python([request("loose_module")], installed)
    assert finding.message == "module 'loose_module' belongs to no installed distribution, so nothing can identify it"


@pytest.mark.parametrize(
    ("script", "line", "message"),
    [
        ("x = 1\ny = (\n", 11, "not valid Python: '(' was never closed"),
        ("def f():\npass", 11, "not valid Python: expected an indented block after function definition on line 1"),
        ("x = '\0'", 10, "not valid Python: source code string cannot contain null bytes"),
    ],
)
def test_a_script_that_does_not_compile_is_shown_where_it_breaks(script: str, line: int, message: str) -> None:
    ((finding,),) = check_python([request("", script=script)])
    assert (finding.location.line, finding.message) == (line, message)


@pytest.mark.parametrize("script", ["x = '\\d'", "assert (1, 'x')", "x = 1 is 1", "return_value = 3", "é = 1"])
def test_doubtful_python_is_no_complaint(script: str) -> None:
    assert check_python([request("", script=script)]) == [()]


def test_a_very_deep_script_raises_nothing() -> None:
    check_python([request("", script="(" * 100_000)])


def test_bash_stages_are_not_looked_at() -> None:
    bash = SoftwareRequest("b", "bash", (), "import (", SourceLocation("e.py", 1))
    assert check_python([bash]) == [()]


def test_closure_is_sorted(installed: Distributions) -> None:
    assert installed.closure(["scikit-learn"]) == ("numpy", "scikit-learn", "scipy")
    assert installed.closure(["pandas[all]"]) == ("numpy", "pandas", "xlsx-io")
    assert installed.closure(["python3", "no-such"]) == ()


def test_this_environment_is_read() -> None:
    here = Distributions()
    assert here.owners("sklearn") == ("scikit-learn",)
    assert here.find("Scikit.Learn") == ("scikit-learn",)
    assert "numpy" in here.closure(["scikit-learn"])
    assert here.identity("numpy").startswith(importlib.metadata.version("numpy") + " ")


@pytest.mark.parametrize(
    ("record", "brought"),
    [
        ("single.py,sha256=x,1\n", {"single"}),
        ("native.cpython-311-x86_64-linux-gnu.so,sha256=x,1\nnative.libs/a.so,,\n", {"native"}),
        ('"with,comma/a.py",,\npack/inner/__init__.py,,\n../../bin/tool,,\n', {"pack"}),
        ("hook.pth,,\nlib-1.0.dist-info/direct_url.json,,\n", {"one", "two"}),
    ],
)
def test_a_module_belongs_to_the_distribution_whose_record_says_so(
    record: str, brought: set[str], tmp_path: Path
) -> None:
    info, project = tmp_path / "site" / "lib-1.0.dist-info", tmp_path / "project"
    info.mkdir(parents=True)
    (project / "src" / "one").mkdir(parents=True)
    (project / "src" / "two.py").touch()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lib\nVersion: 1.0\n")
    (info / "RECORD").write_text(record + "lib-1.0.dist-info/RECORD,,\n")
    if "direct_url" in record:
        (tmp_path / "site" / "hook.pth").write_text(str(project / "src"))
        direct = {"url": project.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(direct))
    here = Distributions([str(tmp_path / "site")])
    asked = ("single", "native", "inner", "pack", "tool", "with", "one", "two", "hook")
    assert {module for module in asked if here.owners(module)} == brought

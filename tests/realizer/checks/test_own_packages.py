"""What a package that is developed here imports, and declares nowhere, is told when a Lab is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repx.errors import SourceLocation
from repx.model.software import ImportedModule, SoftwareRequest
from repx.realizer.checks.distributions import Distributions
from repx.realizer.checks.own_packages import undeclared_imports


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An editable package `mine` of the distribution `my-tools`, beside a distribution that brings `numbers_fast`."""
    site, project = tmp_path / "site", tmp_path / "project"
    for name, record in {"my_tools": "hook.pth,,\nmy_tools-1.dist-info/direct_url.json,,\n", "fast": ""}.items():
        info = site / f"{name}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "RECORD").write_text(record or "numbers_fast/__init__.py,,\n")
    direct = {"url": project.as_uri(), "dir_info": {"editable": True}}
    (site / "my_tools-1.dist-info" / "direct_url.json").write_text(json.dumps(direct))
    (site / "hook.pth").write_text(str(project / "src"))
    (project / "src" / "mine").mkdir(parents=True)
    (project / "src" / "mine" / "__init__.py").write_text("from . import inner\nfrom .other import x\n")
    (project / "src" / "mine" / "inner.py").write_text("")
    (project / "src" / "mine" / "other.py").write_text("x = 1\n")
    (project / "src" / "mine" / "unused.py").write_text("import numbers_fast\n")
    return tmp_path


def told(project: Path, *software: str) -> list[str]:
    place = SourceLocation("experiment.py", 1)
    request = SoftwareRequest("work", "python", (), "", place, (ImportedModule("mine", place),))
    found = undeclared_imports(request, ["my-tools", *software], Distributions([str(project / "site")]))
    return [f"{Path(one.location.file).name}:{one.location.line} {one.message}" for one in found]


@pytest.mark.parametrize(
    "imported", ["import numbers_fast", "from numbers_fast.a import b", "class C: pass\nimport numbers_fast"]
)
@pytest.mark.parametrize("file", ["inner.py", "other.py", "__init__.py"])
def test_what_its_modules_import_at_once_is_told(imported: str, file: str, project: Path) -> None:
    path = project / "project" / "src" / "mine" / file
    path.write_text(f"{path.read_text()}{imported}\nx = 1\n")
    (one,) = told(project)
    assert one.startswith(f"{file}:")
    assert "imports 'numbers_fast'" in one
    assert told(project, "fast") == []


@pytest.mark.parametrize(
    "imported",
    [
        "def f():\n    import numbers_fast",
        "try:\n    import numbers_fast\nexcept ImportError:\n    pass",
        "import json, not_installed_at_all",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numbers_fast",
    ],
)
def test_what_may_never_be_imported_is_not_told(imported: str, project: Path) -> None:
    (project / "project" / "src" / "mine" / "inner.py").write_text(imported + "\n")
    assert told(project) == []

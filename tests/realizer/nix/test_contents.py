"""What store paths hold: programs, Pythons, modules; and that nobody can say of what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from repx.model.closure import STORE_DIR, Closure, Flake, StorePath
from repx.model.software import Json, Software
from repx.realizer.nix.contents import StoreContents
from repx.realizer.nix.manifest import closure_manifest
from tests.fakes.nix import store_name

BASH, JQ, PYTHON, NUMPY, PLOT = (store_name(name) for name in ("bash", "jq", "python", "numpy", "plot"))
MODULES = "lib/python3.11/site-packages"


@pytest.fixture
def contents(tmp_path: Path) -> StoreContents:
    """Two shells' worth of programs, a Python, and two packages of modules, the second of which brings the first."""
    for place in (
        f"{BASH}/bin/bash",
        f"{BASH}/bin/env",
        f"{JQ}/bin/jq",
        f"{PYTHON}/bin/python3",
        f"{PYTHON}/lib/python3.11/json/__init__.py",
        f"{PYTHON}/lib/python3.11/os.py",
        f"{PYTHON}/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so",
        f"{PYTHON}/{MODULES}/pip/__init__.py",
        f"{NUMPY}/{MODULES}/numpy/__init__.py",
        f"{NUMPY}/{MODULES}/fast.cpython-311-x86_64-linux-gnu.so",
        f"{NUMPY}/lib/python3.12/site-packages/newer.py",
        f"{PLOT}/{MODULES}/plot.py",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    note = tmp_path / PLOT / "nix-support" / "propagated-build-inputs"
    note.parent.mkdir()
    note.write_text(f"{STORE_DIR}/{NUMPY} {STORE_DIR}/{PLOT} /etc/passwd ../../x\n{STORE_DIR}/{PYTHON}\n")
    return StoreContents((str(tmp_path / "nowhere"), str(tmp_path)))


def test_of_what_is_not_there_nobody_can_say(contents: StoreContents) -> None:
    gone = store_name("gone")
    assert contents.place(gone) is None
    assert contents.programs(gone) is None
    assert contents.has_program([JQ], "jq") is True
    assert contents.has_program([JQ], "yq") is False
    assert contents.has_program([JQ, gone], "jq") is True
    assert contents.has_program([gone, JQ], "yq") is None
    assert contents.has_program([], "jq") is False
    assert contents.has_module(gone, "numpy") is False


def test_a_store_path_that_is_a_file_has_no_programs(contents: StoreContents, tmp_path: Path) -> None:
    (tmp_path / store_name("file")).touch()
    (tmp_path / store_name("link")).symlink_to("/etc/passwd")
    for name in ("file", "link"):
        assert contents.programs(store_name(name)) == frozenset()
        assert contents.has_module(store_name(name), "numpy") is False
    assert contents.path_directories([store_name("file"), BASH, JQ, BASH]) == [
        f"{STORE_DIR}/{BASH}/bin",
        f"{STORE_DIR}/{JQ}/bin",
    ]


def test_what_a_package_brings_along_comes_after_it_once(contents: StoreContents) -> None:
    assert contents.with_propagated([PLOT, JQ]) == [PLOT, JQ, NUMPY, PYTHON]


def test_a_python_finds_modules_of_its_own_and_of_the_packages_beside_it(contents: StoreContents) -> None:
    (python,) = contents.pythons([JQ, PYTHON, PYTHON, NUMPY])
    assert python.path == f"{STORE_DIR}/{PYTHON}/bin/python3"
    assert python.library == "lib/python3.11"
    directories = python.module_directories([PYTHON, PLOT])
    assert directories == [f"{STORE_DIR}/{PLOT}/{MODULES}", f"{STORE_DIR}/{NUMPY}/{MODULES}"]
    for module in ("json", "os", "_ssl", "pip"):
        assert python.has_module(module)
        assert python.has_module(module, directories)
    for module in ("numpy", "fast", "plot"):
        assert not python.has_module(module)
        assert python.has_module(module, directories)
    for module in ("newer", "fas", "nump", "cpython-311-x86_64-linux-gnu", "yaml"):
        assert not python.has_module(module, directories)


def test_a_package_has_a_module_for_any_python(contents: StoreContents) -> None:
    assert contents.has_module(NUMPY, "numpy")
    assert contents.has_module(NUMPY, "newer")
    assert not contents.has_module(NUMPY, "pip")


def manifest(contents: StoreContents, packages: dict[str, str], base: dict[str, str]) -> dict[str, Json]:
    """What a Lab says of a stage with these packages, whose store paths refer to nothing."""
    shown: dict[str, Json] = {"kind": "nix"}
    for key, names in (("packages", packages), ("base", base)):
        shown[key] = {attribute: [f"{STORE_DIR}/{name}"] for attribute, name in names.items()}
    roots = (*packages.values(), *base.values())
    paths = {name: StorePath(name, "0" * 64, 1, ()) for name in roots}
    return closure_manifest(Software((), shown, roots=roots), contents, Closure(Flake("", "", "", ""), paths))


def test_a_stages_path_has_its_own_packages_first_and_its_shell_is_the_bases(contents: StoreContents) -> None:
    found = manifest(contents, {"jq": JQ}, {"bash": BASH})
    assert found["path"] == [f"{STORE_DIR}/{JQ}/bin", f"{STORE_DIR}/{BASH}/bin"]
    assert found["shell"] == f"{STORE_DIR}/{BASH}/bin/bash"
    assert found["env"] == f"{STORE_DIR}/{BASH}/bin/env"
    assert found["locale"] == ""
    assert "python" not in found


def test_a_python_stage_is_told_its_python_and_where_modules_are(contents: StoreContents) -> None:
    found = manifest(contents, {"plot": PLOT, "python3": PYTHON}, {"bash": BASH})
    assert found["python"] == f"{STORE_DIR}/{PYTHON}/bin/python3"
    assert found["python_path"] == [f"{STORE_DIR}/{PLOT}/{MODULES}", f"{STORE_DIR}/{NUMPY}/{MODULES}"]


def test_the_locale_of_jobs_is_where_the_closure_has_it(contents: StoreContents, tmp_path: Path) -> None:
    (tmp_path / BASH / "lib" / "locale" / "C.utf8").mkdir(parents=True)
    assert manifest(contents, {}, {"bash": BASH, "jq": JQ})["locale"] == f"{STORE_DIR}/{BASH}/lib/locale"

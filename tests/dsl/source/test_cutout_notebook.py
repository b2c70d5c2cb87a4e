"""In a notebook the module is the executed cells, in a real IPython shell."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from repx.dsl.source.cutout import bash_text_origin, cut_out
from repx.errors import DefinitionError
from tests.machine import OPTIONAL

shells: Any = import_module("IPython.core.interactiveshell")
"""It has no types."""


class Notebook:
    def __init__(self) -> None:
        self.shell = shells.InteractiveShell()

    def run(self, *cells: str) -> None:
        for cell in cells:
            self.shell.run_cell(cell, store_history=True)

    def work(self) -> types.FunctionType:
        function = self.shell.user_ns["work"]
        assert isinstance(function, types.FunctionType)
        return function


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path)
    made = Notebook()
    yield made
    made.shell.history_manager.end_session()
    made.shell.restore_sys_module_state()


def meaning(function: types.FunctionType, **arguments: object) -> object:
    names: dict[str, object] = {"__name__": "elsewhere"}
    exec(compile(cut_out(function).source, "script.py", "exec"), names)
    return names["work"](**arguments)  # type: ignore[operator]


def meaning_with_modules(function: types.FunctionType, folder: Path) -> bool:
    """Whether the modules that travel are those of the folder."""
    return all((folder / one.path).read_text() == one.text for one in cut_out(function).modules)


def test_names_come_from_other_cells(notebook: Notebook) -> None:
    notebook.run(
        "import math\nA = 2", "def helper(x):\n    return math.floor(x) * A", "def work(x):\n    return helper(x)"
    )
    assert meaning(notebook.work(), x=2.5) == 4
    assert str(cut_out(notebook.work()).origin) == "In[3]:1"


def test_a_name_comes_from_the_cell_that_last_bound_it(notebook: Notebook) -> None:
    notebook.run(
        "A = 1\ndef helper(): return 'old'",
        "def work():\n    return A, helper()",
        "A = 2",
        "def helper():\n    return 'new'",
    )
    assert meaning(notebook.work()) == (2, "new")


def test_the_latest_run_of_a_cell_that_defines_the_stage_counts(notebook: Notebook) -> None:
    notebook.run("def work():\n    return A", "A = [1]", "A.append(2)", "A = [1]", "def work():\n    return A")
    assert meaning(notebook.work()) == [1]
    assert str(cut_out(notebook.work()).origin) == "In[5]:1"


def test_a_value_is_that_of_the_kernel_whatever_ran_since(notebook: Notebook) -> None:
    notebook.run("A = 1", "def double(x): return 2 * x", "B = double(A)", "def work():\n    return B, A")
    notebook.run("A = 5", "def double(x):\n    return 2 * x + half(x)", "def half(x): return x / 2")
    assert meaning(notebook.work()) == (2, 5)


def test_cells_that_ran_out_of_order_are_put_in_order(notebook: Notebook) -> None:
    notebook.run("A = 1", "def double(x): return 2 * x", "B = lambda: double(A)", "C = iter([B])")
    notebook.run(
        "def work():\n    return next(C)(), A",
        "A = 5",
        "def double(x):\n    return half(x)",
        "def half(x): return x / 2",
    )
    assert meaning(notebook.work()) == (2.5, 5)


def test_a_change_in_a_later_cell_reaches_the_job(notebook: Notebook) -> None:
    notebook.run("TABLE = {}", "def work():\n    return TABLE", "x = 1\nTABLE['a'] = x")
    assert meaning(notebook.work()) == {"a": 1}


def test_a_change_of_an_object_in_a_later_cell_is_told(notebook: Notebook) -> None:
    notebook.run("import io\nlog = io.StringIO()", "def work():\n    return log", "x = 1\nlog.write('a')")
    with pytest.raises(DefinitionError) as raised:
        cut_out(notebook.work())
    assert str(raised.value.location) == "In[3]:2"


def test_a_rebinding_of_an_object_in_one_cell_is_told(notebook: Notebook) -> None:
    notebook.run("A = object()\nA = object()", "def work():\n    return A")
    with pytest.raises(DefinitionError, match="A is bound again"):
        cut_out(notebook.work())


def test_cells_that_failed_or_hold_magic_do_no_harm(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run("A = 1", "this is no python", "%time B = 2", "C = 3\n1 / 0", "def work():\n    return A, C", "work()")
    assert meaning(notebook.work()) == (1, 3)


WORK = "def work():\n    return helper()"
SAME = "def helper(x=(0.0, 'a')):\n    return [y for y in x]"

NEVER_RAN = {
    "function": ("def helper(): return 1", "1 / 0\ndef helper(): return 2"),
    "constant of a function": ("def helper(): return 1", "1 / 0\ndef helper(): return 1.0"),
    "inner function": ("def helper(): return (lambda: 1)()", "1 / 0\ndef helper(): return (lambda: True)()"),
    "class": ("class helper:\n    def a(self): return 1", "1 / 0\nclass helper:\n    def a(self): return 2"),
    "class with a method more": (
        "class helper:\n    def a(self): return 1",
        "1 / 0\nclass helper:\n    def a(self): return 1\n    def b(self): return 1",
    ),
    "function for a class": ("class helper: pass", "1 / 0\ndef helper(): return 2"),
    "import": ("import string as helper", "1 / 0\nimport textwrap as helper"),
    "name of a module": ("from math import sin as helper", "1 / 0\nfrom math import cos as helper"),
    "never bound": ("1 / 0\ndef helper(): return 1",),
    "deleted": ("def helper(): return 1", "del helper"),
}


@pytest.mark.parametrize("cells", NEVER_RAN.values(), ids=NEVER_RAN)
def test_text_that_never_ran_is_told(
    notebook: Notebook, capsys: pytest.CaptureFixture[str], cells: tuple[str, ...]
) -> None:
    notebook.run("x = 1", *cells, WORK)
    with pytest.raises(DefinitionError, match="helper"):
        cut_out(notebook.work())


RAN = {
    "again": (SAME, SAME),
    "again, on another line": (SAME, "# as before\n\n" + SAME),
    "before the failure": ("def helper(): return 1", "def helper(): return 2\n1 / 0"),
    "data class": (
        "from dataclasses import dataclass\n@dataclass\nclass helper:\n    x: int = 1\n    def a(self): return 1",
    ),
    "cached": ("import functools\n@functools.lru_cache\ndef helper(): return 1",),
    "properties": (
        "class helper:\n    @property\n    def a(self): return 1\n    @staticmethod\n    def b(): return 1",
    ),
    "sets": ("def helper(): return 'a' in {'a', 'b', 'c'}",),
    "import": ("import os.path as helper", "from os.path import join as helper"),
}


@pytest.mark.parametrize("cells", RAN.values(), ids=RAN)
def test_text_that_ran_is_taken(notebook: Notebook, capsys: pytest.CaptureFixture[str], cells: tuple[str, ...]) -> None:
    notebook.run(*cells, WORK)
    assert "helper" in cut_out(notebook.work()).source


def test_a_module_that_was_edited_and_not_loaded_again_is_told(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "edited", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "edited.py").write_text("def helper():\n    return 1\n")
    notebook.run("from edited import helper", WORK)
    assert meaning_with_modules(notebook.work(), tmp_path)
    (tmp_path / "edited.py").write_text("def helper():\n    return 2  # edited\n")
    with pytest.raises(DefinitionError, match=r"edited\.py has changed since it was imported: helper"):
        cut_out(notebook.work())
    notebook.run("import importlib, edited\nx = importlib.reload(edited)")
    with pytest.raises(DefinitionError, match="the kernel does not hold helper"):
        cut_out(notebook.work())
    notebook.run("from edited import helper")
    assert meaning_with_modules(notebook.work(), tmp_path)


def test_a_name_that_magic_bound_is_told(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run("%time B = object()", "def work():\n    return B, get_ipython")
    with pytest.raises(DefinitionError) as raised:
        cut_out(notebook.work())
    assert [label for label, _ in raised.value.facts] == ["In[2]:2", "In[2]:2"]


def test_a_cell_without_history_still_has_its_source(notebook: Notebook) -> None:
    notebook.run("A = 1")
    notebook.shell.run_cell("def work():\n    return A", store_history=False)
    assert meaning(notebook.work()) == 1


def test_local_modules_lie_in_the_working_directory(notebook: Notebook, tmp_path: Path) -> None:
    (tmp_path / "nearby.py").write_text("import wave\nX = 1\n")
    notebook.run("def work():\n    import nearby\n    return nearby.X")
    cut = cut_out(notebook.work())
    assert [(module.path, module.text) for module in cut.modules] == [("nearby.py", "import wave\nX = 1\n")]
    assert [str(item.location) for item in cut.imports] == ["nearby.py:1"]


def test_a_bash_text_is_found_in_its_cell(notebook: Notebook) -> None:
    notebook.run("x = 1", 'def work():\n    return """\\\necho\n"""')
    assert str(bash_text_origin(notebook.work())) == "In[2]:3"


def test_a_kernel_names_cells_by_files_that_do_not_exist(notebook: Notebook) -> None:
    compilerop = pytest.importorskip("ipykernel.compiler", reason=f"{OPTIONAL}no ipykernel")
    notebook.shell.compile = compilerop.XCachingCompiler()
    notebook.run("A = 1", "def work():\n    return A")
    assert "ipykernel" in notebook.work().__code__.co_filename
    assert meaning(notebook.work()) == 1
    assert str(cut_out(notebook.work()).origin) == "In[2]:1"

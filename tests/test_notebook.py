"""A notebook in a real kernel: what its cells show; needs a Jupyter kernel beside repx."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

OPTIONAL = "optional: no Jupyter kernel"

CELLS = {
    "imports": "from repx import *",
    "stages": """
@stage
def one(o: Output = out("o.txt"), *, k: int = 1):
    o.write_text(str(k))
@bash(script="count.sh")
def count(o: Input, n: Output = out("n.txt")): ...
def make(k):
    @stage
    def inner(o: Output = out("o.txt")):
        o.write_text(str(k))
    return inner
""",
    "run": "results = realize_many([one(k=k) for k in (1, 22, 333)])",
    "values": "[one.outputs['o'].read_text() for one in results]",
    "script": "realize_many([count(o=one(k=22))])[0].outputs['n'].read_text()",
    "made": "[one.outputs['o'].read_text() for one in realize_many([make(5)(), make(6)()])]",
    "mistake": "one(kk=1)",
}


@pytest.fixture(name="shown", scope="module")
def what_the_cells_show(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The outputs of each cell, from a kernel whose folder has a script in it."""
    pytest.importorskip("ipykernel", reason=OPTIONAL)
    nbclient = pytest.importorskip("nbclient", reason=OPTIONAL)
    nbformat = pytest.importorskip("nbformat", reason=OPTIONAL)
    place = tmp_path_factory.mktemp("notebook")
    (place / "count.sh").write_text('wc -c < "$o" > "$n"\n')
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS.values()])
    client = nbclient.NotebookClient(notebook, timeout=120, allow_errors=True, resources={"metadata": {"path": place}})
    manager = client.create_kernel_manager()
    manager.kernel_spec.argv[0] = sys.executable
    client.execute(env={**os.environ, "REPX_STORE": str(Path(place, "store"))})
    return {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}


def text(outputs: list[Any]) -> str:
    """All that a cell shows, as text."""
    pieces = [one.get("text") or one.get("data", {}).get("text/plain") or one.get("evalue", "") for one in outputs]
    return "".join(pieces)


def test_progress_is_shown_without_widgets_and_without_a_warning(shown: dict[str, list[Any]]) -> None:
    said = text(shown["run"])
    assert "realizing" in said
    assert "3/3" in said
    assert "Warning" not in said
    assert "ipywidgets" not in said


def test_the_script_beside_the_notebook_is_taken(shown: dict[str, list[Any]]) -> None:
    assert text(shown["values"][-1:]) == "['1', '22', '333']"
    assert text(shown["script"][-1:]).strip("'\\n") == "2"


def test_a_stage_that_a_function_makes_has_its_own_values(shown: dict[str, list[Any]]) -> None:
    assert text(shown["made"][-1:]) == "['5', '6']"


def test_a_mistake_is_told_without_frames_of_repx(shown: dict[str, list[Any]]) -> None:
    (error,) = (one for one in shown["mistake"] if one.output_type == "error")
    assert "stage 'one' has no input or param 'kk'" in error.evalue
    assert not any("site-packages" in line or "repx/dsl" in line for line in error.traceback)

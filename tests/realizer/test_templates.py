"""Templates are compiled once, and written the same whether what is kept of that can be used or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments import Experiments, experiments_fixture

__all__ = ["experiments_fixture"]

EXPERIMENT = """
from repx import Lab, Output, Run, bash, out

@bash
def make(data: Output = out("data.txt")):
    return 'echo > "$data"'

lab = Lab([Run("work", make)])
"""

PROGRAM = """
import sys
import jinja2.environment
compiled = []
real = jinja2.environment.Environment.compile
jinja2.environment.Environment.compile = lambda self, *given, **more: compiled.append(1) or real(self, *given, **more)
from repx.api import load, realize_lab
print(realize_lab(load(sys.argv[1]), store=sys.argv[2]).lab_id, len(compiled))
"""


def realized(experiments: Experiments, root: Path, number: int) -> tuple[str, int]:
    """The id of the Lab, and how many templates were compiled."""
    argv = [sys.executable, "-c", PROGRAM, str(experiments.folder / "experiment.py"), str(root / f"store-{number}")]
    env = {**os.environ, "XDG_CACHE_HOME": str(root / "cache")}
    lab, compiled = subprocess.run(argv, env=env, check=True, capture_output=True, text=True).stdout.split()
    return lab, int(compiled)


@pytest.mark.parametrize("damage", ["none", "empty", "others may write", "a file"])
def test_templates_are_compiled_once(experiments: Experiments, tmp_path: Path, damage: str) -> None:
    experiments.write({"experiment.py": EXPERIMENT})
    lab, compiled = realized(experiments, tmp_path, 0)
    assert compiled == 2
    kept = tmp_path / "cache" / "repx" / "templates"
    match damage:
        case "empty":
            for path in kept.iterdir():
                path.write_bytes(b"")
        case "others may write":
            kept.chmod(0o777)
        case "a file":
            kept.rename(tmp_path / "moved")
            kept.touch()
    assert realized(experiments, tmp_path, 1) == (lab, 0 if damage == "none" else 2)

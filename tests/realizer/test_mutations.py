"""Whatever a script is made of is in the id: every small change of an experiment changes the id, or nothing else.

Each statement of an experiment and of its module is left out, swapped with the next, doubled, given other constants and
other names. Where two of all these have one id, they have one script, but for comments and layout, and its one output.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from repx.errors import RepxError
from repx.realizer.render import stage_files
from tests.experiments import Experiments, experiments_fixture

__all__ = ["experiments_fixture"]

EXPERIMENT = '''
import os
import random
from dataclasses import dataclass, fields
from typing import NamedTuple
import utils
from utils import scaled, Base

rng = random.Random(7)
FIRST = rng.random()
SECOND = rng.random()
LIMITS = [1, 2]
LIMITS.append(3)
UNUSED = "unused"
PATH = os.path.join("a", "b")

@dataclass
class Row:
    """A row."""
    n: int = 0
    m: "str" = "x"

class Point(NamedTuple):
    x: int = 1

def helper(value, more=FIRST):
    """Help."""
    # A comment.
    return value + more

def documented():
    """Said."""
    return documented.__doc__

def unused():
    return UNUSED

@stage
def work(data: Output = out("data.txt"), *, seed: int = 3, place: str = "p", flag: bool = True):
    """The body."""
    kinds = [str(one.type) for one in fields(Row)]
    told = [helper(seed), SECOND, LIMITS, PATH, kinds, documented(), scaled(seed), utils.offset(2), Base().name()]
    data.write_text(repr([*told, Point(), type(place).__name__, flag]))

lab = Lab([Run("run", work, params={"seed": [3]})])
'''

UTILS = '''
"""A module."""
import math
from others import deep, idle

FACTOR = 2
SPARE = 5
TABLE = {}
TABLE["a"] = 1

def scaled(x):
    """Scale."""
    return math.floor(FACTOR * x) + len(TABLE)

def offset(x):
    return deep(x) + 1

def never(x):
    return idle(x) + SPARE

class Base:
    def name(self):
        return "base"
'''

OTHERS = """
DEPTH = 4

def deep(x):
    return x * DEPTH

def idle(x):
    return x
"""
FILES = {"utils.py": UTILS, "others.py": OTHERS}


class Made(NamedTuple):
    """The script of the one job, as people may change it without a change of meaning, and as it is written."""

    meaning: str
    files: tuple[tuple[str, str], ...]


def variants(text: str) -> Iterator[str]:
    """The same text with one small change each."""
    tree = ast.parse(text)
    lines = text.splitlines(keepends=True)
    spans = []
    for statement in tree.body:
        first = min([statement.lineno, *(one.lineno for one in getattr(statement, "decorator_list", []))])
        spans.append((first - 1, statement.end_lineno or first))
    for number, (start, end) in enumerate(spans):
        yield "".join([*lines[:start], *lines[end:]])
        yield "".join([*lines[:end], *lines[start:]])
        yield "".join([*lines[:start], "# another comment\n\n", *lines[start:]])
        if number + 1 < len(spans):
            below, last = spans[number + 1]
            yield "".join([*lines[:start], *lines[below:last], *lines[end:below], *lines[start:end], *lines[last:]])
    yield "from __future__ import annotations\n" + text
    yield text.replace("place: str", "place: Path").replace('"p"', 'Path("p")')
    yield text.replace("place: str", "place: str | Path")
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.end_col_offset is not None and node.lineno == node.end_lineno:
            other = {"int": "9", "str": '"other"', "bool": "False"}.get(type(node.value).__name__)
            if other is not None:
                yield _replaced(lines, node, other)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield text.replace(node.id, f"{node.id}_renamed")
            yield _replaced(lines, node, "renamed")
        elif isinstance(node, ast.BinOp) and node.lineno == node.end_lineno:
            yield _replaced(lines, node, f"({ast.unparse(node.right)} + 1 - {ast.unparse(node.left)})")


def _replaced(lines: list[str], node: ast.expr, text: str) -> str:
    line = lines[node.lineno - 1]
    changed = line[: node.col_offset] + text + line[node.end_col_offset :]
    return "".join([*lines[: node.lineno - 1], changed, *lines[node.lineno :]])


def meaning(text: str) -> str:
    """A script without comments, layout, docstrings, and the place that its tracebacks are told by."""
    tree = ast.parse(re.sub(r"# ---- .*? ----", "# ----", text))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def made(experiments: Experiments, text: str, files: dict[str, str]) -> tuple[str, Made] | None:
    """The id of the job and its script; None for an experiment that is refused."""
    for module in ("utils", "others"):
        sys.modules.pop(module, None)
    try:
        graph = experiments.graph(text, files)
    except RepxError:
        return None
    (job,) = graph.jobs()
    rendered = stage_files(job.stage, str(experiments.folder)).files
    written = tuple((path, text) for path, text, _ in rendered if not path.startswith("out/"))
    return job.id, Made("".join(f"{path} {meaning(text)}\n" for path, text in written), written)


def output(script: Made, folder: Path) -> str:
    """What the job writes."""
    for path, text in script.files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "inputs.json").write_text("{}")
    (folder / "params.json").write_text(json.dumps({"seed": 3, "place": "p", "flag": True}))
    argv = [sys.executable, str(folder / "bin/work"), str(folder / "made"), "inputs.json", "params.json"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    return (folder / "made/data.txt").read_text() if done.returncode == 0 else done.stderr.splitlines()[-1]


@pytest.mark.parametrize("file", ["experiment.py", *FILES])
def test_one_id_means_one_script_and_one_output(file: str, experiments: Experiments, tmp_path: Path) -> None:
    by_id: dict[str, dict[str, Made]] = defaultdict(dict)
    texts = {"experiment.py": EXPERIMENT, **FILES}
    for variant in [texts[file], *variants(texts[file])]:
        changed = {**texts, file: variant}
        found = made(experiments, changed.pop("experiment.py"), changed)
        if found is not None:
            by_id[found[0]].setdefault(repr(found[1].files), found[1])
    assert len(by_id) > 5
    assert any(len(scripts) > 1 for scripts in by_id.values()) or file == "others.py"
    number = 0
    for scripts in by_id.values():
        assert len({script.meaning for script in scripts.values()}) == 1
        outputs = set()
        for script in scripts.values() if len(scripts) > 1 else ():
            number += 1
            outputs.add(output(script, tmp_path / f"job-{number}"))
        assert len(outputs) <= 1

"""Experiments of several kinds as a new user writes them, run for real, and ten edits of a day: what runs again."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.reader import Reader, a_reader

__all__ = ["a_reader"]

MONTE_CARLO = """
import random, statistics
from repx import *

N = 500

@stage
def estimate(pi: Output = out("pi.txt"), *, n: int = N, seed: int = 0):
    rng = random.Random(seed)
    pi.write_text(str(4 * sum(rng.random() ** 2 + rng.random() ** 2 < 1 for _ in range(n)) / n))

@stage
def summary(estimates: Inputs, mean: Output = out("mean.json")):
    import json
    mean.write_text(json.dumps(statistics.mean(float(one.read_text()) for one in estimates)))

def simulate(seeds=2):
    summary(estimates=[estimate(seed=seed) for seed in range(seeds)])

lab = Lab([Run("sim", simulate, params={"n": [500, 1000], "seeds": [2, 3]})])
"""


def test_a_monte_carlo_is_a_fan_in_whose_width_is_swept(reader: Reader) -> None:
    reader.write("experiment.py", MONTE_CARLO)
    assert reader.run() == 2 * 3 + 4
    assert 2.5 < json.loads(reader.type("repx show output 'summary[n=1000,seeds=3]' mean")) < 3.8
    assert reader.run() == 0


PACKAGE = {
    "mylib/__init__.py": "from .core import scale\n",
    "mylib/core.py": "from .sub.tables import FACTOR\ndef scale(x): return x * FACTOR\ndef unused(): return 1\n",
    "mylib/sub/__init__.py": "",
    "mylib/sub/tables.py": "FACTOR = 3\n",
    "experiment.py": """
from repx import *
import mylib
from mylib.core import scale

@stage
def first(o: Output = out("o.txt"), *, x: int = 2):
    o.write_text(str(mylib.scale(x) + scale(x)))

@stage
def last(o: Input, p: Output = out("p.txt")):
    from mylib.sub import tables
    p.write_text(o.read_text() + str(tables.FACTOR))

lab = Lab([Run("both", lambda: last(first()), params={"x": [1, 2]})])
""",
}


def test_a_package_of_ones_own_with_sub_modules(reader: Reader) -> None:
    for name, text in PACKAGE.items():
        reader.write(name, text)
    assert reader.run() == 4
    assert reader.type("repx show output 'last[x=2]' p") == "123"
    reader.write("mylib/core.py", PACKAGE["mylib/core.py"].replace("return 1", "return 2"))
    assert reader.run() == 0
    reader.write("mylib/sub/tables.py", "FACTOR = 4\n")
    assert reader.run() == 4


DOUBLE = r"""
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **words) { printf("%d\n", atoi(words[1]) * 2); return 0; }
"""


def test_a_c_program_is_built_once_and_swept(reader: Reader) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("optional: no gcc")
    reader.write("prog.c", DOUBLE)
    reader.write(
        "experiment.py",
        """
import repx
from repx import *

@bash(packages=["gcc"])
def build(src: Input = repx.path("prog.c"), prog: Output = out("prog")):
    return 'gcc -O2 -o "$prog" "$src"'

@bash
def use(prog: Input, o: Output = out("o.txt"), *, n: int = 1):
    return '"$prog" "$n" > "$o"'

lab = Lab([Run("c", lambda: use(build()), params={"n": [1, 21]})])
""",
    )
    assert reader.run() == 3
    assert reader.type("repx show output 'use[n=21]' o") == "42\n"


FAN = """
from repx import *

@stage
def leaf(o: Output = out("o.txt"), *, i: int, g: int):
    o.write_text(f"{g}{i} ")

@stage
def group(leaves: Inputs, o: Output = out("o.txt"), *, g: int):
    o.write_text("".join(one.read_text() for one in leaves))

@stage
def top(groups: Inputs, o: Output = out("o.txt"), *, layers: list[int] = [1]):
    o.write_text(f"{layers}: " + "".join(one.read_text() for one in groups))

def simulate(width=2):
    top(groups=[group(leaves=[leaf(i=i, g=g) for i in range(width)], g=g) for g in range(3)])

lab = Lab([Run("fan", simulate, params={"width": [2, 3], "layers": [[1], [64, 64]]})])
"""


def test_a_fan_in_of_fan_ins_with_lists_as_params(reader: Reader) -> None:
    reader.write("experiment.py", FAN)
    assert reader.run() == 9 + 6 + 4
    asked = "repx show output 'top[width=3,layers=[64,64]]' o"
    assert reader.type(asked) == "[64, 64]: 00 01 02 10 11 12 20 21 22 "


DAY = '''
import repx
from repx import *
RATE = 2

def scaled(x):
    """Scaled."""
    return x * RATE

@stage
def fit(table: Input, model: Output = out("model.txt"), *, depth: int = 1):
    # A comment.
    model.write_text(str(scaled(depth) + len(table.read_text())))

@bash
def count(model: Input, size: Output = out("size.txt")):
    return """wc -c < "$model" > "$size" """

@bash
def last(size: Input, end: Output = out("end.txt")):
    return 'cp "$size" "$end"'

def simulate():
    count(fit())

tables = repx.files("raw")
lab = Lab([Run("sim", simulate, params={"table": tables, "depth": [1, 2]})])
'''

EDITS = [
    ("a comment and the layout of a body", "# A comment.\n    model", "# Another.\n\n    model", 0),
    ("a docstring", '"""Scaled."""', '"""Multiplied."""', 0),
    ("resources", "@stage\ndef fit", '@stage(resources=Resources(mem="1G"))\ndef fit', 0),
    ("one more value of an axis", '"depth": [1, 2]', '"depth": [1, 2, 3]', 2 * 2),
    ("one value less", '"depth": [1, 2, 3]', '"depth": [2, 3]', 0),
    ("the name of a run", 'Run("sim"', 'Run("simulation"', 0),
    ("a constant that a helper uses", "RATE = 2", "RATE = 3", 2 * 2 * 2),
    ("a constant that is computed, of the same value", "RATE = 3", "RATE = int('3')", 0),
    ("a comment in a Bash script", '"""wc', '"""# Size.\nwc', 2 * 2),
    ("another stage", "    count(fit())", "    last(count(fit()))", 2 * 2),
]


def test_ten_edits_of_a_day_run_again_what_they_change(reader: Reader) -> None:
    reader.write("raw/a.csv", "1\n")
    reader.write("raw/b.csv", "1,2\n")
    text = DAY
    reader.write("experiment.py", text)
    assert reader.run() == 8
    ran = {}
    for name, old, new, _ in EDITS:
        assert old in text, name
        text = text.replace(old, new)
        reader.write("experiment.py", text)
        ran[name] = reader.run()
    assert ran == {name: count for name, _, _, count in EDITS}
    reader.write("raw/a.csv", "1,2,3\n")
    assert reader.run() == 2 * 3

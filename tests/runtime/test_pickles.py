"""What one stage has pickled, another can unpickle: what it is made of is known to both by the same name."""

from __future__ import annotations

from pathlib import Path

import pytest

from repx.dsl.source.cutout import cut_out
from tests.dsl.loading import Load, loading
from tests.runtime.world import World, a_world

__all__ = ["a_world", "loading"]

DEFINED = """
import enum
from collections import namedtuple
from dataclasses import dataclass, field
from shapes import Shape
import tools

class Kind(enum.Enum):
    A = "a"

class Base:
    def doubled(self):
        return 2 * self.weight

@dataclass
class Model(Base):
    weight: float
    kind: Kind = Kind.A
    more: list = field(default_factory=list)

Point = namedtuple("Point", "x y")

def scaled(x):
    return SCALE * x

SCALE = 10

@stage
def make(model: Output = out("m.pkl"), *, w: float = 2.0):
    WRITE(((Model(w, Kind.A, [Point(1, 2)]), scaled, Shape(3), tools.Tool(4)), model))

@stage
def use(model: Input, said: Output = out("said.txt")):
    one, scale, shape, tool = READ(model)
    said.write_text(f"{one.doubled()} {one.kind.value} {one.more[0].y} {scale(1)} {shape.n} {tool.n}")

def work():
    use(make())

lab = Lab([Run("run", work)])
"""
FILES = {
    "shapes.py": "class Shape:\n    def __init__(self, n):\n        self.n = n\n",
    "tools.py": "class Tool:\n    def __init__(self, n):\n        self.n = n\n",
}
BY = {
    "pickle": (
        "(lambda pair: pair[1].write_bytes(__import__('pickle').dumps(pair[0])))",
        "(lambda path: __import__('pickle').loads(path.read_bytes()))",
    ),
    "a helper": ("save", "load"),
    "a local module": ("keep.save", "keep.load"),
}
HELPERS = """
import pickle
def save(pair):
    with pair[1].open("wb") as file:
        pickle.dump(pair[0], file)
def load(path):
    with path.open("rb") as file:
        return pickle.load(file)
"""


@pytest.mark.parametrize("by", BY)
def test_a_class_that_one_stage_pickles_is_there_in_the_next(by: str, world: World) -> None:
    text = DEFINED.replace("WRITE(", BY[by][0] + "(").replace("READ(", BY[by][1] + "(")
    before = HELPERS if by == "a helper" else "import keep\n"
    for name, content in {**FILES, "keep.py": HELPERS}.items():
        (world.root / name).write_text(content)
    world.write(before + text)
    done = world.repx("run", "experiment.py")
    assert done.status == 0, done.stderr
    (said,) = (world.root / "store" / "outputs").rglob("out/said.txt")
    assert said.read_text() == "4.0 a 2 10 3 4"


SPAWN = """
import multiprocessing
from dataclasses import dataclass

@dataclass
class Item:
    n: int

def doubled(item):
    return Item(2 * item.n)

@stage
def work(said: Output = out("said.txt")):
    with multiprocessing.get_context("METHOD").Pool(2) as pool:
        said.write_text(str(sum(item.n for item in pool.map(doubled, map(Item, range(4))))))

lab = Lab([Run("run", work)])
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes_that_a_stage_starts_know_its_classes(method: str, world: World) -> None:
    world.write(SPAWN.replace("METHOD", method))
    done = world.repx("run", "experiment.py")
    assert done.status == 0, done.stderr
    (said,) = (world.root / "store" / "outputs").rglob("out/said.txt")
    assert said.read_text() == "12"


def test_a_stage_that_reads_no_pickle_has_nothing_more(load: Load, tmp_path: Path) -> None:
    text = (
        "import functools, pickle, json\nclass C: pass\n"
        "@functools.cache\ndef other(): return pickle.dumps(C())\n"
        "def work():\n    return json.dumps(1)\n"
    )
    assert "class C" not in cut_out(load(text)).source
    assert "class C" in cut_out(load(text.replace("json.dumps(1)", "pickle.loads(b'')"))).source

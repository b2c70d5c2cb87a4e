"""Local modules count by what is used of them: jobs compute what modules compute, and no edit that matters is missed."""

# ruff: noqa: E501 - the text of a small file in one line

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from repx.dsl.source.cutout import cut_out
from tests.dsl.loading import Load, loading
from tests.dsl.source.test_cutout import run_elsewhere

__all__ = ["loading"]

UTILS = """
import json, math
from others import LATER, scale
import others

FACTOR = 2
UNUSED = 7
TABLE = {"a": 1}

def double(x):
    return FACTOR * x

def unused(x):
    return UNUSED * scale(x)

def scaled(x):
    return others.scale(x)

def logged(x):
    return json.dumps([x, math.pi > 3])

class Base:
    def name(self):
        return "base"

class Derived(Base):
    @property
    def twice(self):
        return double(1)

class Loose:
    pass

if __name__ == "__main__":
    print("as a program")
"""
OTHERS = """
LATER = 5

def scale(x):
    return 10 * x

def idle():
    return LATER
"""
FILES = {"utils.py": UTILS, "others.py": OTHERS}


@dataclass(frozen=True)
class Case:
    """`counts` and `idle` are texts of the files: changing one of the first changes the identity, of the others not."""

    experiment: str
    counts: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=lambda: FILES)


CASES = {
    "a name taken from a module": Case(
        "from utils import double\ndef work():\n    return double(3)\n",
        counts=("FACTOR = 2", "FACTOR * x"),
        idle=("UNUSED = 7", "UNUSED * scale", "10 * x", "LATER = 5", '"base"', "as a program", "math.pi > 3"),
    ),
    "a name behind the module's": Case(
        "import utils as u\ndef work():\n    return u.scaled(3)\n",
        counts=("others.scale(x)", "10 * x"),
        idle=("FACTOR = 2", "LATER = 5", "return LATER"),
    ),
    "a module imported in the body": Case(
        "def work():\n    import utils\n    return utils.logged(1)\n",
        counts=("[x, math.pi",),
        idle=("FACTOR = 2", "10 * x"),
    ),
    "a class with its bases and what its methods use": Case(
        "from utils import Derived\ndef work():\n    return Derived().name(), Derived().twice\n",
        counts=('"base"', "FACTOR = 2", "double(1)"),
        idle=("class Loose:\n    pass", "10 * x"),
    ),
    "a module as a value": Case(
        "import utils\ndef work():\n    return [getattr(one, 'double')(2) for one in [utils]]\n",
        counts=("FACTOR = 2", "UNUSED = 7", "10 * x", '"base"'),
    ),
    "a star": Case(
        "def work():\n    import starred\n    return starred.double(1)\n",
        counts=("FACTOR = 2", "UNUSED = 7", '"base"'),
        files={**FILES, "starred.py": "from utils import *\n"},
    ),
    "unpickling": Case(
        "import pickle\nfrom utils import double\ndef work():\n    return pickle.loads(pickle.dumps(double))(1)\n",
        counts=("FACTOR = 2", '"base"', "10 * x"),
    ),
    "a registry filled by a decorator": Case(
        "from registry import KINDS\ndef work():\n    return sorted(KINDS), KINDS['a']()\n",
        counts=('"first"', '"second"', "KINDS[name] = f"),
        idle=("idle()",),
        files={
            "registry.py": "KINDS = {}\ndef register(name):\n    def take(f):\n        KINDS[name] = f\n        return f\n"
            '    return take\n@register("a")\ndef a():\n    return "first"\n@register("b")\ndef b():\n'
            '    return "second"\ndef idle():\n    return 0\n'
        },
    ),
    "subclasses that register themselves": Case(
        "from shapes import Shape\ndef work():\n    return Shape.known\n",
        counts=("class Round(Shape)", "append(cls.__name__)"),
        files={
            "shapes.py": "class Shape:\n    known = []\n    def __init_subclass__(cls):\n"
            "        Shape.known.append(cls.__name__)\nclass Round(Shape):\n    pass\n"
        },
    ),
    "subclasses that are asked for": Case(
        "from shapes import Shape\ndef work():\n    return [one.__name__ for one in Shape.__subclasses__()]\n",
        counts=("class Round(Shape)",),
        files={"shapes.py": "class Shape:\n    pass\nclass Round(Shape):\n    pass\n"},
    ),
    "statements that change what is used": Case(
        "from conf import LIMITS, rate\ndef work():\n    return LIMITS, rate()\n",
        counts=("append(3)", "RATE += 1", "RATE = 1", "i * 2"),
        idle=("SPARE = 1",),
        files={
            "conf.py": "LIMITS = [1]\nLIMITS.append(3)\nRATE = 1\nRATE += 1\nSPARE = 1\n"
            "for i in (1, 2):\n    LIMITS.append(i * 2)\ndel i\ndef rate():\n    return RATE\n"
        },
    ),
    "a package that gathers names": Case(
        "from pack import first\ndef work():\n    return first()\n",
        counts=('"one"',),
        idle=('"two"', '"three"'),
        files={
            "pack/__init__.py": '"""Doc."""\nfrom .a import first\nfrom .b import second, third\n__all__ = ["first"]\n',
            "pack/a.py": 'def first():\n    return "one"\n',
            "pack/b.py": 'def second():\n    return "two"\ndef third():\n    return "three"\n',
        },
    ),
    "a module within a package, by its attribute": Case(
        "import pack\ndef work():\n    return pack.a.first(), pack.b.second()\n",
        counts=('"one"', '"two"'),
        idle=('"three"',),
        files={
            "pack/__init__.py": "from . import a\nfrom .b import third\n",
            "pack/a.py": 'def first():\n    return "one"\n',
            "pack/b.py": 'def second():\n    return "two"\ndef third():\n    return "three"\n',
        },
    ),
    "a chain of modules": Case(
        "import pack.deep.inner as inner\nfrom pack.deep import other\ndef work():\n    return inner.f() + other.g()\n",
        counts=("return 1", "return 2", "BASE = 3"),
        idle=("return 4",),
        files={
            "pack/__init__.py": "",
            "pack/deep/__init__.py": "",
            "pack/deep/inner.py": "from ..base import BASE, four\ndef f():\n    return 1 + BASE\n",
            "pack/deep/other.py": "def g():\n    return 2\n",
            "pack/base.py": "BASE = 3\ndef four():\n    return 4\n",
        },
    ),
    "an attempt at an import": Case(
        "import maybe\ndef work():\n    return maybe.total([1])\n",
        counts=('"slow"', "except ImportError"),
        idle=("idle = 1",),
        files={
            "maybe.py": "try:\n    from no_such_module import total\nexcept ImportError:\n    def total(xs):\n"
            '        return "slow"\nidle = 1\n'
        },
    ),
    "an import for its effect": Case(
        "import values\ndef work():\n    return values.get()\n",
        counts=("HELD.append(1)",),
        files={
            "values.py": "import setup_once\nfrom held import HELD\ndef get():\n    return HELD\n",
            "setup_once.py": "from held import HELD\nHELD.append(1)\n",
            "held.py": "HELD = []\n",
        },
    ),
    "a module that looks into itself": Case(
        "from itself import call\ndef work():\n    return call('hidden')\n",
        counts=('"found"',),
        files={"itself.py": 'def call(name):\n    return globals()[name]()\ndef hidden():\n    return "found"\n'},
    ),
    "attributes on demand": Case(
        "import lazy\ndef work():\n    return lazy.anything\n",
        counts=('"made"', '"deep"'),
        files={"lazy.py": 'def __getattr__(name):\n    return helper("made")\ndef helper(x):\n    return x, "deep"\n'},
    ),
    "statements that share a line": Case(
        "import shared\ndef work():\n    return shared.b\n",
        counts=("b = 2",),
        files={"shared.py": "a = 1; b = 2\nimport os; c = os.sep\n"},
    ),
    "a module that the body changes": Case(
        "import conf\ndef work():\n    conf.RATE = 5\n    return conf.rate()\n",
        counts=("return RATE", "SPARE = 1"),
        files={"conf.py": "RATE = 1\nSPARE = 1\ndef rate():\n    return RATE\n"},
    ),
    "a function that sets a global": Case(
        "import conf\ndef work():\n    conf.more()\n    return conf.rate()\n",
        counts=("RATE = 1", "RATE + 1"),
        files={
            "conf.py": "RATE = 1\ndef more():\n    global RATE\n    RATE = RATE + 1\ndef rate():\n    return RATE\n"
        },
    ),
    "docstrings": Case(
        '"""Of the experiment."""\nimport told\ndef work():\n    return __doc__, told.__doc__, told.f.__doc__\n',
        counts=("Of the module", "Of f"),
        idle=("Of g",),
        files={"told.py": '"Of the module"\ndef f():\n    "Of f"\ndef g():\n    "Of g"\n'},
    ),
    "names of annotations": Case(
        "import typing, rows\ndef work():\n    return str(typing.get_type_hints(rows.f))\n",
        counts=("class Row",),
        idle=("class Other",),
        files={
            "rows.py": "from __future__ import annotations\nclass Row:\n    pass\nclass Other:\n    pass\n"
            "def f(row: Row):\n    return row\n"
        },
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_job_computes_with_what_is_used_what_the_module_computes(case: Case, load: Load, tmp_path: Path) -> None:
    function = load(case.experiment, case.files)
    assert run_elsewhere(cut_out(function), {}, tmp_path / "job") == ascii(function())


@pytest.mark.parametrize(
    ("case", "text", "counts"),
    [
        pytest.param(case, text, counts, id=f"{name}: {text.splitlines()[0]}")
        for name, case in CASES.items()
        for texts, counts in ((case.counts, True), (case.idle, False))
        for text in texts
    ],
)
def test_an_edit_counts_where_it_is_used(case: Case, text: str, counts: bool, load: Load) -> None:
    (file,) = [name for name, content in case.files.items() if text in content]
    before = cut_out(load(case.experiment, case.files)).normal_form
    edited = case.files[file].replace(text, edit(text))
    (Path(sys.modules["experiment"].__file__ or "").parent / file).write_text(edited)
    after = cut_out(load(case.experiment, {**case.files, file: edited})).normal_form
    assert (after != before) == counts


EDITS = (
    ("pass", "edited = 1"),
    ("Of ", "More of "),
    ("class ", "class Edited"),
    ("return ", "return None, "),
    ("= ", "= 0, "),
    ('"', '"edited '),
    ("append(", "append(0), repr("),
    ("ImportError", "Exception"),
    ("double(1)", "double(2)"),
    ("others.", "abs(1) + others."),
    ("[x,", "[x, 0,"),
    ("math.pi > 3", "math.e > 3"),
    ("as a", "like a"),
    ("*", "+"),
    ("idle()", "idle(x=1)"),
    ("+ 1", "+ 2"),
)


def edit(text: str) -> str:
    """The same text with another meaning, or another name."""
    old, new = next(pair for pair in EDITS if pair[0] in text)
    return text.replace(old, new, 1)


def test_lines_keep_their_numbers(load: Load) -> None:
    (module,) = [
        one
        for one in cut_out(load(CASES["a class with its bases and what its methods use"].experiment, FILES)).modules
        if one.path == "utils.py"
    ]
    lines = UTILS.splitlines()
    for number, line in enumerate(module.text.splitlines()):
        assert line in ("", lines[number]) or "import" in line


def test_a_module_that_nothing_is_used_of_need_not_be_installed(load: Load) -> None:
    files = {"utils.py": "import no_such_module\ndef f():\n    return no_such_module.x\ndef g():\n    return 1\n"}
    text = "def work():\n    import utils\n    return utils.g()\n"
    assert [one.name for one in cut_out(load(text, files)).imports] == []

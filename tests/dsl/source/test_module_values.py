"""A name that holds plain data reaches the job with the module's value, whatever statements have made it."""

# ruff: noqa: E501 - each case is the text of a small file, in a line where it fits

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from repx.dsl.source.cutout import cut_out
from tests.dsl.loading import Load, loading
from tests.dsl.source.test_cutout import run_elsewhere

__all__ = ["loading"]  # the fixture `load`

MADE = {
    "by the environment": "import os\nA = os.environ.get('PATH')\n",
    "by chance": "import random\nA = random.random()\n",
    "by the second draw": "import random\nrng = random.Random(7)\nB = rng.random()\nA = rng.random()\n",
    "by the working folder": "import os\nA = os.getcwd() + '!'\n",
    "by the clock": "import time\nA = time.time()\n",
    "by the arguments": "import sys\nA = tuple(sys.argv)\n",
    "by a file": "import json\nfrom pathlib import Path\nA = json.loads(Path(__file__).with_name('cfg.json').read_text())\n",
    "by a file that is still open": "with open(__file__.replace('experiment.py', 'cfg.json')) as f:\n    A = f.read()\n",
    "by an append": "A = []\nA.append(1)\n",
    "by an append through another name": "A = []\nB = A\nB.append(1)\n",
    "by a comprehension for its effect": "A = list()\n[A.append(i) for i in range(3)]\n",
    "by two statements in a line": "A = list(range(4)); first = A.pop(0)\n",
    "by a decorator": "A = []\ndef noted(f):\n    A.append(f.__name__)\n    return f\n@noted\ndef a(): pass\n",
    "by a shuffle": "import random\nA = list(range(30))\nrandom.shuffle(A)\n",
    "by setting items": "A = {'b': []}\nA['b'][0:0] = [1]\nA['c'] = 2\n",
    "by another binding": "A = 1\nA = 2\n",
    "by an augmented assignment": "A = 1\nA += 1\n",
    "by a loop": "for A in range(3): pass\n",
    "under an if": "import sys\nif sys.version_info > (3,):\n    A = 1\nelse:\n    A = 2\n",
    "in a try": "try:\n    A = int('x')\nexcept ValueError:\n    A = 7\n",
    "by a with": "import io\nwith io.StringIO('x') as f: A = f.read()\n",
    "by :=": "print(A := 1)\n",
    "by exec": "exec('A = 1')\n",
    "by setattr": "import sys\nsetattr(sys.modules[__name__], 'A', 1)\n",
    "by globals()": "globals()['A'] = 1\n",
    "by a global statement": "A = 1\ndef up():\n    global A\n    A += 1\nup()\n",
    "in a local module": "from conf import A\n",
    "in a local module that reads the environment": "from lost import A\n",
    "by a star import": "from conf import *\n",
}
FILES = {"cfg.json": '{"rate": 1}', "conf.py": "A = 3\n", "lost.py": "import os\nA = os.environ['PATH']\n"}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE.keys())
def test_the_job_has_the_value_of_the_module(made: str, load: Load, tmp_path: Path) -> None:
    function = load(
        f"{made}\ndef helper():\n    return A\n\ndef work():\n    return helper(), type(A).__name__\n", FILES
    )
    assert run_elsewhere(cut_out(function), {}, tmp_path / "job") == ascii(function())


VALUES = {
    "numbers": "[1, -2, 10**30, 0x10, True, 1.5, -0.0, 1e22, float('inf'), -float('inf'), float('nan'), complex(-0.0, float('nan')), 2j]",
    "an int of three thousand digits": "10 ** 3000",
    "text": "['a\\'\"\\n\\\\', 'µ\\ud800\\u2028\\0', b'\\0\\xff', '']",
    "text in several lines": "('a'\n  'b')",
    "containers": "[(), (1,), [], {}, set(), frozenset(), {1: (2, [3])}, bytearray(b'x'), range(1, 9, 2), slice(None, 3), ...]",
    "ranges and names of built-ins": "sorted([*range(3)])",
    "paths": "[Path('a/b'), Path('/nowhere/at/all'), PurePosixPath('x'), PureWindowsPath('c:/x')]",
    "dates": "[datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc), date(2020, 1, 2), timedelta(1, 2, 3), timezone(timedelta(hours=2), 'X'), time(1, 2)]",
    "exact numbers": "[Decimal('1.10'), Decimal('NaN'), Fraction(1, 3), UUID(int=5)]",
    "collections": "[OrderedDict(b=1, a=2), deque([1, 2], 3), defaultdict(list, {'a': [1]}), Counter('aab')]",
    "members of enums": "[Color.RED, {Color.BLUE: 1}, Level.HIGH, Perm.R | Perm.W, HTTPStatus.OK, socket.AF_INET]",
    "named tuples": "[Point(1, 2), Point(y=[3], x=Color.RED), Empty()]",
    "data classes": "[Config(1), Config(2, ['x']), Frozen(Config(3)), Slotted(4), Computed(5)]",
    "namespaces": "[SimpleNamespace(a=1, b=[2]), Namespace(rate=0.1)]",
}  # fmt: skip
PREPARED = """
import socket
from argparse import Namespace
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from fractions import Fraction
from http import HTTPStatus
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import NamedTuple
from uuid import UUID

class Color(Enum):
    RED = 1
    BLUE = "b"
class Level(IntEnum):
    HIGH = 3
class Perm(Flag):
    R = 1
    W = 2
class Point(NamedTuple):
    x: int
    y: object = 0
class Empty(NamedTuple):
    pass
@dataclass
class Config:
    rate: int
    names: list = field(default_factory=list)
@dataclass(frozen=True)
class Frozen:
    inner: Config
@dataclass(slots=True)
class Slotted:
    kind: int
@dataclass
class Computed:
    size: int
    def __post_init__(self):
        self.size += 1
"""


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_value_arrives_as_it_is(value: str, load: Load, tmp_path: Path) -> None:
    function = load(f"{PREPARED}\ndef id_(x): return x\nA = id_({value})\ndef work():\n    return A\n")
    cut = cut_out(function)
    assert "id_" not in cut.source, "its value stands there"
    assert run_elsewhere(cut, {}, tmp_path / "job") == ascii(function())


@pytest.mark.parametrize(
    ("made", "seen"),
    [
        ("A = [1]\nB = A\n", "B is A"),
        ("A = [1]\nB = {'a': A, 'b': [A]}\n", "B['a'] is A is B['b'][0]"),
        ("B = {'a': [1]}\nA = B['a']\n", "B['a'] is A"),
        ("A = [[]] * 3\nB = A[0]\n", "A[0] is A[1] is A[2] is B"),
        ("A, B = [[1]] * 2\n", "A is B"),
        ("A = [1]\nB = list(A)\n", "A is not B and A == B"),
        ("class C:\n    table = {}\nA = C.table\nB = [C().table]\nC.table['x'] = 1\n", "A is B[0] and A == {'x': 1}"),
        ("A = B = [1]\nclass C:\n    kept = A\n", "C.kept is A is B"),
    ],
)
def test_what_is_one_object_stays_one_object(made: str, seen: str, load: Load, tmp_path: Path) -> None:
    function = load(f"{made}\ndef work():\n    return {seen}, A, B\n")
    assert run_elsewhere(cut_out(function), {}, tmp_path / "job") == ascii(function()), cut_out(function).source
    assert ascii(function()).startswith("(True")


def test_a_literal_keeps_the_words_of_the_user(load: Load) -> None:
    cut = cut_out(
        load(
            "A = {\n    'b': 0x10,  # sixteen\n}\nB = ('x'\n     'y')\nC: int = 1_000\ndef work():\n    return A, B, C\n"
        )
    )
    assert cut.source.startswith("A = {\n    'b': 0x10,  # sixteen\n}\nB = ('x'\n     'y')\nC = 1_000\n")


def test_another_value_is_another_identity(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import os\nA = os.environ['SIZE']\ndef work():\n    return A\n"
    found = []
    for size in ("1", "2", "1"):
        monkeypatch.setenv("SIZE", size)
        found.append(cut_out(load(text)).normal_form)
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [*itertools.combinations(["1", "1.0", "True", "'1'", "[1]", "(1,)", "{1}", "0.0", "-0.0", "None", "b'1'"], 2)],
)
def test_values_that_are_not_the_same_have_different_identities(one: str, other: str, load: Load) -> None:
    forms = [cut_out(load(f"A = {value}\ndef work():\n    return A\n")).normal_form for value in (one, other)]
    assert forms[0] != forms[1]


@pytest.mark.parametrize("text", ["A = {'b': 1}\n", "A = dict(b=1)\n", "A = {}\nA['b'] = 1\n", "A = {'b': 0x1}\n"])
def test_how_a_value_was_made_is_not_part_of_the_identity(text: str, load: Load) -> None:
    forms = [cut_out(load(f"{made}def work():\n    return A\n")).normal_form for made in (text, "A = {'b': 1}\n")]
    assert forms[0] == forms[1]


@pytest.mark.parametrize("value", ["[0] * 100_000", "'x' * 1_000_000"])
def test_what_is_too_large_is_made_by_its_statement(value: str, load: Load) -> None:
    assert f"A = {value}\n" in cut_out(load(f"A = {value}\ndef work():\n    return A\n")).source


def test_what_contains_itself_is_made_by_its_statements(load: Load) -> None:
    cut = cut_out(
        load("def ring():\n    a = []\n    a.append(a)\n    return a\nA = ring()\ndef work():\n    return A\n")
    )
    assert "A = ring()\n" in cut.source


def test_a_name_in_the_text_of_a_query_is_a_name(load: Load) -> None:
    text = "LIMIT = len('abc')\ndef work(t):\n    own = 1\n    return t.query(f'a > @LIMIT and b < @own and {t}'), t.find('x@y')\n"
    assert cut_out(load(text)).source.startswith("LIMIT = 3\n")

"""Experiments as users write them: file name to text, the stage is `work`, with the arguments to call it with."""

# ruff: noqa: E501 - some of these texts say what they are about in one line

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class World:
    experiment: str
    arguments: dict[str, object] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    """What must not stand in the script."""


WORLDS: dict[str, World] = {
    "helpers and constants": World(
        '''
import math
import os, sys, json as j
from repx.errors import plural

SCALE = 2.5
UNUSED = object()
LIMITS = {"low": 0, "high": SCALE * 4}

def clamp(x, low=LIMITS["low"]):
    """Keep x in range."""
    return max(low, min(x, LIMITS["high"]))

def unused():
    return UNUSED, plural

def work(x):
    return clamp(math.floor(x) * SCALE), j.dumps([os.sep])
''',
        {"x": 7.9},
        absent=("UNUSED", "unused", "sys", "repx", "plural"),
    ),
    "helpers that call each other, below the stage": World(
        """
def work(n):
    return even(n)

def even(n):
    return n == 0 or odd(n - 1)

def odd(n):
    return n != 0 and even(n - 1)
""",
        {"n": 10},
    ),
    "classes and dataclasses": World(
        '''
from __future__ import annotations
import dataclasses as dc
from dataclasses import dataclass, field
from typing import ClassVar, TYPE_CHECKING
if TYPE_CHECKING:
    from collections.abc import Sequence

class Shape:
    """A shape."""
    sides = 0
    doubled = sides * 2
    def describe(self) -> NotThere:
        return type(self).__name__, self.sides, __class__.__name__

@dataclass(frozen=True)
class Square(Shape):
    size: float = 1.0
    sides: ClassVar[int] = 4
    tags: list[str] = field(default_factory=list)
    def area(self, others: Sequence[Square] = ()) -> float:
        return self.size ** 2

def work(size: Sequence[int]):
    square = Square(size)
    return square.describe(), square.area(), [f.name for f in dc.fields(square)]
''',
        {"size": 3},
        absent=("TYPE_CHECKING",),
    ),
    "decorated helpers": World(
        """
import functools
from contextlib import contextmanager

def twice(*, times=2):
    def decorate(function):
        @functools.wraps(function)
        def inner(*args):
            return [function(*args) for _ in range(times)]
        return inner
    return decorate

@functools.cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

@twice(
    times=3,
)
@functools.lru_cache(
    maxsize=None,
)
def shout(word):
    return word.upper()

@contextmanager
def opened(name):
    yield name

def work(n):
    with opened("file") as name:
        return fib(n), shout(name)
""",
        {"n": 20},
    ),
    "whole statements that choose": World(
        """
import sys
import os.path
import warnings
from typing import TYPE_CHECKING
if sys.version_info >= (3, 8):
    import json as reader
else:
    import simplejson_that_is_not_there as reader
if sys.platform == "win32":
    import winreg_of_another_name as registry
elif os.name == "posix":
    from posixpath import join as registry
else:
    registry = None
if TYPE_CHECKING:
    from collections.abc import Sequence
else:
    Sequence = list
FAST = os.sep == "/"
if FAST:
    def speed(x): return x * 2
    class Kind: name = "fast"
else:
    def speed(x): return x
    class Kind: name = "slow"
try:
    number = int("x")
    def parse(x): return int(x)
except ValueError:
    def parse(x): return float(x)
finally:
    PARSED = [parse]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import fractions

def work(n):
    return reader.dumps(n), registry("a", "b"), Sequence((1,)), speed(n), Kind.name, parse("1"), fractions.Fraction(1, 3)
""",
        {"n": 2},
    ),
    "comprehensions and walrus": World(
        """
WORDS = ["one", "two", "three"]
LENGTHS = {w: len(w) for w in WORDS}
BIG = [n for w in WORDS if (n := LENGTHS[w]) > 3]

def work(limit):
    rows = [[(w, c) for c in w if c in "aeiou"] for w in WORDS if (length := len(w)) < limit]
    total = sum(n for row in rows for n, *_ in [[len(row)]])
    return rows, total, length, BIG, {**LENGTHS}, {c for w in WORDS for c in w} == {c for c in "onetwothree"}
""",
        {"limit": 4},
    ),
    "match and exceptions": World(
        """
import re
from dataclasses import dataclass as record

@record
class Point:
    x: int
    y: int

class Bad(ValueError):
    pass

def work(n):
    def kind(value):
        match value:
            case Point(x=0, y=y): return "axis", y
            case [first, *rest]: return first, rest
            case {"k": v, **more}: return v, more
            case str() as text if re.match("a", text): return text
            case _: raise Bad(value)
    found = [kind(v) for v in (Point(0, n), [1, 2, 3], {"k": 1, "z": 2}, "abc")]
    try:
        kind(None)
    except (Bad, KeyError) as error:
        found.append(repr(error))
    return found
""",
        {"n": 5},
    ),
    "import attempts": World(
        """
try:
    import certainly_not_installed as fast
except ImportError:
    fast = None

try:
    from also_not_installed import dumps
except ModuleNotFoundError:
    from json import dumps
    HAVE = False
else:
    HAVE = True

def work():
    try:
        import third_not_installed
    except Exception:
        third_not_installed = 3
    return fast, dumps([1]), HAVE, third_not_installed
""",
    ),
    "a local module that imports another": World(
        """
import helpers as h
import helpers
from tables import TABLE
import lonely

def work(x):
    return h.double(x), helpers.NAME, TABLE["a"]
""",
        {"x": 4},
        {
            "helpers.py": 'import tables\nNAME = __name__\ndef double(x):\n    "Twice."\n    return 2 * x + tables.TABLE["a"]\n',
            "tables.py": "TABLE = {'a': 1}\n",
            "lonely.py": "raise_not = 1\n",
        },
        absent=("lonely",),
    ),
    "a package with relative imports": World(
        """
from lab.models.linear import fit
import lab.report

def work(x):
    from lab import extra
    return fit(x), lab.report.say(x), extra.E
""",
        {"x": 2},
        {
            "lab/__init__.py": "VERSION = 3\n",
            "lab/models/__init__.py": "from .base import Base\n",
            "lab/models/base.py": "class Base:\n    from .. import VERSION\n    version = VERSION\n",
            "lab/models/linear.py": "from . import Base\nfrom ..report import say\ndef fit(x):\n    return Base.version * x, say(x)\n",
            "lab/models/unused.py": "1 / 0\n",
            "lab/report.py": "def say(x):\n    return f'<{x}>'\n",
            "lab/extra.py": "E = 2.718\n",
        },
    ),
    "a directory without __init__": World(
        """
from bits.one import ONE
def work():
    return ONE
""",
        {},
        {"bits/one.py": "from bits import two\nONE = two.TWO - 1\n", "bits/two.py": "TWO = 2\n"},
    ),
    "strings with odd indentation": World(
        '''
HEADER = """\\
   first
second
"""; FOOTER = \'\'\'
  end\'\'\'

def work(n):
    """Doc
  string."""
    # a comment first

    text = f"""
no indentation
        {n!r:>4}
  two"""
    if n:
        more = \'\'\'
deeper
\'\'\'
    else:
        more = ""
    return text + more + HEADER + FOOTER
''',
        {"n": 3},
    ),
    "backslashes and parentheses": World(
        """
TOTAL = 1 + \\
    2
( LEFT,
  RIGHT ) = (
    3,
    4)
from os import (
    sep,  # the separator
    linesep,
)

def work(a, b): \\
    return a + b + TOTAL + \\
        LEFT, sep
""",
        {"a": 1, "b": 2},
        absent=("linesep",),
    ),
    "tabs": World(
        "def helper(x):\n\tif x:\n\t\treturn 1\n\treturn 2\n\ndef work(x):\n\tif x:\n\t\t# comment\n\t\ty = helper(x)\n\telse:\n\t\ty = 0\n\treturn y\n",
        {"x": 1},
    ),
    "one line": World("K = 3; J = K + 1\ndef work(x, *, y): z = x * J; return (z +\n  y)\n", {"x": 2, "y": 1}),
    "a header of many lines": World(
        """
def options(**given):
    return lambda function: function

@options(
    packages=["python3"],  # a comment
    resources=lambda p: {"mem": "64G" if p else "8G"},
)
@options()
def work(
    data: "Input",
    /,
    out: int = options(), # )
    *,
    k: float = 1.0,
    # a comment in the header:
) -> None:

    # first of the body
    return data, out, k
""",
        {"data": 1, "out": 2, "k": 3},
        absent=("options", "Input"),
    ),
    "unicode": World(
        """
größe = "µm → 長さ"; π = 3.14159
def naïve(x): return f"{x}{größe}"  # ü
def work(σ):
    té = "é" ; return naïve(σ), té, π, "\N{SNOWMAN}", "\\N{SNOWMAN}"
""",
        {"σ": "ß"},
    ),
    "carriage returns": World(
        'TEXT = """a\r\nb"""\r\n\r\ndef work(x):\r\n    # comment\r\n    if x:\r\n        return TEXT + """\r\n  c"""\r\n    return 1\r\n',
        {"x": 1},
    ),
    "a stage under an if": World(
        """
BASE = 10
if BASE:
    def work(x):
        text = '''
 kept'''
        return BASE + x, text
""",
        {"x": 1},
    ),
    "a byte order mark and a form feed": World(
        "\ufeffA = 1\n\f\nB = 'x\x0cy'\ndef work():\n    return A, B, '\u2028'\n"
    ),
    "annotations that must be there": World(
        """
import collections.abc
import collections
from pathlib import Path
Pair = tuple[int, Path]
NUMBER: int = 4
MAYBE: "NotThere" = None
def helper(p: Pair, q: collections.abc.Sized = ()) -> Path:
    local: NeverEvaluated = p
    return collections.OrderedDict([(str(local[1]), len(q))])
def work(x):
    return helper((x, Path("a"))), NUMBER, MAYBE
""",
        {"x": 1},
    ),
    "a helper with a mutable memory": World(
        """
SEEN = {}
COUNT = [0]
def remember(x):
    if x not in SEEN:
        SEEN[x] = len(SEEN)
        COUNT.append(x)
    return SEEN[x]
first = remember("elsewhere")
def work(x):
    return [remember(v) for v in (x, "b", x)][1:2] and sorted(map(str, {x, "b"}))
""",
        {"x": "a"},
    ),
}

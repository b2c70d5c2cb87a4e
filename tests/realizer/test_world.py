"""What a module holds and a job would not have is refused, with its name and place, before anything runs."""

# ruff: noqa: E501 - each case is the text of a small file, in a line where it fits

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from repx.dsl.source.cutout import cut_out
from repx.errors import Finding
from repx.model.software import Software, SoftwareRequest
from repx.process import Completed, run
from repx.realizer.checks.world import WithWorlds
from repx.store.writer import StoreWriter
from tests.dsl.loading import Load, loading

__all__ = ["loading"]  # the fixture `load`


class NoSoftware:
    """A package set that has nothing to say."""

    def resolve(self, requests: Sequence[SoftwareRequest]) -> list[Software]:
        return [Software(()) for _ in requests]

    def realize(self, software: Iterable[Software], writer: StoreWriter, watch: Callable[[str], None]) -> None:
        return


class Counted:
    """The real thing, with a count."""

    def __init__(self) -> None:
        self.starts = 0

    def __call__(self, argv: Sequence[str], **options: object) -> Completed:
        self.starts += 1
        return run(argv, **options)  # type: ignore[arg-type]


@pytest.fixture(name="findings")
def checked(load: Load) -> Callable[..., tuple[Finding, ...]]:
    def findings(
        text: str, files: dict[str, str] | None = None, path: Path | None = None, program: Counted | None = None
    ) -> tuple[Finding, ...]:
        cut = cut_out(load(text, files))
        request = SoftwareRequest("work", "python", (), cut.source, cut.origin, world=cut.world)
        asked = WithWorlds(NoSoftware(), None if path is None else str(path), program or run)
        return asked.resolve([request])[0].findings

    return findings


Findings = Callable[..., tuple[Finding, ...]]

DIFFERENT = {
    "setattr": ("class C:\n    a = 1\nsetattr(C, 'a', 3)\ndef work():\n    return C.a\n", 1, "C.a is 3 in the module, and 1"),
    "another name of a class": ("class C:\n    a = 1\nD = C\nD.a = 9\ndef work():\n    return C.a\n", 1, "C.a"),
    "a new attribute": ("class C: pass\nsetattr(C, 'a', 3)\ndef work():\n    return C.a\n", 1, "C.a is there in the module alone"),
    "a method": ("class C:\n    def m(self): return 1\nsetattr(C, 'm', lambda self: 2)\ndef work():\n    return C().m()\n", 1, "C.m"),
    "a registry in a class": (
        "class B:\n    kinds = []\n    def __init_subclass__(cls): B.kinds.append(1)\nclass A(B): pass\ndef work():\n    return B.kinds\n", 1, "B.kinds",
    ),
    "a default": ("A = 1\ndef f(x=A): return x\nA = 2\ndef work():\n    return f()\n", 2, "f"),
    "an attribute of a function": ("def f(x=1): return f.n\nsetattr(f, 'n', 1)\ndef work():\n    return f()\n", 1, "f"),
    "a generator of numbers": ("import random\nrng = random.Random(7)\nA = rng.random()\ndef work():\n    return rng.random()\n", 2, "rng"),
    "an iterator": ("it = iter([1, 2, 3])\nfirst = next(it)\ndef work():\n    return next(it)\n", 1, "it"),
    "a generator": ("def g():\n    yield 1\n    yield 2\nit = g()\nfirst = next(it)\ndef work():\n    return next(it)\n", 4, "it"),
    "a counter": ("import itertools\nc = itertools.count()\nA = next(c)\ndef work():\n    return next(c)\n", 2, "c"),
    "a table that a decorator fills": (
        "A = [[]]\ndef noted(f):\n    A[0].append(1)\n    return f\n@noted\ndef a(): pass\ndef work():\n    return A, a\n", 1, "A",
    ),
    "an attribute that a helper sets on a function": ("def f(): return f.n\ndef up(): f.n = 3\nup()\ndef work():\n    return f()\n", 1, "f"),
    "an attribute of an object by another name": ("class C:\n    def __init__(self): self.f = len\nc = C()\nd = c\nd.n = 5\ndef work():\n    return c.n\n", 3, "c"),
    "a class in a table": ("T = {'a': len}\nU = T\nU['b'] = abs\ndef work():\n    return T\n", 1, "T"),
    "what is derived from a class": ("class B: pass\nclass A(B): pass\ndef work():\n    return B.__subclasses__()\n", 1, "B.__subclasses__()"),
    "a metaclass that keeps a list": (
        "class M(type):\n    kept = []\n    def __init__(self, *a): M.kept.append(self.__name__)\nclass A(metaclass=M): pass\nclass B(metaclass=M): pass\ndef work():\n    return M.kept, A\n", 1, "M.kept",
    ),
    "two names of one object": (
        "class C:\n    kept = []\nA = C.kept\ndef work():\n    A.append(1)\n    return C.kept\n", None, "C.kept",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "told"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_the_module_holds_and_a_job_would_not_is_told(
    text: str, line: int | None, told: str, findings: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.txt").write_text("here")
    monkeypatch.chdir(tmp_path)
    found = findings(text)
    assert [one for one in found if told in one.message], found
    if line is not None:
        assert f"experiment.py:{line}" in " ".join(str(one.location) for one in found)
    assert all(one.remedy for one in found)


MODULES = {
    "a setting of the experiment": ("import conf\nsetattr(conf, 'N', 5)\ndef work():\n    return conf.N\n", "N = 1\n", "conf.N is 5", 1),
    "a class": ("import conf\nsetattr(conf.C, 'n', 5)\ndef work():\n    return conf.C\n", "class C:\n    n = 1\n", "conf.C.n", 1),
    "through a function": ("from conf import f\nvars()['f'].__globals__.update(N=5)\ndef work():\n    return f()\n", "N = 1\ndef f(): return N\n", "conf.N is 5", 1),
}  # fmt: skip


@pytest.mark.parametrize(("text", "module", "told", "line"), MODULES.values(), ids=MODULES.keys())
def test_a_local_module_that_a_job_would_have_otherwise_is_told(
    text: str, module: str, told: str, line: int, findings: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.txt").write_text("here")
    monkeypatch.chdir(tmp_path)
    found = findings(text, {"conf.py": module})
    assert [one for one in found if told in one.message], found
    assert f"conf.py:{line}" in " ".join(str(one.location) for one in found)


SAME = [
    "import logging\nlog = logging.getLogger(__name__)\nclass C:\n    log = logging.getLogger(__name__)\ndef work():\n    return log, C\n",
    "class B: pass\nclass A(B): pass\ndef work():\n    return B.__subclasses__(), A\n",
    "import re, functools, operator\nP = re.compile('a', re.I)\n@functools.cache\ndef f(x): return P.match(x)\nG = functools.partial(f, 'b')\ndef work():\n    return f, G, operator\n",
    "import random\nrng = random.Random(7)\ndef work():\n    return rng.random()\n",
    "import threading, logging, io, itertools\nL = threading.Lock()\nlog = logging.getLogger('a')\nB = io.StringIO()\nC = itertools.count()\ndef work():\n    return L, log, B, C\n",
    "from dataclasses import dataclass, field\nfrom enum import Enum\nfrom typing import NamedTuple\nclass E(Enum):\n    A = 1\n@dataclass\nclass D:\n    x: int = 0\n    y: list = field(default_factory=list)\nclass N(NamedTuple):\n    a: int\nDEFAULT = D(1, [E.A])\nTABLE = {E.A: D, 'n': N, 'f': lambda x: x + 1}\ndef work():\n    return DEFAULT, TABLE\n",
    "import abc\nclass Base(abc.ABC):\n    @abc.abstractmethod\n    def run(self): ...\n    @property\n    def p(self): return 1\n    @staticmethod\n    def s(): return {3, 'a', 2.5}\n    @classmethod\n    def c(cls): return cls\nclass A(Base):\n    table = {'a': {1, 2}}\n    def run(self): return super().p\nONE = A()\ndef work():\n    return ONE.run()\n",
    "import contextlib, collections\n@contextlib.contextmanager\ndef opened():\n    yield 1\nP = collections.namedtuple('P', 'x y')\nT = collections.ChainMap({'a': len})\ndef work():\n    return opened, P, T\n",
    "class Node:\n    def __init__(self): self.up, self.down = self, [self]\nROOT = Node()\ndef work():\n    return ROOT\n",
    "import conf, lab.deep\nfrom conf import f, C, N\ndef work():\n    return f(), C(), N, lab.deep.x()\n",
    "def work():\n    import conf\n    return conf.N\n",
]  # fmt: skip
LOCAL = {
    "conf.py": "import time\nSTARTED = time.time()\nN = {'a': [1]}\nclass C:\n    n = N\ndef f(): return N, C\n",
    "lab/__init__.py": "",
    "lab/deep.py": "from . import other\nfrom conf import N\ndef x(): return other.y, N\n",
    "lab/other.py": "import re\ny = re.compile('x')\n",
}


@pytest.mark.parametrize("text", SAME)
def test_what_is_made_again_as_it_was_is_not_told(text: str, findings: Findings) -> None:
    assert findings(text, LOCAL) == ()


@pytest.mark.parametrize(
    ("made", "line"),
    [
        ("import configparser\nclass C:\n    c = configparser.ConfigParser()\n    c.read({file!r})\nc = C()\n", 4),
        ("import conf\nc = conf.Parsed({file!r})\n", 2),
        ("import configparser\nclass C:\n    c = configparser.ConfigParser()\n    c.read('not.there')\nc = C()\n", 4),
    ],
)
def test_a_file_that_a_library_reads_is_told_also_when_it_says_the_same(
    made: str, line: int, findings: Findings, tmp_path: Path
) -> None:
    place = tmp_path / "settings.ini"
    place.write_text("[a]\nb = 1\n")
    module = "import configparser\nclass Parsed:\n    def __init__(self, file):\n        self.c = configparser.ConfigParser()\n        self.c.read(file)\n"
    found = findings(made.replace("{file!r}", repr(str(place))) + "def work():\n    return c\n", {"conf.py": module})
    assert [
        one for one in found if "reads" in one.message and ("settings.ini" in one.message or "not.there" in one.message)
    ]
    assert any(str(one.location).endswith((f"experiment.py:{line}", "conf.py:5")) for one in found)


def test_a_script_of_values_and_plain_functions_needs_no_interpreter(findings: Findings) -> None:
    program = Counted()
    text = "import os\nN = os.getpid()\ndef helper(): return N\ndef work():\n    return helper(), os.sep\n"
    assert findings(text, program=program) == ()
    assert program.starts == 0


def test_an_interpreter_is_started_once_for_a_script(findings: Findings, tmp_path: Path) -> None:
    program, path = Counted(), tmp_path / "cache" / "worlds"
    text = "class C:\n    a = 1\ndef work():\n    return C.a\n"
    assert findings(text, path=path, program=program) == ()
    assert findings(text, path=path, program=program) == ()
    assert program.starts == 1
    assert findings(text.replace("def work", "setattr(C, 'a', 2)\ndef work"), path=path, program=program)
    assert program.starts == 1, "what the script makes is known; what the module holds is another"
    assert findings(text.replace("a = 1", "a = 4"), path=path, program=program) == ()
    assert program.starts == 2


def test_a_request_without_a_world_is_left_alone(load: Load) -> None:
    cut = cut_out(load("def work():\n    return 1\n"))
    request = SoftwareRequest("work", "python", (), cut.source, cut.origin, world=cut.world)
    assert request.world is None
    assert dataclasses.replace(WithWorlds(NoSoftware()).resolve([request])[0]) == Software(())


def test_a_local_module_that_only_the_body_imports_is_not_told(findings: Findings) -> None:
    files = {"pack/__init__.py": "from .deep import text\n", "pack/deep.py": "def text():\n    return 1\n"}
    text = "import pack\ndef work():\n    from pack import deep\n    return deep.text()\n"
    assert findings(text, files) == ()

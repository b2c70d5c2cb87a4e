"""What cannot be cut out is told with the line, the name and what to do; all of it at once."""

# ruff: noqa: E501, ISC004 - each case is the text of a small file, in a line where it fits

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from repx.dsl.source.cutout import cut_out
from repx.errors import DefinitionError
from tests.dsl.loading import Load, loading

__all__ = ["loading"]  # the fixture `load`

CASES = {
    "star import": ("from os.path import *\ndef work():\n    return join('a')\n", 1, "join", "from os.path import join"),
    "a builtin that a star import hides": ("from math import *\ndef work():\n    return pow(2, 3)\n", 1, "pow", "import pow"),
    "defined twice": ("def h(): return 1\ndef h(): return 2\ndef work():\n    return h()\n", 2, "h is bound again", "once"),
    "bound twice in different ways": ("import json\ndef json(): pass\ndef work():\n    return json\n", 2, "json", "once"),
    "global in the body": ("A = 1\ndef work():\n    global A\n    A = 2\n    return A\n", 3, "global A", "argument"),
    "global in a helper": ("A = 1\ndef h():\n    global B\n    B = A\ndef work():\n    return h()\n", 3, "global B", "argument"),
    "an attribute of a class": ("class C:\n    x = 1\nC.x = 2\ndef work():\n    return C.x\n", 3, "C.x = 2", "body"),
    "a function registered elsewhere": (
        "import functools\n@functools.singledispatch\ndef h(x): return 0\n@h.register\ndef _(x: int): return 1\n"
        "def work():\n    return h(1)\n", 4, "@h.register", "body",
    ),
    "changed out of sight": (
        "R = {}\ndef register(f):\n    R[f.__name__] = f\n    return f\n@register\ndef a(): return 1\n"
        "def work():\n    return R['a']()\n", 1, "R is no longer", "its whole value here",
    ),
    "match": ("match object():\n    case A: pass\ndef work():\n    return A\n", 1, "a match statement", "plain"),
    "settings of an imported module under an if": (
        "import random\nif 1:\n    random.seed(0)\ndef work():\n    return random.random()\n", 3, "random.seed(0)", "body",
    ),
    "a call of a local module": (
        "import json.decoder\nclass C: pass\nC.a = json\ndef work():\n    return C\n", 3, "C.a = json", "body",
    ),
    "an object bound twice": ("A = object()\nA = object()\ndef work():\n    return A\n", 2, "A is bound again", "once"),
    "an object that is changed": ("import io\nA = io.StringIO()\nA.write('x')\ndef work():\n    return A\n", 3, "A.write", "body"),
    "an object made in a loop": ("for A in [object()]: pass\ndef work():\n    return A\n", 1, "a for statement", "plain"),
    "an object of the main program": (
        "if __name__ == '__main__':\n    A = object()\ndef work():\n    return A\n", 2, "an if statement", "plain",
    ),
    "an object under an if, bound again": (
        "A = None\nif True:\n    A = object()\ndef work():\n    return A\n", 3, "A is bound again", "once",
    ),
    "the name of the module": (
        "def h():\n    return __name__ == '__main__'\ndef work():\n    return h()\n", 2, "always called __main__", "leave",
    ),
    "an object that nothing binds": ("exec('A = object()')\ndef work():\n    return A\n", 3, "no statement", "plain"),
    "a place in the experiment's folder": (
        "from pathlib import Path\nHERE = Path(__file__).parent\ndef work():\n    return HERE\n", 4, "HERE names", "repx.path",
    ),
    "unbound": ("FACTOR = 1\ndef work():\n    return FACTR\n", 3, "FACTR is not bound", "did you mean FACTOR"),
    "the number of a realization": ("def work():\n    return index\n", 2, "index is not bound", "*, index: int = 0"),
    "unbound builtin": ("def work():\n    return lenn([])\n", 2, "lenn is not bound", "did you mean len"),
    "unbound in a helper": ("def h():\n    return nothing_like_it\ndef work():\n    return h()\n", 2, "nothing_like", "param"),
    "type checking": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import csv\ndef work():\n    return csv\n",
        5, "TYPE_CHECKING", "import csv",
    ),
    "a file of its own": ("def work():\n    return __file__\n", 2, "__file__", "repx.path"),
    "something of repx": ("from repx.errors import plural\ndef work():\n    return plural\n", 3, "comes from repx", "stage"),
    "a module of repx": ("import repx.errors\ndef work():\n    return repx.errors\n", 3, "comes from repx", "stage"),
    "a decorator of repx on a helper": (
        "from repx.errors import plural as stage\ndef real(f): return f\n@real\ndef h(): pass\n"
        "if 0:\n    pass\n\ndef work():\n    return real(stage)\n", 9, "stage comes from repx", "stage",
    ),
    "a value of repx": (
        "from repx.errors import SourceLocation\nlab = SourceLocation('a', 1)\ndef work():\n    return lab\n",
        4, "lab is an object of repx", "input",
    ),
    "repx in the annotation of a helper": (
        "from repx.errors import SourceLocation\ndef h(x: SourceLocation): return x\ndef work():\n    return h(1)\n",
        2, "comes from repx", "from __future__ import annotations",
    ),
    "async": ("async def work():\n    return 1\n", 1, "async", "asyncio.run"),
    "generator": ("def work():\n    yield 1\n", 1, "generator", "outputs"),
    "any arguments": ("def work(*files):\n    return files\n", 1, "any number", "name every"),
    "lambda": ("work = lambda: 1\n", 1, "lambda", "def"),
    "wrapped": (
        "import functools\ndef deco(f):\n    @functools.wraps(f)\n    def inner(): return f()\n    return inner\n"
        "@deco\ndef work(): return 1\n", 3, "wrapped", "alone",
    ),
    "method": ("class C:\n    def m(self): return 1\nwork = C.m\n", 2, "C.m is a method", "top level"),
    "closure": (
        "def make(n):\n    f = lambda: n\n    def work():\n        return f()\n    return work\nwork = make(1)\n",
        4, "f belongs", "param",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message", "hint"), CASES.values(), ids=CASES.keys())
def test_it_says_where_what_and_what_to_do(
    text: str, line: int, message: str, hint: str, load: Load, tmp_path: Path
) -> None:
    function = load(text)
    with pytest.raises(DefinitionError) as raised:
        cut_out(function)
    assert str(raised.value.location) == f"{tmp_path}/user/experiment.py:{line}", str(raised.value)
    assert message in raised.value.headline
    assert hint in raised.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "import os\nimport os.path\ndef work():\n    return os.path\n",
        "import xml.dom, xml.sax\ndef work():\n    return xml.dom, xml.sax\n",
        "A = (1,)\nprint(A)\nA.count(1)\nlen(A)\ndef work():\n    return A\n",
        "A = [1]\nprint(A)\nB = sum(A)\nassert A\ndef work():\n    return A\n",
        "from os.path import *\ndef work():\n    return len([])\n",
        "def work():\n    return [__name__, __debug__, NotImplemented, __import__]\n",
        "from pathlib import Path\nP = Path('a')\nP.exists()\ndef work():\n    return P\n",
        "A = 1\ndef work():\n    A = 2\n    return A\nA = 3\n",
        "import functools\ndef h(): return 1\n@functools.cache\ndef other(): return h()\ndef work():\n    return h(), functools\n",
        "def make():\n    def work():\n        return 1\n    return work\nwork = make()\n",
        "def work(n):\n    return n and work(n - 1)\n",
        "A = float('nan')\nB = [1, 2.5, -3j, {'a': (b'x', ...)}]\ndef work():\n    return A, B\n",
    ],
)
def test_what_may_be_cut_out(text: str, load: Load) -> None:
    assert cut_out(load(text)).name == "work"


def test_all_problems_are_told_at_once(load: Load, tmp_path: Path) -> None:
    text = "A = object()\nA = object()\nB = iter([])\nB.close()\ndef work(*x):\n    return A, B, nothing\n"
    function = load(text.replace("B.close()", "B.__setstate__(1)"))
    with pytest.raises(DefinitionError) as raised:
        cut_out(function)
    assert raised.value.headline == "stage 'work' cannot be cut out: 4 problems"
    places = [label for label, _ in raised.value.facts]
    assert places == [f"{tmp_path}/user/experiment.py:{line}" for line in (2, 4, 5, 6)]
    assert all("\n" in str(value) for _, value in raised.value.facts), "each with what to do"


def test_a_local_module_that_imports_repx_is_told(load: Load, tmp_path: Path) -> None:
    function = load(
        "import a\ndef work():\n    return a\n", {"a.py": "import b\n", "b.py": "\nfrom repx import errors\n"}
    )
    with pytest.raises(DefinitionError) as raised:
        cut_out(function)
    assert str(raised.value.location) == f"{tmp_path}/user/b.py:2"
    assert "imports repx" in raised.value.headline


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"def broken(:\n", "invalid syntax"),
        (b"# coding: latin-1\nx = '\xe4'\n", "not in UTF-8"),
        (b"x = '\xe4'\n", "encoding"),
    ],
)
def test_a_local_module_that_cannot_be_read_is_told(content: bytes, message: str, load: Load, tmp_path: Path) -> None:
    function = load("def work():\n    import broken\n")
    (tmp_path / "user" / "broken.py").write_bytes(content)
    with pytest.raises(DefinitionError, match=message):
        cut_out(function)


@pytest.mark.parametrize(
    ("module", "line", "name"),
    [
        ("from pathlib import Path\ndef f():\n    return Path(__file__).parent\n", 3, "__file__"),
        ("from importlib import resources\ndef f():\n    return resources.files('lab')\n", 3, "files"),
        (
            "import importlib.resources\ndef f():\n    return importlib.resources.read_text('lab', 'x')\n",
            3,
            "read_text",
        ),
        ("from importlib.resources import files\ndef f():\n    return files('lab')\n", 3, "files"),
        ("import pkgutil\ndef f():\n    return pkgutil.get_data('lab', 'x')\n", 3, "get_data"),
        ("import pkgutil\ndef f():\n    return [*pkgutil.iter_modules(__path__)]\n", 3, "iter_modules"),
        ("import lab\ndef f():\n    return lab.__path__\n", 3, "__path__"),
    ],
)
def test_a_local_module_that_asks_for_files_beside_it_is_told(
    module: str, line: int, name: str, load: Load, tmp_path: Path
) -> None:
    function = load("import lab\ndef work():\n    return lab.f()\n", {"lab/__init__.py": module})
    with pytest.raises(DefinitionError) as raised:
        cut_out(function)
    assert str(raised.value.location) == f"{tmp_path}/user/lab/__init__.py:{line}"
    assert name in raised.value.headline
    assert "repx.path" in raised.value.hint


def test_a_stage_that_asks_for_files_of_a_local_package_is_told(load: Load) -> None:
    text = "from importlib import resources\nimport lab\ndef work():\n    return resources.files('lab'), lab\n"
    with pytest.raises(DefinitionError, match="looks by files") as raised:
        cut_out(load(text, {"lab/__init__.py": ""}))
    assert str(raised.value.location).endswith("experiment.py:4")
    assert cut_out(load(text.replace("'lab'", "'json'"), {"lab/__init__.py": ""})).name == "work"


def test_what_a_local_module_asks_for_in_what_nobody_uses_does_not_matter(load: Load) -> None:
    module = "files = []\ndef f():\n    return files\ndef g():\n    return __file__\n"
    assert cut_out(load("import lab\ndef work():\n    return lab.f()\n", {"lab/__init__.py": module})).name == "work"


def test_a_missing_part_of_a_local_package_is_told(load: Load) -> None:
    function = load("def work():\n    import lab.nothing\n", {"lab/__init__.py": ""})
    with pytest.raises(DefinitionError, match=r"local module lab\.nothing does not exist"):
        cut_out(function)


def test_a_relative_import_in_the_body_is_told(load: Load) -> None:
    function = load(
        "from lab.a import work\n", {"lab/__init__.py": "", "lab/a.py": "def work():\n    from . import b\n"}
    )
    with pytest.raises(DefinitionError, match="relative import"):
        cut_out(function)


def test_a_function_without_source_is_told() -> None:
    names: dict[str, object] = {}
    exec("def work(): return 1", names)
    function = names["work"]
    assert isinstance(function, types.FunctionType)
    with pytest.raises(DefinitionError, match="work has no source"):
        cut_out(function)


def test_a_file_that_changed_since_is_told(load: Load, tmp_path: Path) -> None:
    function = load("def work():\n    return 1\n")
    (tmp_path / "user" / "experiment.py").write_text("# new\ndef work():\n    return 1\n")
    with pytest.raises(DefinitionError, match="not where Python says"):
        cut_out(function)


def test_what_is_no_function_is_told() -> None:
    with pytest.raises(DefinitionError, match="not a plain function"):
        cut_out(len)  # type: ignore[arg-type]


MARIMO = """
import marimo
app = marimo.App()

@app.cell
def _():
    {inside}
"""


def test_a_cell_of_marimo_is_refused_in_one_sentence(load: Load) -> None:
    app = "import sys, types\nsys.modules['marimo'] = types.SimpleNamespace(App=type('App', (), {'cell': lambda self, f: f}))"
    inside = "exec(compile('\\n' * 9 + 'def work():\\n    return A', __file__, 'exec'), globals())"
    text = app + MARIMO.format(inside=inside) + "\n_()\n"
    try:
        function = load(text)
    finally:
        sys.modules.pop("marimo", None)
    scope: dict[str, types.FunctionType] = {}
    exec(compile("def work():\n    return A", "/tmp/marimo_7/__marimo__cell_Hbol_.py", "exec"), scope)
    for one in (function, scope["work"]):
        with pytest.raises(DefinitionError) as raised:
            cut_out(one)
        assert "work stands in a cell of a marimo notebook" in str(raised.value)
        assert "import them" in raised.value.hint

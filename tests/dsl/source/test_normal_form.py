"""The normal form is the same on every Python, and says all that matters and nothing else."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from repx.dsl.source.normal_form import normal_form
from tests.interpreters import NAMES, interpreters
from tests.machine import optional

REPOSITORY = Path(__file__).parents[3]
GOLDEN = REPOSITORY / "tests" / "golden" / "normal_form"
DIGESTS: dict[str, str] = json.loads((GOLDEN / "digests.json").read_text())
PROGRAM = """
import ast, hashlib, json, pathlib, sys
from repx.dsl.source.normal_form import normal_form
digests = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    form = normal_form(ast.parse(path.read_text(encoding="utf-8")))
    digests[path.name] = hashlib.sha256(form.encode("ascii")).hexdigest()
json.dump(digests, sys.stdout, indent=2)
"""


def digest(text: str) -> str:
    return hashlib.sha256(normal_form(ast.parse(text)).encode("ascii")).hexdigest()


def test_every_golden_file_has_a_digest() -> None:
    assert sorted(DIGESTS) == sorted(path.name for path in GOLDEN.glob("*.py"))


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_this_interpreter_gives_the_golden_digests(name: str) -> None:
    assert digest((GOLDEN / name).read_text(encoding="utf-8")) == DIGESTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_other_interpreters_give_the_golden_digests(name: str) -> None:
    path = interpreters().get(name)
    optional(path, f"no working {name} on PATH")
    assert path is not None
    done = subprocess.run(
        [path, "-B", "-W", "ignore", "-c", PROGRAM, str(GOLDEN)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == DIGESTS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x=(1)  # one"),
        ("'a' 'b'", "x"[:0] + "'ab'"),
        ("x = u'a' \"b\"", "x = 'ab'"),
        ("f'a{x}' 'b' f'c'", "f'a{x}bc'"),
        ("f'{x:}'", "f'{x}'"),
        ("'doc'\nx = 1", "x = 1"),
        ("def f():\n    'doc'\n    return 1", "def f():\n    return 1"),
        ("def f():\n    'doc'", "def f():\n    pass"),
        ("class C:\n    'doc'\n    x = 1", "class C: x = 1"),
        ("def f(a, b): return (a, b)", "def f(\n  a,\n  b,\n):\n\treturn a, b"),
        ("if a:\n  b\nelse:\n  if c: d", "if a: b\nelif c: d"),
        ("1_000 + 0xff", "1000 + 255"),
    ],
)
def test_what_means_the_same_has_one_form(one: str, other: str) -> None:
    if one.startswith("'a' 'b'"):  # a lone string would be a docstring
        one, other = f"x = {one}", f"x = {other}"
    assert normal_form(ast.parse(one)) == normal_form(ast.parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 1", "x = '1'"),
        ("x = 'a'", "x = b'a'"),
        ("x = ''", "x = None"),
        ("x = ''", "x = b''"),
        ("x = 0.0", "x = -0.0"),
        ("x = None", "x = ..."),
        ("x = None", "x = 'None'"),
        ("x = y", "x = 'y'"),
        ("x = []", "x = ()"),
        ("x = [[], a]", "x = [a, []]"),
        ("x = {**a}", "x = {None: a}"),
        ("def f(*, a, b=1): pass", "def f(*, a=1, b): pass"),
        ("def f(a, b): pass", "def f(a, *, b): pass"),
        ("def f(a, /, b): pass", "def f(a, b): pass"),
        ("return_ = x[1:]", "return_ = x[:1]"),
        ("f'{x}'", "f'{x!r}'"),
        ("f'{x}{y}'", "f'{x} {y}'"),
        ("f'{x:{y}}'", "f'{x:y}'"),
        ("from . import a", "from .. import a"),
        ("import a as b", "import a"),
        ("f(a, *b)", "f(*a, b)"),
        ("def f(): return 1", "async def f(): return 1"),
        ("[x for x in y]", "(x for x in y)"),
        ("try: pass\nexcept E: pass", "try: pass\nexcept* E: pass"),
        ("def f():\n    x\n    'not a docstring'", "def f():\n    x"),
        ("x = 'a,b'", "x = 'a', 'b'"),
        ("a.b = c", "a.c = b"),
    ],
)
def test_what_means_something_else_has_another_form(one: str, other: str) -> None:
    assert normal_form(ast.parse(one)) != normal_form(ast.parse(other))


def test_a_deep_tree_needs_no_deep_stack() -> None:
    node: ast.expr = ast.Name(id="x", ctx=ast.Load())
    for _ in range(5 * sys.getrecursionlimit()):
        node = ast.BinOp(left=node, op=ast.Add(), right=ast.Constant(1))
    assert normal_form(node).count("Add()") == 5 * sys.getrecursionlimit()


def test_an_integer_may_have_any_length() -> None:
    assert normal_form(ast.Constant(1 << 100_000)).startswith("Constant(0x1000")

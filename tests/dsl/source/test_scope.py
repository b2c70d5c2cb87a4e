"""Our walk of scopes against the interpreter's own symbol table, over the standard library."""

from __future__ import annotations

import ast
import random
import subprocess
import symtable
import sysconfig
from pathlib import Path

import pytest

import repx
from repx.dsl.source.scope import body_uses, statement_uses
from tests.interpreters import interpreters
from tests.machine import optional

STANDARD_LIBRARY = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
SAMPLE = random.Random(7).sample(STANDARD_LIBRARY, 60)


def global_names(table: symtable.SymbolTable) -> set[str]:
    """What the interpreter looks up in the module from `table` and the scopes inside it."""
    names = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
    return names.union(*map(global_names, table.get_children())) - {
        "__class__"
    }  # it adds that wherever it reads `super`


def tables_of(text: str) -> dict[tuple[str, int], symtable.SymbolTable]:
    children = symtable.symtable(text, "text", "exec").get_children()
    return {(table.get_name(), table.get_lineno()): table for table in children}


@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.name)
def test_functions_use_the_module_names_that_the_symbol_table_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tables = tables_of(text)
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and (table := tables.get((node.name, node.lineno))):
            assert {use.name for use in body_uses(node).names} == global_names(table), f"{path.name}:{node.lineno}"


def test_the_sample_has_functions_to_compare() -> None:
    names = [name for path in SAMPLE for name, _ in tables_of(path.read_text(encoding="utf-8"))]
    assert len(names) > 300


@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.name)
def test_classes_use_at_least_the_module_names_that_the_symbol_table_says(path: Path) -> None:
    # "At least": in a class body a name is global until the body binds it, which the symbol table cannot tell.
    text = path.read_text(encoding="utf-8")
    tables = tables_of(text)
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and (table := tables.get((node.name, node.lineno))):
            ours = {use.name for use in statement_uses(node).names}
            assert global_names(table) <= ours, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize(
    ("body", "used"),
    [
        ("return [x for x in xs if (y := f(x))] + [y]", {"xs", "f"}),
        ("import a.b\nreturn a.b.c", set()),
        ("def inner():\n nonlocal n\n n = m\nn = 0\nreturn inner", {"m"}),
        ("class C:\n  x = x\n  def m(self): return x, __class__", {"x"}),
        ("class C:\n  x = 1\n  y = x", set()),
        ("class C:\n  xs = [1]\n  ys = [x for x in xs if x in xs]", {"xs"}),
        ("class _C:\n  def m(self): return __secret", {"_C__secret"}),
        ("match p:\n  case Point(x=0, y=[a, *rest], **{}) if False: pass\n", None),
        (
            "match p:\n  case Point(x=0, y=[a, *rest]): return a, rest\n  case {'k': v, **more}: return v, more",
            {"p", "Point"},
        ),
        ("try: pass\nexcept (E, ValueError) as e: return e", {"E", "ValueError"}),
        ("return lambda a, b=c: a + b + d", {"c", "d"}),
        ("def inner(a: Ann = default) -> Ret: return a", {"Ann", "default", "Ret"}),
        ("x: Never_evaluated = 1\nreturn x", set()),
        ("with a() as (b, c): return b, c", {"a"}),
        ("for i, (j, k) in pairs: print(i, j, k)", {"pairs", "print"}),
        ("global g\ng = 1\nreturn g", {"g"}),
        ("del q\nreturn 1", set()),
        ("return {k: v for k in ks for v in vs(k)}", {"ks", "vs"}),
        ("return f'{a!r:>{width}}'", {"a", "width"}),
        ("@decorate(arg)\ndef inner(): pass", {"decorate", "arg"}),
    ],
)
def test_uses_of_a_body(body: str, used: set[str] | None) -> None:
    indented = "\n".join("    " + line for line in body.split("\n"))
    if used is None:
        with pytest.raises(SyntaxError):
            ast.parse(f"def stage():\n{indented}\n")
        return
    function = ast.parse(f"def stage():\n{indented}\n").body[0]
    assert isinstance(function, ast.FunctionDef)
    assert {use.name for use in body_uses(function).names} == used


@pytest.mark.parametrize("python", ["python3.12", "python3.13"])
def test_type_parameters_are_names_of_their_own(python: str) -> None:
    """The syntax came with Python 3.12: read by one that knows it."""
    optional(python in interpreters(), f"no working {python} on this machine")
    program = """
import ast, builtins
from repx.dsl.source.scope import statement_uses
text = "def first[T: Bound](xs: list[T]) -> T:\\n    y: T = xs[0]\\n    return cast(T, y)\\n"
used = {use.name for use in statement_uses(ast.parse(text).body[0]).names}
print(sorted(used - set(dir(builtins))))
"""
    argv = [interpreters()[python], "-c", program]
    env = {"PYTHONPATH": str(Path(repx.__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "['Bound', 'cast']\n", done.stderr


def test_only_what_runs_with_the_module_is_at_once() -> None:
    statement = ast.parse("@now\ndef f(a=also_now):\n    return later\n").body[0]
    assert {use.name for use in statement_uses(statement).names if not use.deferred} == {"now", "also_now"}
    assert {use.name for use in statement_uses(statement).names if use.deferred} == {"later"}

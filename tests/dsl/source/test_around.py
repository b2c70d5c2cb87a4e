"""A stage that is made inside a function has what the closure holds: plain values, modules, what modules define."""

# ruff: noqa: E501 - each case is the text of a small file, in a line where it fits

from __future__ import annotations

from pathlib import Path

import pytest

from repx.dsl.source.cutout import cut_out
from repx.errors import DefinitionError
from tests.dsl.loading import Load, loading
from tests.dsl.source.test_cutout import run_elsewhere

__all__ = ["loading"]  # the fixture `load`

MADE = """
import math
from dataclasses import dataclass
k = "the module's"
def double(x):
    return 2 * x + len(k)
@dataclass
class Point:
    x: int
{before}
def make(k{more}):
    {inside}
    def work():
        return {body}
    return work
work = make(3{given})
"""


def experiment(body: str, *, before: str = "", more: str = "", given: str = "", inside: str = "pass") -> str:
    return MADE.format(body=body, before=before, more=more, given=given, inside=inside)


KEPT = {
    "a number": experiment("k + 1"),
    "in a lambda of the body": experiment("(lambda: k)()"),
    "what is computed from it": experiment("(table, total)", inside="table = {'k': [k] * k}; total = sum([k, 2])"),
    "one object under two names": experiment("(a is b, a)", inside="a = b = [k]"),
    "an instance of a class of the module": experiment("(p.x, p)", inside="p = Point(k)"),
    "two functions around": experiment("k + j", more=", j", given=", 4"),
    "a function of the module": experiment("f(1)", before="def twice(x): return 2 * x", more=", f", given=", twice"),
    "a function of the module by its own name": experiment("other(1)", before="def other(x): return x + 1", more=", other", given=", other"),
    "a module that is imported inside": experiment("math.sqrt(4), d.loads('1'), os.sep", inside="import math, os; import json as d"),
    "a module of a package": experiment("path.join('a', 'b')", inside="import os.path as path"),
    "a function of a library": experiment("f(9)", more=", f", given=", math.sqrt"),
    "a class of a library": experiment("C('1.50') * k", before="import decimal", more=", C", given=", decimal.Decimal"),
    "a built-in": experiment("f([1, 2])", more=", f", given=", sum"),
    "a local module": experiment("tools.half(k)", inside="import tools"),
    "a function of a local module": experiment("half(k)", inside="from tools import half"),
}  # fmt: skip
FILES = {"tools.py": "def half(x):\n    return x / 2\n"}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT.keys())
def test_the_job_has_what_the_closure_holds(text: str, load: Load, tmp_path: Path) -> None:
    function = load(text, FILES)
    assert run_elsewhere(cut_out(function), {}, tmp_path / "job") == ascii(function())


REFUSED = {
    "a function made inside": (experiment("f()", inside="f = lambda: k"), "f belongs to the function around"),
    "a class made inside": (experiment("C()", inside="class C: pass"), "C belongs to the function around"),
    "a name that the module has, too": (experiment("double(k)"), "k is one thing in the module, and another one in the function around"),
    "nothing yet": (MADE.format(body="later", before="", more="", given="", inside="pass").replace("    return work\n", "    return work\n    later = 1\n"), "later belongs to the function around"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_travel_is_refused_at_its_line(text: str, message: str, load: Load) -> None:
    with pytest.raises(DefinitionError) as error:
        cut_out(load(text, FILES))
    assert message in str(error.value)
    assert error.value.location is not None


def test_another_value_is_another_script(load: Load) -> None:
    one, other = (cut_out(load(experiment("k + 1").replace("make(3", f"make({value}"))) for value in ("3", "3.0"))
    assert one.normal_form != other.normal_form

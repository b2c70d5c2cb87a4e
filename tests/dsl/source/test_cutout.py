"""A cut-out stage gives what the function gave, elsewhere, and its identity follows its meaning."""

# ruff: noqa: E501 - the text of a small file in one line

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from repx.dsl.source.cutout import CutOut, bash_text_origin, cut_out, source_location
from tests.dsl.loading import Load, loading, write
from tests.dsl.source.cutout_files import WORLDS, World

__all__ = ["loading"]  # the fixture `load`


def run_elsewhere(cut: CutOut, arguments: dict[str, object], place: Path) -> str:
    """What the script gives in a fresh interpreter that has neither repx nor the user's files."""
    ending = f"import sys\nassert 'repx' not in sys.modules\nprint(ascii(work(**{arguments!r})))\n"
    write(place, {"script.py": cut.source + ending, **{module.path: module.text for module in cut.modules}})
    argv = [sys.executable, str(place / "script.py")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/", env={})
    assert done.returncode == 0, f"{done.stderr}\n{cut.source}"
    return done.stdout.strip()


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())
def test_the_script_gives_what_the_function_gives(world: World, load: Load, tmp_path: Path) -> None:
    function = load(world.experiment, world.files)
    cut = cut_out(function)
    positional = function.__code__.co_varnames[: function.__code__.co_posonlyargcount]
    named = {name: value for name, value in world.arguments.items() if name not in positional}
    expected = ascii(function(*(world.arguments[name] for name in positional), **named))
    assert run_elsewhere(cut, world.arguments, tmp_path / "job") == expected
    for word in world.absent:
        assert word not in cut.source


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())
def test_cutting_out_the_script_again_changes_nothing(world: World, load: Load, tmp_path: Path) -> None:
    cut = cut_out(load(world.experiment, world.files))
    again = cut_out(load(cut.source, {module.path: module.text for module in cut.modules}))
    assert (again.source, again.normal_form) == (cut.source, cut.normal_form)


def identity(cut: CutOut) -> str:
    return hashlib.sha256(cut.normal_form.encode()).hexdigest()


PLAIN = """
from helpers import double
import os, sys
FACTOR = 3
def helper(x, y=1):
    "Doc."
    return x * FACTOR + y
def work(x):
    "Doc."
    return helper(double(x)), os.sep
"""
HELPERS = {"helpers.py": "def double(x):\n    return 2 * x\n"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('    "Doc."\n', ""),
        ('    "Doc."\n', '    """Another\n  text."""\n    # and a comment\n'),
        ("import os, sys", "import sys\nimport os"),
        ("FACTOR = 3", "FACTOR = (\n  3  # three\n)"),
        ("FACTOR = 3", "FACTOR = 0x3\nUNUSED = 4"),
        ("def work(x):", "def work(*, x: int = 4) -> None:"),
        ("helper(double(x)), os.sep", "(helper(double(x), ), os.sep)"),
    ],
)
def test_layout_comments_docstrings_and_what_is_not_used_keep_the_identity(old: str, new: str, load: Load) -> None:
    assert old in PLAIN
    before = identity(cut_out(load(PLAIN, HELPERS)))
    assert identity(cut_out(load(PLAIN.replace(old, new), HELPERS))) == before


@pytest.mark.parametrize(
    "body",
    [
        "return helper.__doc__",
        "return getattr(helper, '__doc__')",
        "import inspect\n    return inspect.getdoc(helper)",
        "from docopt import docopt\n    return docopt(helper)",
    ],
)
def test_docstrings_count_where_code_may_read_them(body: str, load: Load) -> None:
    text = f'def helper():\n    "Doc."\ndef work():\n    {body}\n'
    assert identity(cut_out(load(text))) != identity(cut_out(load(text.replace("Doc.", "Other."))))


def test_the_docstring_of_what_a_decorator_gets_counts(load: Load) -> None:
    text = 'import tools\n@tools.command(1)\ndef helper():\n    "Doc."\ndef work():\n    return helper()\n'
    files = {"tools.py": "def command(n):\n    return lambda f: lambda: f.__doc__\n"}
    assert identity(cut_out(load(text, files))) != identity(cut_out(load(text.replace("Doc.", "Other."), files)))


def test_comments_count_where_code_reads_its_own_text(load: Load) -> None:
    text = "import inspect\ndef helper():\n    # one\n    return 1\ndef work():\n    return inspect.getsource(helper)\n"
    assert identity(cut_out(load(text))) != identity(cut_out(load(text.replace("# one", "# two"))))


@pytest.mark.parametrize("field", ["n: int = 0", "n: 'int' = 0", "n: None = None", "n: 1 = 0"])
def test_the_future_of_annotations_counts_where_there_are_some(field: str, load: Load) -> None:
    text = f"class Row:\n    {field}\ndef work():\n    return str(Row.__annotations__)\n"
    plain, future = cut_out(load(text)), cut_out(load("from __future__ import annotations\n" + text))
    assert identity(plain) != identity(future)
    assert future.source.startswith("from __future__ import annotations\n")


def test_the_future_of_annotations_does_not_count_where_there_are_none(load: Load) -> None:
    text = "from __future__ import annotations\ndef unused(n: int): ...\ndef work():\n    return 1\n"
    assert identity(cut_out(load(text))) == identity(cut_out(load(text.partition("\n")[2])))


def test_the_order_of_what_is_drawn_counts(load: Load) -> None:
    text = "import random\nrng = random.Random(7)\nA = rng.random()\nB = rng.random()\ndef work():\n    return A - B\n"
    swapped = text.replace("A =", "X =").replace("B =", "A =").replace("X =", "B =")
    assert identity(cut_out(load(text))) != identity(cut_out(load(swapped)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 3", "FACTOR = 4"),
        ("FACTOR = 3", "FACTOR = 3.0"),
        ("FACTOR = 3", "FACTOR = '3'"),
        ("def helper(x, y=1):", "def helper(x, y=2):"),
        ("x * FACTOR + y", "x * FACTOR - y"),
        ("import os, sys", "import posix as os"),
        ("os.sep", "os.linesep"),
    ],
)
def test_a_change_in_anything_used_changes_the_identity(old: str, new: str, load: Load) -> None:
    assert old in PLAIN
    before = identity(cut_out(load(PLAIN, HELPERS)))
    changed = load(
        PLAIN.replace(old, new).replace("os.sep", "os.name") if "posix" in new else PLAIN.replace(old, new), HELPERS
    )
    assert identity(cut_out(changed)) != before


def test_a_local_module_counts_without_its_comments_and_what_nobody_uses(load: Load) -> None:
    before = identity(cut_out(load(PLAIN, HELPERS)))
    sys.modules.pop("helpers")
    commented = {"helpers.py": '"""Helpers."""\n' + HELPERS["helpers.py"].replace("\n", "  # twice\n", 1)}
    assert identity(cut_out(load(PLAIN, commented))) == before
    more = {"helpers.py": HELPERS["helpers.py"] + "UNUSED = 1\n"}
    assert identity(cut_out(load(PLAIN, more))) == before
    other = {"helpers.py": HELPERS["helpers.py"].replace("2", "3")}
    assert identity(cut_out(load(PLAIN, other))) != before


def test_imports_are_those_of_the_script_and_of_its_local_modules(load: Load, tmp_path: Path) -> None:
    cut = cut_out(
        load(
            """
from __future__ import annotations
import helpers, unused_local
import json.decoder as d, csv
from repx.errors import plural
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import numpy
try:
    import yaml
except ImportError:
    yaml = None
def work(x: plural) -> numpy.ndarray:
    import zlib
    from email import message as m
    if TYPE_CHECKING:
        import hidden
    try:
        import torch
    except (ImportError, OSError):
        import colorsys
    with suppress(ImportError):
        import jax
    return d, helpers, m, yaml
from contextlib import suppress
""",
            {
                "helpers.py": "import wave\ntry:\n    import zlib\nexcept ImportError:\n    pass\nif __name__ == '__main__':\n    import sys\n",
                "unused_local.py": "import bz2\n",
            },
        )
    )
    assert {(item.name, item.optional) for item in cut.imports} == {
        ("json.decoder", False),
        ("yaml", True),
        ("zlib", False),
        ("email", False),
        ("torch", True),
        ("colorsys", True),
        ("jax", True),
        ("contextlib", False),
        ("typing", False),  # its TYPE_CHECKING is read when the body runs
        ("wave", False),
    }
    places = {item.name: item.location for item in cut.imports}
    assert str(places["wave"]) == f"{tmp_path}/user/helpers.py:1"
    assert str(places["zlib"]) == f"{tmp_path}/user/experiment.py:14"
    assert [module.path for module in cut.modules] == ["helpers.py"]


def test_a_stage_in_a_package_has_its_relative_imports_made_absolute(load: Load, tmp_path: Path) -> None:
    outer = load(
        "from lab.stages import work\n",
        {
            "lab/__init__.py": "",
            "lab/stages.py": "from . import tools as t\nfrom .tools import k\ndef work():\n    return t.k(k(4))\n",
            "lab/tools.py": "def k(x): return x\n",
        },
    )
    cut = cut_out(outer)
    assert "from lab import tools as t\nfrom lab.tools import k\n" in cut.source
    assert [module.path for module in cut.modules] == ["lab/__init__.py", "lab/tools.py"]
    assert run_elsewhere(cut, {}, tmp_path / "job") == "4"


def test_a_local_file_hides_no_library_that_was_there_before(load: Load) -> None:
    cut = cut_out(load("import ast\ndef work():\n    return ast.parse\n", {"ast.py": "1 / 0\n"}))
    assert cut.modules == ()
    assert [item.name for item in cut.imports] == ["ast"]


def test_a_folder_of_data_is_no_module(load: Load) -> None:
    cut = cut_out(load("import pytest\ndef work():\n    return pytest\n", {"pytest/data.csv": "1\n"}))
    assert cut.modules == ()
    assert [item.name for item in cut.imports] == ["pytest"]


def test_the_origin_is_the_line_of_def(load: Load, tmp_path: Path) -> None:
    function = load("import functools\n\nkeep = lambda f: f\n@keep\n@keep\ndef work(): return 1\n")
    assert str(cut_out(function).origin) == f"{tmp_path}/user/experiment.py:6"
    assert source_location(function) == cut_out(function).origin


def test_the_header_has_names_only(load: Load) -> None:
    source = cut_out(load("def work(a, /, b: int = 2, *, c: str = 'x'): return a\n")).source
    assert source == "def work(a, b, c): return a\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('def work():\n    return """echo\n"""\n', 2),
        ('def work():\n    return """\\\necho\n"""\n', 3),
        ('def work():\n    return r"""\\\necho\n"""\n', 2),
        ('def work():\n    return """\n\n  echo\n"""\n', 2),
        ('import textwrap\ndef work():\n    return textwrap.dedent("""\n\n  echo\n""")\n', 3),
        ('import textwrap\ndef work():\n    return textwrap.dedent("""\n\n  echo\n""").strip()\n', 5),
        ('def work(x):\n    y = x\n    return (\n        f"""\\\necho {x}\n""")\n', 5),
        ('def work():\n    return ("echo "\n      "b")\n', 2),
        ('def work():\n    script = """\\\necho"""\n    return script\n', 3),
        ('SCRIPT = """\\\n\\\necho"""\ndef work():\n    return SCRIPT\n', 3),
        (
            'def work(x):\n    def inner():\n        return "no"\n    if x:\n        return """\\\na"""\n    return "b"\n',
            6,
        ),
        ("def work():\n    return make()\n", 2),
        ("def work():\n    pass\n", 1),
    ],
)
def test_the_line_of_a_bash_text(text: str, line: int, load: Load) -> None:
    assert bash_text_origin(load(text)).line == line


def test_each_file_is_parsed_once(load: Load) -> None:
    from repx.dsl.source.text import parsed

    load("def one(): return two()\ndef two(): return 2\ndef work(): return one()\n")
    function = load("def one(): return two()\ndef two(): return 2\ndef work(): return one()\n")
    cut_out(function)
    misses = parsed.cache_info().misses
    cut_out(function)
    assert parsed.cache_info().misses == misses


def test_a_chain_of_helpers_may_be_long(load: Load) -> None:
    chain = "".join(f"def h{number}(): return h{number + 1}() + 1\n" for number in range(1500))
    cut = cut_out(load(f"{chain}def h1500(): return 0\ndef work(): return h0()\n"))
    assert cut.source.count("def ") == 1502


def test_the_script_is_made_of_slices_of_the_users_text(load: Load) -> None:
    text = "A = {  'x':1,\n 'y' : 2 }\ndef helper( a ,b ):\n   return a+b # why\n\n\ndef work():\n  return helper( A['x'],3 )\n"
    source = cut_out(load(text)).source
    assert "A = {  'x':1,\n 'y' : 2 }\n" in source
    assert "def helper( a ,b ):\n   return a+b" in source
    assert source.endswith("def work():\n  return helper( A['x'],3 )\n")
    ast.parse(source)


DEEP = {
    "calls": "def work(n):\n    return 'a'" + ".strip()" * 900 + "\n",
    "branches": "def work(n):\n    if n == 0:\n        return 0\n"
    + "".join(f"    elif n == {number}:\n        return {number}\n" for number in range(1, 900)),
    "in a helper": "A = 'a'" + ".strip()" * 900 + "\ndef work(n):\n    return A\n",
    "sum in Bash": "def work(n):\n    return 'a'" + " + n" * 900 + "\n",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_deep_code_is_cut_out(load: Load, text: str) -> None:
    limit = sys.getrecursionlimit()
    function = load(text, {})
    assert "def work(n)" in cut_out(function).source
    assert bash_text_origin(function).line
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize("test", ["sys.version_info >= (3, 11)", "sys.platform == 'linux'", "os.name != 'nt'"])
def test_what_the_platform_chooses_between_need_not_all_be_there(test: str, load: Load) -> None:
    text = f"import os, sys\nif {test}:\n    import tomllib as t\nelse:\n    import tomli_of_old as t\ndef work():\n    return t\n"
    found = {one.name: one.optional for one in cut_out(load(text)).imports}
    assert found["tomli_of_old"]
    assert found["tomllib"]

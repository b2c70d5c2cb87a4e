"""Which top-level statements set something in a library, and which imports are there for their effect alone.

Reads the text of one module; does not know what a stage uses of it.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from typing import NamedTuple

from repx.dsl.source.bindings import root_name
from repx.dsl.source.imports import absolute
from repx.dsl.source.text import SourceText

EVERYWHERE = (
    "locale.setlocale",
    "sys.setrecursionlimit",
    "sys.set_int_max_str_digits",
    "warnings.filterwarnings",
    "warnings.simplefilter",
    "socket.setdefaulttimeout",
    "os.umask",
    "os.environ",
    "os.putenv",
)
"""Settings of the whole process, whether or not the stage uses these modules itself."""

_NOT_SETTINGS = (
    *("shutil", "subprocess", "time", "urllib", "requests", "glob", "tempfile", "argparse", "webbrowser", "unittest"),
    *("sys.path", "sys.argv", "sys.stdout", "sys.stderr", "sys.exit", "sys.modules", "atexit", "pytest", "IPython"),
    *("os.makedirs", "os.mkdir", "os.chdir", "os.remove", "os.system", "os.unlink", "os.rename", "os.path"),
    *("logging.debug", "logging.info", "logging.warning", "logging.error", "logging.critical", "pprint", "gc.collect"),
)
"""What a module does for itself when it is loaded: a job has its own folder, files and messages."""

_ACTIONS = ("save", "dump", "show", "write", "print", "to_", "plot", "download", "urlretrieve", "display", "info")
"""How calls begin that write or show something instead of setting anything."""

_OF_DATA = frozenset(
    "shuffle heapify heappush heappop heapreplace heappushpop insort insort_left insort_right fill_diagonal put place "
    "copyto putmask setattr".split()
)
"""Calls that change what they are given, which is seen in its value."""


class Setting(NamedTuple):
    """A top-level statement by its place, and what it is called on: `numpy.seterr`, `matplotlib.pyplot.rcParams`."""

    place: int
    dotted: str
    is_call: bool

    @property
    def top(self) -> str:
        return self.dotted.partition(".")[0]

    @property
    def is_needed_everywhere(self) -> bool:
        return any(self.dotted == one or self.dotted.startswith(f"{one}.") for one in EVERYWHERE)


@functools.lru_cache(maxsize=512)
def settings_of(source: SourceText, package: str) -> tuple[Setting, ...]:
    """In the order of the source."""
    imported = _imported(source.tree, package)
    found = []
    for index, statement in enumerate(source.tree.body):
        for target, is_call in _targets(statement):
            root = root_name(target)
            if root not in imported or (isinstance(target, ast.Name) and not is_call):
                continue
            dotted = imported[root] + _attributes(target)
            if is_setting(dotted, is_call):
                found.append(Setting(index, dotted, is_call))
    return tuple(found)


@functools.lru_cache(maxsize=512)
def unused_imports(source: SourceText, package: str) -> tuple[tuple[int, ast.alias, str], ...]:
    """Imports whose names nothing in the module uses: index, alias, and the dotted name that is imported."""
    used = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    texts = {node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant)}
    found = []
    for index, node in enumerate(source.tree.body):
        if isinstance(node, ast.Import | ast.ImportFrom) and getattr(node, "module", "") != "__future__":
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                if alias.name != "*" and name not in used and name not in texts:
                    base = f"{absolute(node, package)}." if isinstance(node, ast.ImportFrom) else ""
                    found.append((index, alias, base + alias.name))
    return tuple(found)


def _imported(tree: ast.Module, package: str) -> dict[str, str]:
    """What each imported name stands for."""
    names = {}
    for node in tree.body:
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    names[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0]
                    )
            case ast.ImportFrom(names=aliases) if node.module != "__future__":
                for alias in aliases:
                    names[alias.asname or alias.name] = f"{absolute(node, package)}.{alias.name}"
    return names


def _targets(statement: ast.stmt) -> Iterator[tuple[ast.expr, bool]]:
    match statement:
        case ast.Expr(value=ast.Call(func=function)):
            yield function, True
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            yield from ((one, False) for one in targets if isinstance(one, ast.Attribute | ast.Subscript))
        case ast.AugAssign(target=ast.Attribute() | ast.Subscript() as target):
            yield target, False
        case _:
            return


def _attributes(node: ast.expr) -> str:
    """`.b.d` in `a.b[c].d(e)`."""
    parts: list[str] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        node = getattr(node, "value", None) or getattr(node, "func", None) or ast.Name("")
    return "".join(f".{part}" for part in reversed(parts))


def is_setting(dotted: str, is_call: bool) -> bool:
    """Whether what is called, or assigned to, by such a name is an option of a library, as far as names say."""
    module, _, name = dotted.rpartition(".")
    if not module or name in _OF_DATA:
        return False
    known = any(dotted == one or dotted.startswith(f"{one}.") for one in _NOT_SETTINGS)
    return not known and not (is_call and name.startswith(_ACTIONS))

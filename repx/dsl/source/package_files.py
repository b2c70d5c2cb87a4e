"""Where local modules ask for files beside themselves, which do not travel with them; reads no file."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Set

from repx.dsl.source.statement import Problem
from repx.dsl.source.text import SourceText

_READERS = {
    "pkgutil": frozenset({"get_data", "iter_modules", "walk_packages", "find_loader", "get_loader"}),
    "importlib.resources": frozenset(
        "files path open_text open_binary read_text read_binary contents is_resource as_file".split()
    ),
    "importlib_resources": frozenset({"files", "as_file"}),
    "pkg_resources": frozenset({"resource_string", "resource_filename", "resource_stream", "resource_listdir"}),
}
"""Functions that look for files of a package."""


def file_problems(
    files: Mapping[str, SourceText], own: Iterable[tuple[SourceText, ast.AST]], is_local: Callable[[str], bool]
) -> Iterator[Problem]:
    """A problem for each line of a local module that names the module's own place, or a file of a local package.

    `own` is what the experiment's file has itself.
    """
    known: dict[str, bool] = {}

    def is_foreign(call: ast.Call) -> bool:
        package = _package(call)
        if package not in known:
            known[package] = is_local(package)
        return not known[package]

    for path, source in sorted(files.items()):
        nodes = [*ast.walk(source.tree)]
        foreign = {
            id(node.func) for node in nodes if isinstance(node, ast.Call) and _package(node) and is_foreign(node)
        }
        asking = (node for node in nodes if id(node) not in foreign)
        yield from _problems(source, asking, _imported(source), f"the local module {path}")
    for source, node in own:
        yield from _problems(source, _called(node, is_foreign), _imported(source), "this")


def _called(node: ast.AST, is_foreign: Callable[[ast.Call], bool]) -> Iterator[ast.AST]:
    """What stands where a function to call is named, unless the call names a package of others."""
    stack = [(node, False)]
    while stack:
        top, is_called = stack.pop()
        if is_called:
            yield top
        for child in ast.iter_child_nodes(top):
            if isinstance(top, ast.Call) and child is top.func:
                foreign = is_foreign(top)
                if foreign and is_called:
                    # What the name is an attribute of may ask for files all the same.
                    stack.extend((one, True) for one in ast.iter_child_nodes(child))
                    continue
                stack.append((child, is_called or not foreign))
            else:
                stack.append((child, is_called))


@functools.lru_cache(maxsize=512)
def _imported(source: SourceText) -> frozenset[str]:
    """The names by which a source calls such functions without their module."""
    return frozenset(
        alias.asname or alias.name
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in _READERS.get(node.module or "", ())
    )


def _problems(source: SourceText, nodes: Iterable[ast.AST], imported: Set[str], what: str) -> Iterator[Problem]:
    told: set[int] = set()
    for node in nodes:
        line = getattr(node, "lineno", 0)
        if line not in told and (name := _asked(node, imported)):
            told.add(line)
            yield Problem(
                source.at(line),
                f"{what} looks by {name} for files beside it, which are not there when the job runs",
                'hand the file over as an input, with repx.path("…"), and its path to the function as an argument',
            )


def _package(call: ast.Call) -> str:
    """The package that is named by a call's first argument, or an empty string."""
    match call.args:
        case [ast.Constant(value=str(name)), *_] if name.replace(".", "").isidentifier():
            return name
        case _:
            return ""


def _asked(node: ast.AST, imported: Set[str]) -> str:
    match node:
        case ast.Name(id="__file__" | "__path__" | "__spec__" as name) if isinstance(node.ctx, ast.Load):
            return name
        case ast.Attribute(attr="__file__" | "__path__" as name):
            return name
        case ast.Attribute(attr=attr, value=value):
            return next((attr for module, names in _READERS.items() if attr in names and _ends(value, module)), "")
        case ast.Name(id=name) if name in imported:
            return name
        case ast.Call(func=ast.Attribute(attr="getfile" | "getsourcefile" as name)):
            return name
        case _:
            return ""


def _ends(value: ast.expr, module: str) -> bool:
    """Whether an expression is called like the last part of a module: `resources`, `importlib.resources`."""
    last = module.rpartition(".")[2]
    return (isinstance(value, ast.Name) and value.id == last) or (
        isinstance(value, ast.Attribute) and value.attr == last
    )

"""Where local modules ask for files beside themselves, which do not travel with them; reads no file."""

from __future__ import annotations

import ast
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
    for path, source in sorted(files.items()):
        yield from _problems(source, source.tree, f"the local module {path}", is_local)
    for source, node in own:
        calls = (one for one in ast.walk(node) if isinstance(one, ast.Call) and is_local(_package(one)))
        for call in calls:
            yield from _problems(source, call.func, "this", is_local)


def _problems(source: SourceText, tree: ast.AST, what: str, is_local: Callable[[str], bool]) -> Iterator[Problem]:
    told: set[int] = set()
    imports = (node for node in ast.walk(source.tree) if isinstance(node, ast.ImportFrom))
    imported = {
        alias.asname or alias.name
        for node in imports
        for alias in node.names
        if alias.name in _READERS.get(node.module or "", ())
    }
    of_others = {
        id(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and (package := _package(node)) and not is_local(package)
    }
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if line not in told and id(node) not in of_others and (name := _asked(node, imported)):
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

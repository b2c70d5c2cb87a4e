"""Which names of which modules a piece of code refers to, through its imports; does not know what modules hold."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from repx.dsl.source.imports import absolute

IsModule = Callable[[str], bool]
"""Whether there is a local module of a dotted name."""


class Reference(NamedTuple):
    """A name of a module; None is the module as an object, of which anything may be used, "" its import alone.

    A dot before the name means a module within the module, of which another reference says what is used.
    """

    module: str
    name: str | None


def module_aliases(nodes: Iterable[ast.AST], package: str, is_module: IsModule) -> dict[str, str]:
    """The names that imports in `nodes` bind to local modules."""
    found: dict[str, str] = {}
    for item in _imports(nodes):
        for alias in item.names:
            if isinstance(item, ast.Import):
                target = alias.name if alias.asname else alias.name.split(".")[0]
                # A package without __init__.py is no file, and yet what is in it is found through its name.
                if is_module(target) or is_module(alias.name):
                    found[alias.asname or target] = target
            elif is_module(inner := f"{absolute(item, package)}.{alias.name}"):
                found[alias.asname or alias.name] = inner
    return found


def references(
    nodes: Iterable[ast.AST], package: str, aliases: Mapping[str, str], is_module: IsModule
) -> Iterator[Reference]:
    """What `nodes` refer to of local modules; `aliases` are names for such that other statements have bound."""
    nodes = list(nodes)
    for item in _imports(nodes):
        if isinstance(item, ast.Import):
            yield from (Reference(alias.name, "") for alias in item.names)
            continue
        base = absolute(item, package)
        yield Reference(base, "")
        for alias in item.names:
            if alias.name == "*":
                yield Reference(base, None)
            else:
                yield Reference(base, alias.name)
                if is_module(inner := f"{base}.{alias.name}"):
                    yield Reference(inner, "")
    known = {**aliases, **module_aliases(nodes, package, is_module)}
    yield from _uses(nodes, known, is_module)


def imported_by_name(node: ast.AST) -> str | None:
    """The module that `__import__("a.b", fromlist=…)` stands for, where it is written out."""
    match node:
        case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(module))], keywords=[_]):
            return module
        case _:
            return None


def _imports(nodes: Iterable[ast.AST]) -> Iterator[ast.Import | ast.ImportFrom]:
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield node


def _uses(nodes: Iterable[ast.AST], aliases: Mapping[str, str], is_module: IsModule) -> Iterator[Reference]:
    """Names behind dots. A name that a function binds anew is taken for the module: one use too many is harmless."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        chain: list[ast.Attribute] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            chain.append(inner)
            inner = inner.value
        if (named := imported_by_name(inner)) is not None:
            yield Reference(named, "")
            yield from _along(named, list(reversed(chain)), is_module)
            continue
        if not isinstance(inner, ast.Name) or inner.id not in aliases:
            waiting.extend(ast.iter_child_nodes(node))
            continue
        if not isinstance(inner.ctx, ast.Load):
            continue
        yield from _along(aliases[inner.id], list(reversed(chain)), is_module)


def _along(module: str, chain: list[ast.Attribute], is_module: IsModule) -> Iterator[Reference]:
    """What a chain of attributes that begins at a module comes by, and what it ends at."""
    while chain and is_module(f"{module}.{chain[0].attr}"):
        attribute = chain.pop(0).attr
        yield Reference(module, f".{attribute}")
        module = f"{module}.{attribute}"
    if not chain or not isinstance(chain[0].ctx, ast.Load):
        yield Reference(module, None)
    else:
        yield Reference(module, chain[0].attr)

"""Which definitions of its module a stage may meet in what another stage has pickled; knows no format of a pickle.

A pickle holds the name of a class and no definition: what one script calls `__main__.Model`, the other must have too.
"""

from __future__ import annotations

import ast
import functools
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from repx.dsl.source.imports import LocalFiles, imports_of, only
from repx.dsl.source.module import FunctionSource, ModuleSource
from repx.dsl.source.names import keywords_in, names_in
from repx.dsl.source.scope import Function, body_uses, statement_uses
from repx.dsl.source.text import SourceText

_PICKLERS = frozenset(
    "pickle cPickle _pickle dill cloudpickle joblib shelve to_pickle read_pickle allow_pickle torch klepto skops "
    "diskcache".split()
)
"""Names by which code comes to pickle, or to read pickles."""


class _Reach(NamedTuple):
    """What a function of the module reaches: names, those that are more than called, and modules that it imports."""

    function: str
    names: frozenset[str]
    values: frozenset[str]
    modules: frozenset[str]
    pickles: bool


class Pickled(NamedTuple):
    """Names of the module, and modules, that a script may need beyond what its text asks for."""

    names: frozenset[str]
    modules: frozenset[str]


def pickled(function: types.FunctionType, found: FunctionSource) -> Pickled:
    """Nothing where the code of `function` names nothing that pickles."""
    module = found.module
    if not _reach(module, found.piece, found.node).pickles:
        return Pickled(frozenset(), frozenset())
    others = _decorated(module.pieces, module.package, module.root)
    others = tuple(one for one in others if one.function != found.node.name)
    local = LocalFiles(module.root, module.root)
    names = (name for one in others for name in one.names if _may_be(name, one, function.__globals__, local))
    modules = frozenset(name for one in others for name in one.modules if local.is_local(name))
    return Pickled(frozenset(names), modules)


def _may_be(name: str, reach: _Reach, scope: Mapping[str, Any], local: LocalFiles) -> bool:
    """Whether a pickle may hold what a name stands for, or something of it: a class, a function or a local module."""
    value = scope.get(name)
    home = getattr(value, "__module__", None)
    if isinstance(value, types.ModuleType):
        return local.is_local(value.__name__)
    if not isinstance(home, str) or not (home == scope.get("__name__") or local.is_local(home)):
        return False
    return isinstance(value, type) or (isinstance(value, types.FunctionType) and name in reach.values)


@functools.lru_cache(maxsize=64)
def _decorated(pieces: tuple[SourceText, ...], package: str, root: Path) -> tuple[_Reach, ...]:
    """What each decorated function that pickles reaches: the stages are among them."""
    module = ModuleSource(pieces, package, root, is_notebook=False)
    nodes = {
        node.name: (piece, node)
        for piece in pieces
        for node in ast.walk(piece.tree)
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    }
    return tuple(one for piece, node in nodes.values() if (one := _reach(module, piece, node)).pickles)


def _reach(module: ModuleSource, piece: SourceText, function: Function) -> _Reach:
    """Follows names to the statements of the module that bind them, and those of what they use."""
    nodes: list[ast.AST] = list(function.body)
    waiting = [use.name for use in body_uses(function).names]
    names: set[str] = set()
    while waiting:
        name = waiting.pop()
        number, found = module.bindings(name)
        if name in names or number < 0:
            continue
        names.add(name)
        source = module.pieces[number]
        for binding in found:
            statement = source.tree.body[binding.index]
            if binding.alias is not None:
                statement = only(statement, binding.alias)
            nodes.append(statement)
            waiting += [use.name for use in statement_uses(statement).names]
    local = LocalFiles(module.root, module.root)
    imports = list(imports_of(nodes, module.package))
    local.follow(imports, piece)
    trees = [*nodes, *(one.tree for one in local.files.values())]
    called = {id(node.func) for one in nodes for node in ast.walk(one) if isinstance(node, ast.Call)}
    loaded = (node for one in nodes for node in ast.walk(one) if isinstance(node, ast.Name))
    values = frozenset(node.id for node in loaded if id(node) not in called)
    inner = frozenset(one.module for one in imports_of(function.body, module.package))
    pickles = any(not _PICKLERS.isdisjoint(names_in(tree) | keywords_in(tree)) for tree in trees)
    return _Reach(function.name, frozenset(names), values, inner, pickles)

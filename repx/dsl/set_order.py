"""Finds where a pipeline goes through a set, whose order is another one in each process; changes nothing.

An input that takes several outputs takes them in an order, which is part of the id: it must not be drawn.
"""

from __future__ import annotations

import ast
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from repx.dsl.node import Node
from repx.dsl.source.module import function_source
from repx.errors import DefinitionError, SourceLocation

_IN_ORDER = frozenset({"list", "tuple", "map", "filter", "enumerate", "zip", "iter", "reversed"})
"""Functions that keep the order of what they are given."""

_FREE = frozenset({"sorted", "set", "frozenset", "sum", "max", "min", "any", "all", "len"})
"""Functions to which the order does not matter."""

_SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
_DEEPEST = 2000
_STEP = 500
"""How far calls are followed: names are counted one by one, calls by this."""


def refuse_order_of_sets(pipeline: Callable[..., Any], nodes: Iterable[Node]) -> None:
    """Raise DefinitionError where a pipeline gives an input several outputs and goes through a set."""
    function = getattr(pipeline, "func", pipeline)
    if not isinstance(function, types.FunctionType):
        return
    if not any(isinstance(wire, list) and len(wire) > 1 for node in nodes for wire in node._wires.values()):
        return
    place = _first_set(function)
    if place is not None:
        raise DefinitionError(
            f"pipeline {function.__name__!r} goes through a set, whose order is another one each time",
            location=place,
            hint="write sorted(…) around it, or a list: the order of what an input takes is part of the job",
        )


@functools.lru_cache(maxsize=256)
def _first_set(function: types.FunctionType) -> SourceLocation | None:
    """In the function, or in one of the user's that it calls. Asked once: a pipeline is traced for every assignment."""
    waiting, seen = [function], set[types.FunctionType]()
    while waiting:
        one = waiting.pop(0)
        known = _known(one)
        try:
            found = function_source(one) if one not in seen else None
        except DefinitionError:
            found = None  # text that is not there, such as that of a library's extension
        seen.add(one)
        if found is None:
            continue
        assigned = _assigned(found.node)
        for iterated in _iterated(found.node):
            if _is_set(iterated, assigned, known):
                return found.piece.at(iterated.lineno)
        called = (_held(node.func, known) for node in ast.walk(found.node) if isinstance(node, ast.Call))
        waiting += [helper for helper in called if _is_users(helper, function)]
    return None


def _known(function: types.FunctionType) -> Mapping[str, Any]:
    closure = inspect.getclosurevars(function)
    return {**closure.globals, **closure.nonlocals}


def _assigned(function: ast.AST) -> Mapping[str, ast.expr]:
    return {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _is_users(helper: object, pipeline: types.FunctionType) -> bool:
    """Whether something is a function of the pipeline's own module, or of one beside it."""
    if not isinstance(helper, types.FunctionType):
        return False
    files = [Path(one.__code__.co_filename) for one in (helper, pipeline)]
    return helper.__globals__ is pipeline.__globals__ or files[0].parent == files[1].parent


def _held(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """What a name holds, or an attribute of a module; None for all else."""
    match node:
        case ast.Name(id=name):
            return known.get(name)
        case ast.Attribute(value=ast.Name(id=name), attr=attribute) if isinstance(known.get(name), types.ModuleType):
            return getattr(known[name], attribute, None)
        case _:
            return None


def _iterated(function: ast.AST) -> Iterator[ast.expr]:
    """What is gone through in order, but for what only goes into something that has none."""
    free: set[int] = set()
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.ListComp() | ast.GeneratorExp() as made, *_]) if (
                name in _FREE
            ):
                free.update(map(id, made.generators))
            case ast.SetComp(generators=generators):
                free.update(map(id, generators))
    for node in ast.walk(function):
        if id(node) in free:
            continue
        match node:
            case ast.For(iter=iterated) | ast.comprehension(iter=iterated) | ast.Starred(value=iterated):
                yield iterated
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in _IN_ORDER:
                yield from arguments


def _is_set(node: ast.expr, assigned: Mapping[str, ast.expr], known: Mapping[str, Any], depth: int = 0) -> bool:
    """Whether an expression is a set of which the order is drawn; numbers always have the same one."""
    match node:
        case ast.Set(elts=elements):
            return not all(isinstance(one, ast.Constant) and isinstance(one.value, int | float) for one in elements)
        case ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset"), args=[_]):
            return True
        case ast.BinOp(op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), left=left):
            return _is_set(left, assigned, known, depth)
        case ast.Name(id=name) if name in assigned and depth % _STEP <= len(assigned):
            return _is_set(assigned[name], assigned, known, depth + 1)
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _SET_METHODS:
            return _is_set(value, assigned, known, depth)
        case ast.Call(func=function):
            return depth < _DEEPEST and _gives_set(_held(function, known), depth)
        case ast.Name() | ast.Attribute():
            held = _held(node, known)
            return isinstance(held, set | frozenset) and not all(isinstance(one, int | float) for one in held)
        case _:
            return False


def _gives_set(helper: object, depth: int) -> bool:
    """Whether a function of Python gives back a set, as its text says."""
    if not isinstance(helper, types.FunctionType):
        return False
    try:
        node = function_source(helper).node
    except DefinitionError:
        return False
    given = [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None]
    return any(_is_set(one, _assigned(node), _known(helper), depth + _STEP) for one in given)

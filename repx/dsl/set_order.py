"""Finds where a pipeline goes through a set, whose order is another one in each process; changes nothing.

An input that takes several outputs takes them in an order, which is part of the id: it must not be drawn.
"""

from __future__ import annotations

import ast
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from repx.dsl.node import Node
from repx.dsl.source.module import function_source
from repx.errors import DefinitionError, SourceLocation

_IN_ORDER = frozenset({"list", "tuple", "map", "filter", "enumerate", "zip", "iter", "reversed"})
"""Functions that keep the order of what they are given."""


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
    """Asked once for a function: a pipeline is traced for every assignment."""
    try:
        found = function_source(function)
    except DefinitionError:
        return None
    closure = inspect.getclosurevars(function)
    known = {**closure.globals, **closure.nonlocals}
    assigned = {
        target.id: node.value
        for node in ast.walk(found.node)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for iterated in _iterated(found.node):
        if _is_set(iterated, assigned, known):
            return found.piece.at(iterated.lineno)
    return None


def _iterated(function: ast.AST) -> Iterator[ast.expr]:
    """What is gone through in order."""
    for node in ast.walk(function):
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
        case ast.Name(id=name) if name in assigned and depth < len(assigned) + 1:
            return _is_set(assigned[name], assigned, known, depth + 1)
        case ast.Name(id=name):
            held = known.get(name)
            return isinstance(held, set | frozenset) and not all(isinstance(one, int | float) for one in held)
        case _:
            return False

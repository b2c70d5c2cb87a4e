"""Finds the place of a Bash script in the Python function that returns it; does not run the function."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator

from repx.dsl.caller import place_of_function
from repx.dsl.source.deep import room_for_deep_trees
from repx.dsl.source.module import FunctionSource, function_source
from repx.dsl.source.scope import Function
from repx.dsl.source.text import SourceText
from repx.errors import DefinitionError, SourceLocation

_STRIPPING = frozenset({"strip", "lstrip", "cleandoc"})
"""Calls that take empty lines off the front of a text."""


def bash_text_origin(function: types.FunctionType) -> SourceLocation:
    r"""The place of the returned text's first line; where that is unclear, of the return statement or of `def`.

    For `\"\"\"\` at the end of a line that is the next line, as the text begins there.
    """
    try:
        found = function_source(function)
    except DefinitionError:
        return place_of_function(function)
    with room_for_deep_trees():
        return _origin_in(found)


def _origin_in(found: FunctionSource) -> SourceLocation:
    returns = [node for node in _own_statements(found.node) if isinstance(node, ast.Return)]
    first = min(returns, key=lambda node: node.lineno, default=None)
    if first is None:
        return found.piece.at(found.node.lineno)
    literal = _literal(first.value, found, first.lineno) if first.value else None
    if literal is None:
        return found.piece.at(first.lineno)
    text, source, stripped = literal
    return source.at(text.lineno + _lines_before_text(text, source, stripped))


_Literal = tuple[ast.Constant | ast.JoinedStr, SourceText, bool]


def _literal(node: ast.expr, found: FunctionSource, line: int) -> _Literal | None:
    """The string literal that `node` begins with, the source it stands in, and whether its front is stripped."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return node, found.piece, False
        case ast.Name(id=name):
            return _variable(name, found, line)
        case ast.BinOp(left=left):
            return _literal(left, found, line)
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if inner := _literal(value, found, line):
            return inner[0], inner[1], inner[2] or attr in _STRIPPING
        case ast.Call(func=function, args=[first, *_]) if inner := _literal(first, found, line):
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            return inner[0], inner[1], inner[2] or name in _STRIPPING
        case _:
            return None


def _variable(name: str, found: FunctionSource, line: int) -> _Literal | None:
    """The last literal given to a variable before `line`, in the function or else in its module."""
    before = [node for node in _own_statements(found.node) if node.lineno < line and _assigns(node, name)]
    if before:
        node, source = max(before, key=lambda node: node.lineno), found.piece
    else:
        number, bindings = found.module.bindings(name)
        if not bindings:
            return None
        source = found.module.pieces[number]
        node = source.tree.body[bindings[-1].index]
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and isinstance(value.value, str)):
        return value, source, False
    if isinstance(value, ast.Call) and (inner := _literal(value, found, node.lineno)):
        return inner[0], source if inner[1] is found.piece else inner[1], inner[2]
    return None


def _assigns(node: ast.stmt, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def _own_statements(function: Function) -> Iterator[ast.stmt]:
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            waiting.extend(ast.iter_child_nodes(node))


def _lines_before_text(node: ast.Constant | ast.JoinedStr, source: SourceText, stripped: bool) -> int:
    """Lines between the opening quotes and the first line of text: continued by a backslash, or empty and stripped."""
    rest = source.slice((node.lineno, node.col_offset), (len(source.lines), len(source.lines[-1])))
    prefix = rest[: len(rest) - len(rest.lstrip("rRbBuUfF"))]
    text = rest[len(prefix) :]
    text = text[3:] if text[:3] in {'"""', "'''"} else text[1:]
    lines = 0
    while True:
        first, _, following = text.partition("\n")
        if not following:
            return lines
        if (first == "\\" and "r" not in prefix.lower()) or (stripped and not first.strip()):
            lines, text = lines + 1, following
        else:
            return lines

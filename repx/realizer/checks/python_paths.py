"""Which absolute paths the text of a Python script names, put together where it puts them together; asks no disk."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping

_WRITES = frozenset({"write_text", "write_bytes", "mkdir", "touch", "unlink", "symlink_to"})
_DEEPEST = 20


def python_paths(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Lines, each with an absolute path that something at it is; not what is only written."""
    names: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = node.value
    written = {id(one) for node in ast.walk(tree) for one in _written(node)}
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        path = _path(node, names) if isinstance(node, ast.expr) and id(node) not in written else None
        if path is not None and path.startswith("/") and isinstance(node, ast.expr):
            yield node.lineno, os.path.normpath(path)
        if id(node) not in written:
            waiting.extend(ast.iter_child_nodes(node))


def _written(node: ast.AST) -> Iterator[ast.AST]:
    """The expressions for places that a call writes to."""
    match node:
        case ast.Call(func=ast.Attribute(value=place, attr=name)) if name in _WRITES:
            yield place
        case ast.Call(func=ast.Name(id="open"), args=[place, ast.Constant(value=str(mode)), *_]) if mode[:1] in "wax":
            yield place
        case ast.Call(func=ast.Attribute(value=place, attr="open"), args=[ast.Constant(value=str(mode)), *_]):
            if mode[:1] in "wax":
                yield place


def _path(node: ast.AST, names: Mapping[str, ast.expr], depth: int = 0) -> str | None:
    """The text of a path, as far as it is written out."""
    if depth > _DEEPEST:
        return None
    match node:
        case ast.Constant(value=str(text)):
            return os.path.expanduser(text) if text.startswith("~/") else text
        case ast.Name(id=name) if name in names:
            return _path(names[name], names, depth + 1)
        case ast.BinOp(op=ast.Div() | ast.Add(), left=left, right=right):
            first, second = _path(left, names, depth + 1), _path(right, names, depth + 1)
            if first is None or second is None:
                return None
            return os.path.join(first, second) if isinstance(node.op, ast.Div) else first + second
        case ast.Call(func=ast.Attribute(attr="expanduser" | "resolve" | "absolute", value=inner), args=[]):
            return _path(inner, names, depth + 1)
        case ast.Call(func=ast.Name(id="Path" | "PurePath" | "str") | ast.Attribute(), args=[_, *_], keywords=[]):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name not in ("Path", "PurePath", "PosixPath", "PurePosixPath", "str", "join", "expanduser"):
                return None
            found = [_path(one, names, depth + 1) for one in node.args]
            known = [one for one in found if one is not None]
            return os.path.join(*known) if len(known) == len(found) else None
        case ast.JoinedStr(values=values):
            parts = [one.value if isinstance(one, ast.FormattedValue) else one for one in values]
            found = [_path(one, names, depth + 1) for one in parts]
            return None if None in found else "".join(one for one in found if one is not None)
        case _:
            return None

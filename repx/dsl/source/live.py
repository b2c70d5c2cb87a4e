"""Compares the text that is cut out of a notebook with what its kernel holds: a cell may have failed half-way, a module
may have been edited and not loaded again. Does not know plain values, which are compared where they are written out.
"""

from __future__ import annotations

import ast
import functools
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repx.dsl.source.needed import NeededStatements
from repx.dsl.source.statement import Problem, Statement
from repx.dsl.source.text import SourceText, start_of

_FUTURES = 0x0FFF0000
"""The bits of a code object's flags that say which `__future__` it was compiled with."""

_NOT_THERE = object()


def live_problems(
    function: types.FunctionType, needs: NeededStatements, files: Mapping[str, SourceText], root: Path
) -> Iterator[Problem]:
    """What differs from what the kernel would run: needed statements, and local modules by their path below `root`."""
    scope = needs.scope
    for _, statement in sorted(needs.statements.items(), key=lambda item: item[0]):
        for name in sorted(statement.names | set(statement.aliases)):
            if not _is_live(statement, name, scope.get(name, _NOT_THERE), function):
                yield Problem(
                    statement.source.at(statement.node.lineno),
                    f"the kernel does not hold {name} as {statement.source.file} binds it",
                    "run that cell again, to its end, or the one whose version is meant",
                )
    modules = {getattr(one, "__file__", None): one for one in list(sys.modules.values())}
    for path, source in sorted(files.items()):
        module = modules.get(str(root / path))
        for node in source.tree.body if module is not None else ():
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                if not _same(node, source, vars(module).get(node.name, _NOT_THERE), function):
                    yield Problem(
                        source.at(node.lineno),
                        f"{path} has changed since it was imported: {node.name} is another there",
                        "load it again, with importlib.reload and the imports of its names, or restart the kernel",
                    )
                    break


def _is_live(statement: Statement, name: str, held: Any, function: types.FunctionType) -> bool:
    node = statement.node
    if held is _NOT_THERE:
        return False
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return _same(node, statement.source, held, function)
    alias = statement.aliases.get(name)
    if alias is None:
        return True
    if isinstance(node, ast.Import):
        wanted = alias.name if alias.asname else alias.name.partition(".")[0]
        return not isinstance(held, types.ModuleType) or wanted not in sys.modules or sys.modules[wanted] is held
    if isinstance(node, ast.ImportFrom) and not node.level:
        now = getattr(sys.modules.get(node.module or ""), alias.name, held)
        if isinstance(now, types.FunctionType) and isinstance(held, types.FunctionType):
            return _same_code(now.__code__, held.__code__)
        return now is held
    return True


def _same(node: ast.FunctionDef | ast.ClassDef, source: SourceText, held: Any, function: types.FunctionType) -> bool:
    """Whether an object is what a definition makes. Where a decorator has put another object there, nobody can tell."""
    code = _compiled(source, function.__code__.co_flags & _FUTURES).get((node.name, start_of(source, node)[0]))
    if code is None:
        return True
    if isinstance(node, ast.FunctionDef):
        if isinstance(held, types.FunctionType):
            return hasattr(held, "__wrapped__") or bool(node.decorator_list) or _same_code(held.__code__, code)
        return bool(node.decorator_list)
    if not isinstance(held, type):
        return bool(node.decorator_list)
    made = {one.co_name: one for one in code.co_consts if isinstance(one, types.CodeType)}
    own = {name: _plain_method(one) for name, one in vars(held).items()}
    return all(
        _same_code(method.__code__, made[method.__name__])
        for method in own.values()
        if method is not None and method.__name__ in made and method.__code__.co_filename == _file_of(held)
    ) and all(name in own for name in made if not name.startswith("<"))


def _plain_method(value: Any) -> types.FunctionType | None:
    inner = getattr(value, "__func__", getattr(value, "fget", value))
    return inner if isinstance(inner, types.FunctionType) else None


def _file_of(held: type) -> str:
    """The file of a class's own methods: data classes have methods that others have made."""
    methods = [one for value in vars(held).values() if (one := _plain_method(value)) is not None]
    files = [one.__code__.co_filename for one in methods if one.__module__ == held.__module__]
    return next((file for file in files if file != "<string>"), "")


@functools.lru_cache(maxsize=512)
def _compiled(source: SourceText, flags: int) -> dict[tuple[str, int], types.CodeType]:
    """The code of each definition of the top level, by name and first line."""
    try:
        code = compile(source.text, source.file, "exec", flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError):
        return {}
    found = (one for one in code.co_consts if isinstance(one, types.CodeType))
    return {(one.co_name, one.co_firstlineno): one for one in found}


def _same_code(one: types.CodeType, other: types.CodeType) -> bool:
    """Whether two compiled functions do the same, wherever they stand."""
    return _meaning(one) == _meaning(other)


def _meaning(code: types.CodeType) -> tuple[object, ...]:
    # 1, 1.0 and True are equal, and so are 0.0 and -0.0: the type and the text go with each constant.
    constants = tuple(_meaning(one) if isinstance(one, types.CodeType) else _constant(one) for one in code.co_consts)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (code.co_code, counts, names, constants)


def _constant(value: object) -> tuple[str, object]:
    if isinstance(value, tuple | frozenset):
        parts = [_constant(one) for one in value]
        return type(value).__name__, tuple(parts) if isinstance(value, tuple) else frozenset(parts)
    return type(value).__name__, ascii(value)

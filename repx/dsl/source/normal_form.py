"""Turns a syntax tree into canonical text that every supported Python gives alike; does not know what the text is for.

Standard library only, and only `ast`: the golden digests are checked by running this file on other interpreters.
"""

from __future__ import annotations

import ast

_SKIPPED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
"""Fields that say nothing the rest of the tree does not say: use of a name, `u""`, comments."""

_WITH_DOCSTRING = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


QUIET_DECORATORS = frozenset(
    "property staticmethod classmethod setter getter deleter abstractmethod cached_property cache lru_cache wraps "
    "total_ordering singledispatch singledispatchmethod register contextmanager asynccontextmanager dataclass overload "
    "override final jit njit vectorize".split()
)
"""Decorators that only wrap what they get, and do nothing with a docstring but pass it on."""


def normal_form(node: ast.AST, *, docstrings: bool = False) -> str:
    """`node` as one line of ASCII, without positions, comments and empty fields, and without docstrings unless asked.

    A docstring stays where a decorator gets the function or class that has it: commands and tools are made of some.

    Fields are sorted by name and left out when None, [] or '', so that a field which a newer Python adds (type_params,
    default_value) changes nothing where it is not used. The text is not Python and cannot be read back.
    """
    # A stack instead of recursion: a sum of a thousand terms is a tree a thousand deep.
    written: list[str] = []
    waiting: list[str | ast.AST] = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            written.append(item)
        else:
            waiting.extend(reversed(_parts(item, docstrings)))
    return "".join(written)


def _parts(node: ast.AST, docstrings: bool) -> list[str | ast.AST]:
    if isinstance(node, ast.Constant):
        return [f"Constant({constant_text(node.value)})"]
    parts: list[str | ast.AST] = [type(node).__name__, "("]
    separator = ""
    for name in sorted(node._fields):
        value = _field(node, name, docstrings)
        if name in _SKIPPED or value is None or (isinstance(value, list | str) and not value):
            continue
        parts.append(f"{separator}{name}=")
        parts.extend(_value_parts(value))
        separator = ","
    parts.append(")")
    return parts


def _field(node: ast.AST, name: str, docstrings: bool) -> object:
    value: object = getattr(node, name, None)
    if name == "body" and isinstance(node, _WITH_DOCSTRING) and not (docstrings or _is_handed_over(node)):
        return _without_docstring(node)
    if name == "values" and isinstance(node, ast.JoinedStr):
        return _merged(node.values)
    if name == "format_spec" and isinstance(value, ast.JoinedStr) and not _merged(value.values):
        return None  # f"{x:}" is f"{x}"; some versions keep an empty string there, some nothing
    return value


def _value_parts(value: object) -> list[str | ast.AST]:
    if isinstance(value, ast.AST):
        return [value]
    if isinstance(value, list):
        parts: list[str | ast.AST] = ["["]
        for position, item in enumerate(value):
            parts.extend([",", *_value_parts(item)] if position else _value_parts(item))
        return [*parts, "]"]
    return [constant_text(value)]


def _is_handed_over(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    decorators = [] if isinstance(node, ast.Module) else node.decorator_list
    return any(last_name(decorator) not in QUIET_DECORATORS for decorator in decorators)


def last_name(decorator: ast.expr) -> str:
    """`c` in `@a.b.c(…)`."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _without_docstring(
    node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
) -> list[ast.stmt]:
    match node.body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            # A body of a docstring alone does what `pass` does; a module may be empty.
            return rest or ([] if isinstance(node, ast.Module) else [ast.Pass()])
        case body:
            return body


def _merged(values: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string, neighbouring strings joined and empty ones dropped: versions split them differently."""
    merged: list[ast.expr] = []
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            last = merged[-1] if merged else None
            if isinstance(last, ast.Constant) and isinstance(last.value, str):
                merged[-1] = ast.Constant(last.value + value.value)
            elif value.value:
                merged.append(value)
        else:
            merged.append(value)
    return merged


def constant_text(value: object) -> str:
    """A literal as ASCII. `repr` of a string depends on the version's Unicode tables, of a huge int on a limit."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return hex(value)
    return ascii(value)

"""All names that a piece of code mentions, in whatever way; does not know what they stand for."""

from __future__ import annotations

import ast
import functools


@functools.lru_cache(maxsize=4096)
def names_in(tree: ast.AST) -> frozenset[str]:
    """Every name, attribute, function, imported name and identifier in quotes: `getattr(f, "__doc__")` names it too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.FunctionDef(name=name):
                found.add(name)
            case ast.Constant(value=str(text)) if text.isidentifier():
                found.add(text)
            case ast.Import(names=aliases):
                found.update(part for alias in aliases for part in alias.name.split("."))
            case ast.ImportFrom(module=module, names=aliases):
                found.update((module or "").split("."))
                found.update(alias.name for alias in aliases)
    return frozenset(found)


@functools.lru_cache(maxsize=4096)
def keywords_in(tree: ast.AST) -> frozenset[str]:
    """The names of arguments that calls are given by name."""
    return frozenset(node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg)

"""Which code runs when the statements of modules are executed, and what of it reads what is around the program.

Follows calls of the user's own functions, classes and decorators by their names; executes nothing.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from repx.dsl.source.bindings import root_name
from repx.dsl.source.imports import absolute
from repx.dsl.source.outside import Reading, reading_of
from repx.dsl.source.scope import Function
from repx.dsl.source.text import SourceText

_CALLERS = frozenset("map filter sorted min max reduce starmap partial".split())
"""Functions that call what they are given."""

_WRITES = frozenset({"os.environ.setdefault", "os.environ.update", "os.environ.pop", "os.environ.clear"})
"""Calls that only set, where nobody asks what they give back."""

_AT_BIRTH = frozenset({"__init__", "__new__", "__post_init__"})


@dataclass(frozen=True, slots=True)
class Unit:
    """A module with the dotted name that others import it by.

    `statements` are those of its top level that travel. The cells of a notebook are units of one name.
    """

    name: str
    package: str
    source: SourceText
    statements: tuple[ast.stmt, ...]


_Step = tuple[Unit, ast.expr, str]
"""A name, an attribute or a call, and what it, or the function called, is called by."""


class Loaded:
    """What runs when statements of some modules are executed."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._functions: dict[str, tuple[Unit, Function]] = {}
        self._classes: dict[str, tuple[Unit, ast.ClassDef]] = {}
        self._imported: dict[str, dict[str, str]] = {}
        self._stored: dict[str, set[str]] = {}
        self._waiting: list[tuple[Unit, ast.AST]] = []
        self._alone: set[int] = set()
        """Calls whose result nobody takes."""
        for unit in units:
            self._imported.setdefault(unit.name, {}).update(_imported(unit.source, unit.package))
            self._stored.setdefault(unit.name, set()).update(_stored(unit.source))
            for node in (inner for one in unit.statements for inner in _with_inner(one)):
                if isinstance(node, Function):
                    self._functions[f"{unit.name}.{node.name}"] = unit, node
                elif isinstance(node, ast.ClassDef):
                    self._classes[f"{unit.name}.{node.name}"] = unit, node
        steps = (step for unit in units for one in unit.statements for step in self._steps(unit, one))
        calls = (dotted for _, node, dotted in steps if isinstance(node, ast.Call))
        self._seeded = {dotted.removesuffix(".seed") for dotted in calls if dotted.endswith(".seed")}

    def readings(self, unit: Unit, statement: ast.stmt) -> Iterator[tuple[SourceText, int, Reading]]:
        """What executing one statement of a module reads: file, line, and what."""
        for of, node, dotted in self._steps(unit, statement):
            is_set = isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)
            if not is_set and (found := reading_of(node, dotted, self._seeded)) is not None:
                yield of.source, node.lineno, found

    def changes(self, unit: Unit, statement: ast.stmt) -> Iterator[tuple[str, bool]]:
        """What executing one statement calls for its effect, or sets: how that is called, and whether it is a call."""
        for _, node, dotted in self._steps(unit, statement):
            if isinstance(node, ast.Call) and id(node) in self._alone:
                yield dotted, True
            elif isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
                yield dotted, False

    def calls_own(self, unit: Unit, node: ast.expr) -> bool:
        """Whether an expression is a call of a function or a class of the modules."""
        dotted = self._dotted(unit, node.func) if isinstance(node, ast.Call) else ""
        return dotted in self._functions or dotted in self._classes

    def _steps(self, unit: Unit, statement: ast.stmt) -> Iterator[_Step]:
        self._waiting = [(unit, statement)]
        done: set[int] = set()
        while self._waiting:
            of, node = self._waiting.pop()
            if id(node) in done:
                continue
            done.add(id(node))
            if isinstance(node, ast.Expr):
                self._alone.add(id(node.value))
            match node:
                case ast.Expr(value=ast.Call(func=function)) if self._dotted(of, function) in _WRITES:
                    done.update(map(id, ast.walk(function)))
                case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                    self._defined(of, node)
                case ast.Call(func=function):
                    dotted = self._dotted(of, function)
                    self._called(of, node, dotted)
                    yield of, node, dotted
                case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()):
                    yield of, node, self._dotted(of, node)
                case ast.Attribute() | ast.Subscript() if not isinstance(node.ctx, ast.Load):
                    yield of, node, self._dotted(of, node)
            self._waiting.extend((of, child) for child in _executed(node))

    def _defined(self, unit: Unit, node: ast.ClassDef | Function) -> None:
        for decorator in node.decorator_list:
            self._decorated(unit, decorator)
        for base in node.bases if isinstance(node, ast.ClassDef) else ():
            if (above := self._classes.get(self._dotted(unit, base))) is not None:
                self._methods(*above, {"__init_subclass__"})

    def _called(self, unit: Unit, call: ast.Call, dotted: str) -> None:
        self._enter(dotted)
        if dotted.rpartition(".")[2] in _CALLERS:
            for given in [*call.args, *(one.value for one in call.keywords)]:
                self._enter(self._dotted(unit, given))

    def _enter(self, dotted: str) -> None:
        """What runs when something of a dotted name is called."""
        if dotted in self._functions:
            unit, function = self._functions[dotted]
            self._waiting.extend((unit, one) for one in function.body)
        elif dotted in self._classes:
            unit, made = self._classes[dotted]
            self._methods(unit, made, _AT_BIRTH)
        elif dotted.startswith("."):
            # Nobody knows what it is called on: any class that travels may be meant.
            for unit, made in self._classes.values():
                self._methods(unit, made, {dotted.rpartition(".")[2]}, above=False)

    def _methods(self, unit: Unit, made: ast.ClassDef, names: Set[str], *, above: bool = True) -> None:
        waiting, seen = [(unit, made)], set[int]()
        while waiting:
            of, one = waiting.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            methods = (inner for inner in one.body if isinstance(inner, Function) and inner.name in names)
            self._waiting.extend((of, statement) for method in methods for statement in method.body)
            bases = (self._dotted(of, base) for base in one.bases if above)
            waiting.extend(self._classes[base] for base in bases if base in self._classes)

    def _decorated(self, unit: Unit, decorator: ast.expr) -> None:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        dotted = self._dotted(unit, called)
        self._enter(dotted)
        if isinstance(decorator, ast.Call) and dotted in self._functions:
            # What it gives back is called in its turn.
            of, function = self._functions[dotted]
            inner = (one for one in function.body if isinstance(one, Function))
            self._waiting.extend((of, statement) for one in inner for statement in one.body)

    def _dotted(self, unit: Unit, node: ast.expr) -> str:
        """What an expression is called by: `os.path.join`; `.read` where the beginning is not known."""
        root = root_name(node)
        parts = _attributes(node)
        names = self._imported[unit.name]
        if root is None:
            return parts
        if root in names:
            return names[root] + parts
        own = f"{unit.name}.{root}"
        if own in self._functions or own in self._classes:
            return own + parts
        return parts or ("" if root in self._stored[unit.name] else root)


def _with_inner(node: ast.AST) -> Iterator[ast.AST]:
    """A statement, and those that an `if` or a `try` holds."""
    yield node
    if isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
        for child in ast.iter_child_nodes(node):
            yield from _with_inner(child)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node that run when it does: not the body of a function or a lambda."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from node.decorator_list
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        yield from node.args.defaults
        yield from (one for one in node.args.kw_defaults if one is not None)
    elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        yield node.slice
    elif isinstance(node, ast.AnnAssign):
        yield from [node.target, *([node.value] if node.value else [])]
    else:
        yield from ast.iter_child_nodes(node)


def _attributes(node: ast.expr) -> str:
    """`.b.d` in `a.b[c].d(e)`."""
    parts: list[str] = []
    inner: ast.AST | None = node
    while inner is not None and not isinstance(inner, ast.Name):
        if isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
        inner = getattr(inner, "value", None) or getattr(inner, "func", None)
        if not isinstance(inner, ast.AST):
            break
    return "".join(f".{part}" for part in reversed(parts))


@functools.lru_cache(maxsize=512)
def _imported(source: SourceText, package: str) -> Mapping[str, str]:
    """What imported names stand for, wherever they are imported."""
    names: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            for alias in node.names:
                names[alias.asname or alias.name] = f"{absolute(node, package)}.{alias.name}"
    return names


@functools.lru_cache(maxsize=512)
def _stored(source: SourceText) -> frozenset[str]:
    """The names that anything in a module binds, at whatever depth."""
    found: set[str] = set()
    for node in ast.walk(source.tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
    return frozenset(found)

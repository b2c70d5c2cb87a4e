"""Functions of the user's as they were when they were handed over: to a run, a decorator, or as an option of a stage.

They are called later, and Python looks up what they read only then: three runs that a loop makes would all see its last
value. What a function reads from closures, and from names that the loops around it assign, it gets as it was. Other
names that have changed since are told, so that nobody computes with what stood there for a moment; in a notebook
they are what the cells have made of them.
"""

from __future__ import annotations

import ast
import dis
import functools
import linecache
import re
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from repx.dsl.caller import place_of_function
from repx.dsl.source.module import is_cell
from repx.errors import DefinitionError, SourceLocation

_MOST = 1000
"""Values inside one value, above which a change in it is not looked for."""

_ATOMS = (type(None), bool, int, float, complex, str, bytes)


class _Read(NamedTuple):
    """A name that is read, and what stood there: the object, and its text where it is plain data.

    Of a module, a class or another object, `held` is the text of its plain attributes that are called like one that the
    code asks for.
    """

    name: str
    value: Any
    text: str | None
    attributes: frozenset[str]
    held: str

    def has_changed(self, now: Any) -> bool:
        if isinstance(now, types.FunctionType) and isinstance(self.value, types.FunctionType):
            return now.__code__ is not self.value.__code__ and now.__code__ != self.value.__code__
        text = _plain_text(now)
        if self.text is None or text is None:
            return now is not self.value or _held_by(now, self.attributes) != self.held
        return text != self.text


class Handed:
    """A function that is called later, with what it reads; what is not a plain function is taken as it is."""

    def __init__(self, function: Callable[..., Any], handed_at: SourceLocation) -> None:
        self.function = function
        inner = function.func if isinstance(function, functools.partial) else function
        self._plain = inner if isinstance(inner, types.FunctionType) else None
        self._own: list[_Read] = []
        self._cells: list[tuple[types.CellType, _Read]] = []
        self._deep: list[_Read] = []
        self._of_loops: frozenset[str] = frozenset()
        if self._plain is None:
            return
        code = self._plain.__code__
        scope = self._plain.__globals__
        places = (place_of_function(self._plain), handed_at)
        self._of_loops = frozenset(name for place in places for name in _names_of_loops(place, scope))
        own, helpers = _reads_of(self._plain)
        self._own = [_read(name, scope[name], code) for name in own]
        for name, cell in zip(code.co_freevars, self._plain.__closure__ or (), strict=True):
            if (held := _held(cell)) is not _EMPTY:
                self._cells.append((cell, _read(name, held, code)))
        self._deep = [_read(name, scope[name], code) for name in helpers if name not in own]

    def now(self, what: str) -> Callable[..., Any]:
        """The function to call. Raises DefinitionError for what has changed since; `what` is its subject."""
        self._refuse(self.changed(), what)
        return self.as_it_was()

    def body(self, what: str) -> Callable[..., Any]:
        """The function to take the text of. Raises DefinitionError where its closure has changed; see `now`.

        Other names of the module are what they are when it is taken.
        """
        scope = self._plain.__globals__ if self._plain is not None else {}
        around = [one for cell, one in self._cells if one.text is not None and _held(cell) is one.value]
        changed = [one for one in around if one.has_changed(one.value)]
        # What a helper reads is looked up in the module, which has the value of the last turn.
        helped = [one for one in self._deep if one.name in self._of_loops and one.text is not None]
        self._refuse([*changed, *(one for one in helped if one.has_changed(scope.get(one.name)))], what)
        return self.as_it_was()

    def _refuse(self, changed: list[_Read], what: str) -> None:
        if changed:
            read = changed[0]
            assert self._plain is not None
            raise DefinitionError(
                f"{what} reads {read.name}, which is another now than when it was made",
                location=place_of_function(self._plain),
                facts=_then_and_now(read, self._plain.__globals__.get(read.name)),
                hint=f"give it as a param, or keep it as it is then: lambda {read.name}={read.name}: …"
                if type(read.value) in _ATOMS
                else "give what it holds as params",
            )

    @property
    def is_live(self) -> bool:
        """Whether it stands in a notebook, where later cells may make its names anew."""
        return self._plain is not None and is_cell(self._plain)

    def changed(self) -> list[_Read]:
        """What the function would find changed, and cannot be given as it was."""
        if self._plain is None:
            return []
        scope = self._plain.__globals__
        is_live = self.is_live
        found = [one for one in self._deep if one.has_changed(scope.get(one.name, one.value))]
        found += [
            one
            for one in self._own
            if (one.name not in self._of_loops or scope.get(one.name) is one.value)
            and one.has_changed(scope.get(one.name, one.value))
        ]
        found += [one for cell, one in self._cells if _held(cell) is one.value and one.has_changed(one.value)]
        return [one for one in found if not is_live or one.name in self._of_loops]

    def as_it_was(self) -> Callable[..., Any]:
        """The function with its closure, and the names of the loops around it, as they were."""
        if self._plain is None:
            return self.function
        scope = self._plain.__globals__
        names = {
            one.name: one.value
            for one in self._own
            if one.name in self._of_loops and scope.get(one.name) is not one.value
        }
        if not names and all(_held(cell) is one.value for cell, one in self._cells):
            return self.function
        made = _with(self._plain, names, {id(cell): one.value for cell, one in self._cells})
        given = self.function
        return functools.partial(made, *given.args, **given.keywords) if isinstance(given, functools.partial) else made


def _with(function: types.FunctionType, names: Mapping[str, Any], cells: Mapping[int, Any]) -> types.FunctionType:
    """The same function over other values."""
    before = function.__closure__ or ()
    closure = tuple(types.CellType(cells[id(cell)]) if id(cell) in cells else cell for cell in before)
    scope = {**function.__globals__, **names} if names else function.__globals__
    made = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, closure or None)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__dict__.update(function.__dict__)
    made.__annotations__ = function.__annotations__
    made.__qualname__ = function.__qualname__
    return made


def _reads_of(function: types.FunctionType) -> tuple[list[str], list[str]]:
    """The names of the module that a function reads itself, and those that the module's functions it calls read."""
    scope = function.__globals__
    own = [name for name in _loaded(function.__code__) if name in scope]
    deep: dict[str, None] = {}
    waiting = [scope[name] for name in own] + [_held(cell) for cell in function.__closure__ or ()]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, types.FunctionType) and one.__globals__ is scope and id(one) not in seen:
            seen.add(id(one))
            names = [name for name in _loaded(one.__code__) if name in scope]
            deep.update(dict.fromkeys(names))
            waiting += [scope[name] for name in names]
    return own, list(deep)


@functools.lru_cache(maxsize=1024)
def _loaded(code: types.CodeType) -> tuple[str, ...]:
    names: dict[str, None] = {}
    waiting = [code]
    while waiting:
        one = waiting.pop()
        found = (each.argval for each in dis.get_instructions(one) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
        names.update(dict.fromkeys(found))
        waiting += [inner for inner in one.co_consts if isinstance(inner, types.CodeType)]
    return tuple(names)


def _names_of_loops(place: SourceLocation, scope: Mapping[str, Any]) -> frozenset[str]:
    """The names that the module-level loops around a place assign."""
    cell = re.fullmatch(r"In\[(\d+)\]", place.file)
    text = str(scope["In"][int(cell[1])]) if cell and "In" in scope else "".join(linecache.getlines(place.file))
    return _loops_of(text, place.line)


@functools.lru_cache(maxsize=1024)
def _loops_of(text: str, line: int) -> frozenset[str]:
    names: set[str] = set()
    for loop in _loops(_tree(text)):
        if loop.lineno <= line <= (loop.end_lineno or 0):
            inside = (one for one in ast.walk(loop) if isinstance(one, ast.Name))
            names.update(one.id for one in inside if isinstance(one.ctx, ast.Store))
    return frozenset(names)


@functools.lru_cache(maxsize=16)
def _tree(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def _loops(tree: ast.Module) -> Iterator[ast.For | ast.While]:
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.For | ast.While):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            waiting.extend(ast.iter_child_nodes(node))


_EMPTY = object()


def _held(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY


def _read(name: str, value: Any, code: types.CodeType) -> _Read:
    text = _plain_text(value)
    attributes = _attributes(code) if text is None else frozenset()
    return _Read(name, value, text, attributes, _held_by(value, attributes))


def _held_by(value: Any, attributes: frozenset[str]) -> str:
    fields = getattr(value, "__dict__", {}) if attributes else {}
    texts = [f"{name}={text}" for name in sorted(attributes & fields.keys()) if (text := _plain_text(fields[name]))]
    return ", ".join(texts)


@functools.lru_cache(maxsize=1024)
def _attributes(code: types.CodeType) -> frozenset[str]:
    found = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= _attributes(inner)
    return frozenset(found)


def _plain_text(value: Any) -> str | None:
    """The text of plain data; None for everything else."""
    count = 0

    def written(one: Any) -> str:
        nonlocal count
        count += 1
        if count > _MOST:
            raise _NotPlainError
        kind = type(one)
        if kind in _ATOMS:
            return f"{kind.__name__} {one!r}"
        if kind in (list, tuple):
            return f"{kind.__name__}[{', '.join(map(written, one))}]"
        if kind in (set, frozenset):
            return f"{kind.__name__}[{', '.join(sorted(map(written, one)))}]"
        if kind is dict:
            return f"dict[{', '.join(f'{written(key)}: {written(held)}' for key, held in one.items())}]"
        raise _NotPlainError

    try:
        return written(value)
    except (_NotPlainError, RecursionError, ValueError):
        return None


class _NotPlainError(Exception):
    """The value has no text."""


def _then_and_now(read: _Read, now: Any) -> list[tuple[str, object]]:
    if read.text is not None:
        # What can change was kept as text.
        then = read.text.partition(" ")[2]
        return [("then", _shortened(then if type(read.value) in _ATOMS else read.text)), ("now", _shortened(repr(now)))]
    if now is read.value:
        return [("then", _shortened(read.held)), ("now", _shortened(_held_by(now, read.attributes)))]
    return []


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"

"""What the module of a cut-out holds that its script makes again, to be compared with what that makes elsewhere.

Describes the module as it is now; starts nothing and compares nothing.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator, Mapping

from repx.dsl.source.bindings import bindings_of
from repx.dsl.source.imports import LocalFiles
from repx.dsl.source.module import FunctionSource
from repx.dsl.source.needed import NeededStatements
from repx.dsl.source.portrait import Portrait, library_states
from repx.dsl.source.statement import Statement
from repx.dsl.source.text import SourceText
from repx.errors import SourceLocation
from repx.model.software import World

_MOST_MODULES = 500


def world_of(
    function: types.FunctionType,
    found: FunctionSource,
    needs: NeededStatements,
    local: LocalFiles,
    asked: frozenset[str],
    script: str,
    lines: tuple[tuple[int, SourceLocation], ...],
) -> World | None:
    """None where everything stands in the script as it is: values, plain functions and imports of libraries.

    `asked` are the names that any of the code that travels may ask for.
    """
    scope = needs.scope
    statements = needs.statements.values()
    settings = {one for statement in statements for one in statement.libraries}
    libraries = tuple(sorted({name.partition(".")[0] for name in local.external} | settings))
    states = library_states(libraries)
    if not (local.files or states or any(_makes_something(one, scope) for one in statements)):
        return None
    modules = _live_modules(scope, local)
    wanted = {name: _used_names(source, asked) for name, source in _dotted(local)}
    wanted = {name: names if name in modules else () for name, names in wanted.items()}
    names = sorted(name for name, keys in needs.bindings.items() if keys and name in scope)
    names = [name for name in names if not isinstance(scope[name], types.ModuleType)]
    subclasses = "__subclasses__" in asked
    made = Portrait([*{str(scope.get("__name__")), "__main__"}, *wanted], subclasses)
    for name in names:
        made.add(name, scope[name])
    for module, inside in sorted(wanted.items()):
        for name in inside:
            if name in modules[module]:
                made.add(f"{module}.{name}", modules[module][name])
    for name, state in sorted(states.items()):
        made.add(name, state)
    places = {}
    for name, keys in needs.bindings.items():
        statement = needs.statements[keys[-1]]
        line = statement.node.lineno if statement.value is None else found.node.lineno
        _, bound = needs.module.bindings(name)
        places[name] = statement.source.at(bound[-1].line if bound else line)
    for module, source in _dotted(local):
        places |= {f"{module}.{one}": source.at(bound[-1].line) for one, bound in bindings_of(source).by_name.items()}
    return World(
        script=script,
        modules=tuple((path, source.text) for path, source in sorted(local.files.items())),
        names=tuple(names),
        local_names=wanted,
        libraries=libraries,
        subclasses=subclasses,
        held=made.lines,
        places=places,
        lines=lines,
        files={path: source.file for path, source in local.files.items()},
    )


def _makes_something(statement: Statement, scope: Mapping[str, object]) -> bool:
    """Whether running a statement may give something else than what the module holds."""
    node = statement.node
    if statement.value is not None or isinstance(node, ast.Import | ast.ImportFrom):
        return False
    if not isinstance(node, ast.FunctionDef) or node.decorator_list or node.args.defaults or any(node.args.kw_defaults):
        return True
    held = scope.get(node.name)
    is_as_written = isinstance(held, types.FunctionType) and not vars(held) and held.__code__.co_name == node.name
    return not (is_as_written and isinstance(held, types.FunctionType) and held.__defaults__ is None)


def _dotted(local: LocalFiles) -> Iterator[tuple[str, SourceText]]:
    for path, source in sorted(local.files.items()):
        parts = path.removesuffix(".py").split("/")
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), source


def asked_names(needs: NeededStatements, local: LocalFiles) -> frozenset[str]:
    """The names that any of the code that travels may ask for."""
    trees: list[ast.AST] = [one.tree for one in local.files.values()]
    trees += [one.node for one in needs.statements.values()] + [needs.found.node]
    asked: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            match node:
                case (
                    ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()) | ast.alias(name=name)
                ):
                    asked.add(name)
    return frozenset(asked)


def _used_names(source: SourceText, asked: frozenset[str]) -> tuple[str, ...]:
    """What a local module binds and code asks for."""
    bound = bindings_of(source).by_name
    return tuple(sorted(n for n, found in bound.items() if n in asked and any(b.kind != "import" for b in found)))


def _live_modules(scope: Mapping[str, object], local: LocalFiles) -> dict[str, Mapping[str, object]]:
    """The local modules as they were loaded: `sys.modules` may have forgotten them since."""
    wanted = {name for name, _ in _dotted(local)}
    found: dict[str, Mapping[str, object]] = {}
    waiting: list[Mapping[str, object]] = [scope]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_MODULES:
        names = waiting.pop()
        if id(names) in seen:
            continue
        seen.add(id(names))
        for value in list(names.values()):
            inner: Mapping[str, object] | None = None
            if isinstance(value, types.ModuleType):
                inner = vars(value)
            elif isinstance(value, types.FunctionType):
                inner = value.__globals__
            elif isinstance(value, type) and value.__module__ in wanted:
                methods = (one for one in vars(value).values() if isinstance(one, types.FunctionType))
                inner = next((one.__globals__ for one in methods), None)
            name = inner.get("__name__") if inner is not None else None
            if inner is not None and isinstance(name, str) and name in wanted:
                found.setdefault(name, inner)
                waiting.append(inner)
    return found

"""What of local modules is used: the definitions that are reached, and every statement that has an effect.

The rest is blanked out of the text that travels, so that what does not count is not there either. A module whose use
cannot be followed is taken whole. Reads no file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from repx.dsl.source.effects import Own, is_quiet
from repx.dsl.source.imports import absolute
from repx.dsl.source.names import keywords_in, names_in
from repx.dsl.source.references import IsModule, Reference, imported_by_name, module_aliases, references
from repx.dsl.source.scope import bound_names, statement_uses
from repx.dsl.source.text import SourceText, end_of, start_of

_SPOILS_ALL = frozenset(
    "pickle cPickle _pickle dill cloudpickle joblib shelve read_pickle allow_pickle copyreg "
    "__subclasses__ import_module run_module run_path modules iter_modules walk_packages exec_module".split()
)
"""Names by which code reaches modules, or what is in them, without naming it."""

_SPOILS_ONE = frozenset("globals locals vars eval exec dir".split())
"""Functions by which a module reaches what is in itself without naming it."""


@dataclass(frozen=True, slots=True)
class Local:
    """A local module: its dotted name, the package that its relative imports start in, and its text."""

    name: str
    package: str
    source: SourceText


def used_texts(script: ast.Module, package: str, modules: Mapping[str, Local]) -> dict[str, str]:
    """The text of each module, by its dotted name, with what `script` does not use blanked out."""
    if not modules:
        return {}
    trees = [script, *(one.source.tree for one in modules.values())]
    if any(
        not (names_in(tree) | keywords_in(tree)).isdisjoint(_SPOILS_ALL) or _imports_by_names(tree) for tree in trees
    ):
        return {name: one.source.text for name, one in modules.items()}
    use = _Use({name: _Module(one, modules.__contains__) for name, one in modules.items()})
    use.refer(references(script.body, package, module_aliases(script.body, package, use.is_module), use.is_module))
    use.settle()
    return {name: module.text() for name, module in use.modules.items()}


def _imports_by_names(tree: ast.AST) -> bool:
    """Whether code unpickles by PyTorch, or imports a module by a name that is not written out."""
    names = names_in(tree)
    calls = sum(imported_by_name(node) is not None for node in ast.walk(tree)) if "__import__" in names else 0
    mentions = sum(isinstance(node, ast.Name) and node.id == "__import__" for node in ast.walk(tree)) if calls else 0
    return {"torch", "load"} <= names or ("__import__" in names and (not calls or mentions > calls))


class _Module:
    """The top-level statements of one module, and which of them have been reached."""

    def __init__(self, local: Local, is_module: IsModule) -> None:
        self.local = local
        self.body = local.source.tree.body
        self.is_whole = _reaches_itself(local.source.tree) or _has_star(self.body)
        self.kept: set[int] = set()
        self.aliases: dict[int, set[str]] = {}
        self.binders: dict[str, list[int]] = {}
        self.local_names = module_aliases(self.body, local.package, is_module)
        classes = {one.name: one for one in self.body if isinstance(one, ast.ClassDef)}
        own = (one for one in self.body if _is_of_the_users(one, local.package, is_module))
        self.own = Own(classes, frozenset(name for one in own for name in _binds(one)))
        imports = (one for one in self.body if isinstance(one, ast.Import | ast.ImportFrom))
        self.imported = {target for one in imports for target in _targets(one, local.package) if is_module(target)}
        self.has_run = False
        for number, statement in enumerate(self.body):
            for name in _binds(statement):
                self.binders.setdefault(name, []).append(number)
        self.mentioned = {use.name for one in self.body for use in statement_uses(one).names}

    def own_effects(self) -> Iterator[int]:
        """The statements that do something when the module is imported, imports of local modules aside."""
        for number, statement in enumerate(self.body):
            if not isinstance(statement, ast.Import | ast.ImportFrom) and not is_quiet(statement, self.own):
                yield number

    def text(self) -> str:
        """The module's text without what was not reached; every line keeps its number."""
        if self.is_whole:
            return self.local.source.text
        lines = list(self.local.source.lines)
        taken = [(start_of(self.local.source, one)[0], end_of(one)[0]) for one in self.body]
        for number in reversed(range(len(self.body))):
            statement, (first, last) = self.body[number], taken[number]
            if any(other != number and a <= last and first <= b for other, (a, b) in enumerate(taken)):
                continue  # it shares a line with another one
            instead = self._instead(number, statement)
            if instead is not None:
                start, end = start_of(self.local.source, statement), end_of(statement)
                before, after = lines[first - 1][: start[1]], lines[last - 1][end[1] :]
                lines[first - 1 : last] = [before + instead.encode(), *[b""] * (last - first)]
                lines[last - 1] += after
        return b"\n".join(lines).decode()

    def _instead(self, number: int, statement: ast.stmt) -> str | None:
        """What stands for a statement; None for the statement itself."""
        if number not in self.kept:
            # Beside the docstring, which other code may read, nothing is kept that was not reached.
            return None if number == 0 and _is_text(statement) else ""
        if isinstance(statement, ast.Import | ast.ImportFrom):
            aliases = [alias for alias in statement.names if _bound(alias) in self.aliases.get(number, ())]
            if len(aliases) < len(statement.names):
                names = ", ".join(self.local.source.of(alias) for alias in aliases)
                if isinstance(statement, ast.Import):
                    return f"import {names}"
                if not aliases:
                    return f"import {absolute(statement, self.local.package)}"
                return f"from {absolute(statement, self.local.package)} import {names}"
        return None


@dataclass(slots=True)
class _Use:
    """Which statements of all modules have been reached, found by going from one to the next."""

    modules: dict[str, _Module]
    _waiting: list[Reference] = field(default_factory=list)
    _effects: dict[str, bool] = field(default_factory=dict)

    def is_module(self, name: str) -> bool:
        return name in self.modules

    def refer(self, found: Iterable[Reference]) -> None:
        self._waiting.extend(found)

    def settle(self) -> None:
        """Follow everything that waits."""
        done: set[Reference] = set()
        while self._waiting:
            reference = self._waiting.pop()
            if reference in done:
                continue
            done.add(reference)
            parts = reference.module.split(".")
            for length in range(1, len(parts) + 1):
                if module := self.modules.get(".".join(parts[:length])):
                    self._run(module)
            if module := self.modules.get(reference.module):
                if reference.name is None:
                    module.is_whole = True
                    self._keep(module, range(len(module.body)))
                elif reference.name.startswith("."):
                    self._import_inner(module, reference.module + reference.name)
                elif reference.name:
                    self._reach(module, reference.name)

    def has_effect(self, name: str) -> bool:
        """Whether importing a local module does more than define: itself, or a module that it imports."""
        if name not in self._effects:
            seen: set[str] = set()
            waiting = [name]
            while waiting:
                one = waiting.pop()
                if one in self.modules and one not in seen:
                    seen.add(one)
                    waiting.extend(self.modules[one].imported)
            self._effects[name] = any(self._has_own_effect(self.modules[one]) for one in seen)
        return self._effects[name]

    def _has_own_effect(self, module: _Module) -> bool:
        is_busy = any(True for _ in module.own_effects())
        return module.is_whole or is_busy or any(self._imports_for_effect(module, one) for one in module.body)

    def _run(self, module: _Module) -> None:
        """What happens when a module is imported."""
        if module.has_run:
            return
        module.has_run = True
        if module.is_whole:
            self._keep(module, range(len(module.body)))
            return
        self._keep(module, module.own_effects())
        for number, statement in enumerate(module.body):
            if self._imports_for_effect(module, statement):
                self._keep(module, [number])
            elif isinstance(statement, ast.Import | ast.ImportFrom):
                if any(map(self.has_effect, _targets(statement, module.local.package))):
                    self._keep(module, [number])

    def _imports_for_effect(self, module: _Module, statement: ast.stmt) -> bool:
        """Whether an import of another's module binds a name that nothing in the whole module uses."""
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            return False
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            return True
        if any(self.is_module(target) for target in _targets(statement, module.local.package)):
            return False
        return any(_bound(alias) not in module.mentioned for alias in statement.names)

    def _keep(self, module: _Module, numbers: Iterable[int]) -> None:
        for number in numbers:
            statement = module.body[number]
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self._keep_aliases(module, number, statement, statement.names)
            elif number not in module.kept:
                module.kept.add(number)
                self._follow(module, statement)

    def _keep_aliases(
        self,
        module: _Module,
        number: int,
        statement: ast.Import | ast.ImportFrom,
        aliases: Sequence[ast.alias],
    ) -> None:
        module.kept.add(number)
        known = module.aliases.setdefault(number, set())
        for alias in aliases:
            if _bound(alias) in known:
                continue
            known.add(_bound(alias))
            only = ast.Import([alias])
            one = (
                only
                if isinstance(statement, ast.Import)
                else ast.ImportFrom(statement.module, [alias], statement.level)
            )
            self.refer(references([one], module.local.package, {}, self.is_module))

    def _reach(self, module: _Module, name: str) -> None:
        """Keep what binds a name of a module. A local module that is reached as a name is taken whole."""
        for number in module.binders.get(name, ()):
            statement = module.body[number]
            if isinstance(statement, ast.Import | ast.ImportFrom):
                aliases = [alias for alias in statement.names if _bound(alias) == name]
                self._keep_aliases(module, number, statement, aliases)
                inner = module_aliases([statement], module.local.package, self.is_module)
                self.refer(Reference(target, None) for alias, target in inner.items() if alias == name)
            else:
                self._keep(module, [number])

    def _import_inner(self, module: _Module, inner: str) -> None:
        """Keep what makes a module an attribute of the package that it lies in."""
        for number, statement in enumerate(module.body):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                base = absolute(statement, module.local.package) if isinstance(statement, ast.ImportFrom) else ""
                whole = [alias for alias in statement.names if inner in (alias.name, f"{base}.{alias.name}")]
                if whole or base == inner:
                    self._keep_aliases(module, number, statement, whole)

    def _follow(self, module: _Module, statement: ast.stmt) -> None:
        """What a statement that is kept uses, of its own module and of others."""
        package = module.local.package
        self.refer(references([statement], package, module.local_names, self.is_module))
        uses = statement_uses(statement)
        deleted = (
            node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del)
        )
        for name in [*(use.name for use in uses.names), *(name for name, _ in uses.global_statements), *deleted]:
            for number in module.binders.get(name, ()):
                bound = module.body[number]
                if isinstance(bound, ast.Import | ast.ImportFrom):
                    self._keep_aliases(module, number, bound, [one for one in bound.names if _bound(one) == name])
                else:
                    self._keep(module, [number])


def _is_text(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case _:
            return False


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def _binds(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield from map(_bound, statement.names)
    else:
        yield from bound_names([statement]).names


def _targets(statement: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """The modules that an import may run."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    else:
        base = absolute(statement, package)
        yield base
        yield from (f"{base}.{alias.name}" for alias in statement.names)


def _is_of_the_users(statement: ast.stmt, package: str, is_module: IsModule) -> bool:
    """Whether a statement binds names that stand for something in the user's own files."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return any(map(is_module, _targets(statement, package)))
    return True


def _reaches_itself(tree: ast.Module) -> bool:
    hooks = {"__getattr__", "__dir__"}
    return any(isinstance(one, ast.FunctionDef) and one.name in hooks for one in tree.body) or any(
        (isinstance(node, ast.Name) and node.id in _SPOILS_ONE)
        or (isinstance(node, ast.Attribute) and node.attr == "__dict__")
        for node in ast.walk(tree)
    )


def _has_star(body: Iterable[ast.stmt]) -> bool:
    return any(isinstance(one, ast.ImportFrom) and any(alias.name == "*" for alias in one.names) for one in body)

"""Which module-level statements a function needs, transitively, and every reason why one cannot be cut out."""

from __future__ import annotations

import ast
import builtins
import types
from collections import deque
from pathlib import PurePath

from repx.dsl.source.around import names_around, taken, values_around
from repx.dsl.source.bindings import WALRUS, Binding, as_one, bindings_of, is_import_attempt
from repx.dsl.source.frozen import Assignment, FrozenName, Held, ModuleValues, literal_of
from repx.dsl.source.library_settings import LibrarySettings
from repx.dsl.source.module import FunctionSource
from repx.dsl.source.pickled import pickled
from repx.dsl.source.repx_names import RepxNames
from repx.dsl.source.scope import Use, Uses, body_uses, statement_uses
from repx.dsl.source.statement import Key, Problem, Statement
from repx.dsl.source.text import SourceText
from repx.errors import SourceLocation, did_you_mean

_NOT_AT_JOB_TIME = frozenset({"get_ipython", "display", "__IPYTHON__", "exit", "quit"})
_BUILTINS = frozenset(dir(builtins)) - _NOT_AT_JOB_TIME
_MODULE_NAMES = frozenset({"__name__", "__doc__", "__builtins__", "__debug__"})
_IMMUTABLE = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset, range, PurePath)


class NeededStatements:
    """The statements that a function needs, by place; `problems` in the order they were met."""

    def __init__(self, function: types.FunctionType, found: FunctionSource, also: frozenset[str] = frozenset()) -> None:
        self.function = function
        self._also = also
        self.found = found
        self.module = found.module
        self._repx_names = RepxNames(function, found.module)
        self.statements: dict[Key, Statement] = {}
        self.bindings: dict[str, list[Key]] = {}
        self.problems: list[Problem] = []
        self.future_annotations = False
        self.reads_docstring = False
        self._done: set[str] = set()
        self.modules: dict[str, SourceLocation] = {}
        """What the texts of values import, beside what the user's statements do."""
        self._waiting: deque[tuple[Uses, SourceText, ast.stmt]] = deque()
        self._around = names_around(function)
        self.scope = {**function.__globals__, **values_around(function)} if self._around else function.__globals__
        """What the body finds by each name that is not its own."""
        self._values = ModuleValues(self.scope, str(found.module.root.absolute()))
        self._settings = LibrarySettings(found)
        self._held: dict[str, tuple[Key, tuple[str, ...], FrozenName]] = {}
        self._to_watch: list[tuple[str, int, list[Binding]]] = []
        self._to_compare: list[tuple[str, SourceText, Binding, ast.expr]] = []

    def collect(self) -> None:
        """Fill `statements`, `bindings` and `problems`."""
        node, piece = self.found.node, self.found.piece
        self._take(body_uses(node), piece)
        met = pickled(self.function, self.found)
        more = tuple(Use(name, node.lineno, "value", deferred=True) for name in sorted(self._also | met.names))
        self.modules |= dict.fromkeys(met.modules, piece.at(node.lineno))
        self._take(Uses(more, ()), piece)
        while self._waiting or self._add_settings():
            self._take(*self._waiting.popleft())
        self._freeze()
        for name, number, found in self._to_watch:
            self._changes(name, number, found)
        for name, source, binding, literal in self._to_compare:
            self._compare(name, source, binding, literal)

    def _add_settings(self) -> bool:
        """Take in the settings of libraries that are known to be needed now; whether there was one."""
        for key, statement in self._settings.missing(self.statements):
            uses = statement_uses(statement.node)
            statement.uses = uses.names
            self.statements[key] = statement
            self._waiting.append((uses, statement.source, statement.node))
        return bool(self._waiting)

    def _take(self, uses: Uses, source: SourceText, within: ast.stmt | None = None) -> None:
        """Take in what one statement, or the body of the stage, uses."""
        for name, line in uses.global_statements:
            self._done.add(name)
            self._problem(
                source.at(line),
                f"`global {name}` changes the module, and a job has a module of its own",
                f"pass {name} as an argument and return it",
            )
        bindings = bindings_of(source)
        for use in uses.names:
            if use.role != "value" and bindings.future_annotations:
                self.future_annotations = True
                if use.role == "annotation" or not self._resolves(use.name):
                    continue
            _, found = self.module.bindings(use.name)
            if found and all(binding.how == WALRUS and source.tree.body[binding.index] is within for binding in found):
                continue  # bound by := within the statement itself, which travels whole
            self._need(use, source, of_body=within is None)

    def _resolves(self, name: str) -> bool:
        """Whether the type of a field has a binding that can be cut out: dataclasses may look its name up."""
        _, found = self.module.bindings(name)
        return len(found) == 1 and found[0].kind != "unfit" and not self._repx_names.has(name, found)

    def _need(self, use: Use, source: SourceText, *, of_body: bool = False) -> None:
        name = use.name
        if name in self._around and not of_body:
            self._problem(
                source.at(use.line),
                f"{name} is one thing in the module, and another one in the function around the stage",
                "give one of them a name of its own",
            )
            return
        if name in self._done:
            return
        own = self.function.__globals__.get(name) is self.function and name == self.found.node.name
        if own:
            return
        self._done.add(name)
        number, found = self.module.bindings(name)
        if name in self._around:
            self._from_around(use, source)
        elif self._repx_names.has(name, found):
            self._repx(use, source)
        elif (held := self._freezable(name, number, found)) is not None:
            binding = found[0] if found else None
            literal = literal_of(self.module.pieces[number].tree.body[found[0].index]) if len(found) == 1 else None
            self._hold(
                FrozenName(name, literal, self.module.pieces[number]), number, binding, held, source.at(use.line)
            )
        elif not found:
            self._unbound(use, source)
        else:
            self._bound(use, number, found)

    def _freezable(self, name: str, number: int, found: list[Binding]) -> Held | None:
        """The module's value, where it is plain data and stands for `name`, whatever statements have made it."""
        if name not in self.function.__globals__ or name in _MODULE_NAMES or name == "__file__":
            return None
        tree = self.module.pieces[number].tree if found else None
        for binding in found:
            node = tree.body[binding.index] if tree else None
            if isinstance(node, ast.Try) and is_import_attempt(node):
                return None  # whether there is such a module is the software's to say
        imported = bool(found) and all(binding.kind == "import" for binding in found)
        if imported and not all(self._settings.is_from_local(tree, binding) for binding in found):
            return None
        held = self._values.held(name)
        # What can change stays the imported module's own: functions there may change it.
        return None if imported and held is not None and held.can_change else held

    def _from_around(self, use: Use, source: SourceText) -> None:
        """Give the script what the closure of the function holds, after all of the module that is needed."""
        name, number = use.name, self.found.number
        piece, place = self.module.pieces[number], source.at(use.line)
        if name in self.scope and (held := self._values.held(name)) is not None:
            self._hold(FrozenName(name, None, piece), number, None, held, place)
        elif name in self.scope and (found := taken(name, self.scope[name], self.function.__globals__)) is not None:
            key = number, len(piece.tree.body), name
            roots = (Use(found.root, use.line, "value", deferred=False),) if found.root else ()
            self.bindings[name] = [key]
            self.statements[key] = Statement(piece, ast.Pass(), {name}, {}, roots, Assignment(found.text, ()))
            if found.module:
                self.modules.setdefault(found.module, place)
            for root in roots:
                self._need(root, piece)
        else:
            self._problem(
                place,
                f"{name} belongs to the function around, not to the module, and is not plain data",
                f"make {name} a param, or define it at the top level of the file, or in the stage itself",
            )

    def _hold(
        self, frozen: FrozenName, number: int, binding: Binding | None, held: Held, place: SourceLocation
    ) -> None:
        name = frozen.name
        if held.place:
            self._problem(
                place,
                f"{name} names {held.place}, and what the job reads there is not followed",
                'hand the file over as an input: repx.path("data/x.csv")',
            )
            return
        index = len(frozen.source.tree.body) if name in self._around else binding.index if binding else 0
        self._held[name] = (number, index, name), held.roots, frozen
        for module in held.modules:
            self.modules.setdefault(module, place)
        for root in held.roots:
            line = binding.line if binding else place.line
            self._need(Use(root, line, "value", deferred=False), frozen.source, of_body=root in self._around)

    def _freeze(self) -> None:
        """Give each name that holds plain data its value, where it is bound first and after the classes it needs."""
        placed: dict[Key, FrozenName] = {}
        for name, (key, roots, frozen) in self._held.items():
            after = [one for root in roots for one in self.bindings.get(root, ())]
            number, index, _ = max([key, *after])
            placed[number, index, name] = frozen
        order = sorted(placed)
        for key, value in zip(order, self._values.assignments([placed[key] for key in order]), strict=True):
            name = placed[key].name
            uses = tuple(Use(root, 1, "value", deferred=False) for root in (*self._held[name][1], *value.names))
            self.bindings[name] = [key]
            self.statements[key] = Statement(placed[key].source, ast.Pass(), {name}, {}, uses, value)

    def _bound(self, use: Use, number: int, found: list[Binding]) -> None:
        piece, name = self.module.pieces[number], use.name
        unfit = next((binding for binding in found if binding.kind == "unfit"), None)
        alone = as_one(found)
        if len(alone) > 1:
            other = unfit if unfit and unfit is not alone[0] else alone[1]
            self._problem(
                piece.at(other.line),
                f"{name} is bound again by {other.how} (first in line {alone[0].line})",
                f"bind {name} once, or give the second value a name of its own",
            )
        elif unfit:
            self._problem(
                piece.at(unfit.line),
                f"{name} is bound by {unfit.how}, which cannot be cut out",
                f"bind {name} by a plain import, def, class or assignment at the top level, or make it a param",
            )
        else:
            self._to_watch.append((name, number, found))
            for binding in found:
                self._include(name, number, binding)

    def _include(self, name: str, number: int, binding: Binding) -> None:
        key = number, binding.index, ""
        piece = self.module.pieces[number]
        node = piece.tree.body[binding.index]
        if key not in (keys := self.bindings.setdefault(name, [])):
            keys.append(key)
        statement = self.statements.get(key)
        is_new = statement is None
        if statement is None:
            statement = self.statements[key] = Statement(piece, node)
        statement.names.add(name)
        if binding.alias is not None:
            statement.aliases[name] = binding.alias
        if (literal := literal_of(node)) is not None:
            self._to_compare.append((name, piece, binding, literal))
        if is_new:
            uses = statement_uses(node)
            statement.uses = uses.names
            self._waiting.append((uses, piece, node))

    def _unbound(self, use: Use, source: SourceText) -> None:
        name = use.name
        live = name in self.function.__globals__
        if name == "__file__":
            self._problem(
                source.at(use.line),
                "__file__ is another file when the job runs",
                'hand the file over as an input: repx.path("data/x.csv")',
            )
        elif name == "__doc__":
            self.reads_docstring = True
        elif name in _MODULE_NAMES or (name in _BUILTINS and not live):
            return
        elif star := self._star():
            place, module = star
            self._problem(
                place,
                f"{name} may come from `from {module} import *`, which does not say so",
                f"write `from {module} import {name}`",
            )
        elif any(name in bindings.type_checking for _, bindings in self.module.each()):
            self._problem(
                source.at(use.line),
                f"{name} is imported only under `if TYPE_CHECKING`",
                f"import {name} at the top level",
            )
        elif live:
            self._problem(
                source.at(use.line),
                f"{name} is set in the module, but no statement of its source binds it",
                f"bind {name} by a plain assignment or import, or make it a param",
            )
        else:
            names = {name for _, bindings in self.module.each() for name in bindings.by_name}
            hint = did_you_mean(name, names | _BUILTINS) or f"bind {name} at the top level, or make it a param"
            if name == "index":
                hint = "the number of a realization is a param of the stage: *, index: int = 0"
            self._problem(source.at(use.line), f"{name} is not bound anywhere", hint)

    def _star(self) -> tuple[SourceLocation, str] | None:
        """The last star import of the module: an unbound name may come from it."""
        for piece, bindings in reversed(self.module.each()):
            for module, line in bindings.stars:
                return piece.at(line), module
        return None

    def _repx(self, use: Use, source: SourceText) -> None:
        message, hint = self._repx_names.refusal(use)
        self._problem(source.at(use.line), message, hint)

    def _changes(self, name: str, number: int, found: list[Binding]) -> None:
        """Complain when a top-level statement changes the object that `name` stands for."""
        value = self.function.__globals__.get(name)
        imported = all(binding.kind == "import" for binding in found)
        defined = all(binding.kind == "definition" for binding in found)
        for place, (piece, bindings) in enumerate(self.module.each()):
            for change in bindings.changes if place >= number else ():
                if (place, change.index, "") in self.statements:
                    continue  # it travels
                if change.name != name or (not change.certain and isinstance(value, _IMMUTABLE)):
                    continue
                if (change.argument and (imported or defined)) or (imported and change.text.startswith("@")):
                    continue
                if imported and self._settings.stands_alone(piece, change.line):
                    continue  # it travels as a setting, or changes nothing that a job has
                self._problem(
                    piece.at(change.line),
                    f"{name} is changed by `{change.text}`, which is not part of the stage",
                    f"put this into the stage's body, or into the statement that makes {name}",
                )
                return

    def _compare(self, name: str, source: SourceText, binding: Binding, literal: ast.expr) -> None:
        """Complain about a constant whose value differs from what its statement says: other code has changed it."""
        if name not in self.function.__globals__ or any(problem.message.startswith(name) for problem in self.problems):
            return
        now, then = self.function.__globals__[name], ast.literal_eval(literal)
        try:
            same = bool(now == then) or repr(now) == repr(then)
        except Exception:  # the user's own __eq__ or __repr__ may do anything
            return
        if not same:
            self._problem(
                source.at(binding.line),
                f"{name} is no longer what this line makes of it",
                f"find what changes {name} after this line, and make its whole value here",
            )

    def _problem(self, location: SourceLocation, message: str, hint: str) -> None:
        problem = Problem(location, message, hint)
        if problem not in self.problems:
            self.problems.append(problem)

"""What the top level of a piece of Python binds, changes and star-imports; does not know which of it anyone needs."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from repx.dsl.source.scope import bound_names
from repx.dsl.source.text import SourceText

Kind = Literal["import", "definition", "assignment", "unfit"]
WALRUS = "a := expression"


@dataclass(frozen=True, slots=True)
class Binding:
    """One place where the top level binds `name`.

    `how` says it in the user's words (`a for statement`). `index` is the place of the whole top-level statement, which
    is cut out when the kind is not "unfit". `alias` is set for an import that stands at the very top level.
    """

    name: str
    kind: Kind
    how: str
    line: int
    index: int
    alias: ast.alias | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A top-level statement that changes, or may change, the object that `name` stands for.

    `certain` is false for a mere method call or an argument, which an immutable object survives. `index` is the place
    of the whole top-level statement.
    """

    name: str
    line: int
    text: str
    certain: bool
    index: int
    argument: bool = False


@dataclass(frozen=True, slots=True)
class Bindings:
    """The top level of one source; `type_checking` holds what is bound only under `if TYPE_CHECKING:`."""

    by_name: dict[str, list[Binding]]
    changes: tuple[Change, ...]
    stars: tuple[tuple[str, int], ...]
    type_checking: frozenset[str]
    future_annotations: bool


@functools.lru_cache(maxsize=512)
def bindings_of(source: SourceText) -> Bindings:
    """Found once per parsed source."""
    reader = _Reader(source)
    for index, statement in enumerate(source.tree.body):
        reader.index = index
        reader.read(statement, "")
    by_name: dict[str, list[Binding]] = {}
    for binding in reader.bindings:
        by_name.setdefault(binding.name, []).append(binding)
    return Bindings(
        by_name, tuple(reader.changes), tuple(reader.stars), frozenset(reader.type_checking), reader.future_annotations
    )


def is_type_checking(test: ast.expr) -> bool:
    """Whether `if test:` is the guard of imports that exist for type checkers only."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(value=ast.Name(), attr="TYPE_CHECKING"):
            return True
        case _:
            return False


def is_about_platform(test: ast.expr) -> bool:
    """Whether a condition asks for the version of Python, or for the system it runs on."""
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr)
        in {("sys", "version_info"), ("sys", "platform"), ("sys", "implementation"), ("os", "name")}
        for node in ast.walk(test)
    ) or any(isinstance(node, ast.Name) and node.id in {"version_info", "platform"} for node in ast.walk(test))


def is_main_guard(test: ast.expr) -> bool:
    """Whether `if test:` is the guard of what runs only when the file is the program."""
    match test:
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]):
            return True
        case _:
            return False


def catches_import_error(handler: ast.ExceptHandler) -> bool:
    """Whether a missing module ends in `handler`."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in names) for kind in caught)


def is_import_attempt(node: ast.Try) -> bool:
    """Whether `node` is `try: import … except ImportError: …`."""
    imports = any(isinstance(statement, ast.Import | ast.ImportFrom) for statement in node.body)
    return imports and bool(node.handlers) and all(map(catches_import_error, node.handlers)) and not node.finalbody


def root_name(node: ast.expr) -> str | None:
    """`a` in `a.b[c].d(e).f`."""
    while True:
        match node:
            case ast.Name(id=name):
                return name
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Call(func=inner):
                node = inner
            case ast.Starred(value=inner):
                node = inner
            case _:
                return None


_COMPOUND: tuple[tuple[type[ast.stmt], str], ...] = (
    (ast.If, "an if statement"),
    (ast.For, "a for statement"),
    (ast.AsyncFor, "a for statement"),
    (ast.While, "a while statement"),
    (ast.With, "a with statement"),
    (ast.AsyncWith, "a with statement"),
    (ast.Try, "a try statement that is not about an import"),
    (ast.TryStar, "a try statement that is not about an import"),
    (ast.Match, "a match statement"),
)

_HARMLESS = frozenset({"print", "pprint", "display", "len", "help", "isinstance"})
"""Functions that are called for their effect on the screen; what they are given they leave as it is."""


class _Reader:
    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.index = 0
        self.bindings: list[Binding] = []
        self.changes: list[Change] = []
        self.stars: list[tuple[str, int]] = []
        self.type_checking: set[str] = set()
        self.future_annotations = False

    def read(self, statement: ast.stmt, within: str) -> None:
        """`within` is the compound statement that makes what it binds unfit for cutting out, or empty."""
        match statement:
            case ast.Import(names=aliases):
                self._imports(statement, aliases, within)
            case ast.ImportFrom(module="__future__", names=aliases):
                self.future_annotations |= any(alias.name == "annotations" for alias in aliases)
            case ast.ImportFrom(names=[ast.alias(name="*")], module=module, level=level):
                self.stars.append(("." * level + (module or ""), statement.lineno))
            case ast.ImportFrom(names=aliases):
                self._imports(statement, aliases, within)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._add(statement.name, "definition", "a definition", statement.lineno, within)
                for decorator in statement.decorator_list:
                    if isinstance(target := _called(decorator), ast.Attribute):
                        text = f"@{ast_text(self.source, decorator)}"
                        self._change(target.value, decorator.lineno, text, certain=False)
            case ast.If(test=test, body=body, orelse=orelse) if is_type_checking(test):
                self.type_checking |= bound_names(body).names
                self._block(orelse, within)
            case ast.Try(body=body, handlers=handlers, orelse=orelse) if is_import_attempt(statement):
                blocks = [*body, *(inner for handler in handlers for inner in handler.body), *orelse]
                self._block(blocks, within)
            case ast.If() | ast.Try() | ast.With() if not (
                isinstance(statement, ast.If) and is_main_guard(statement.test)
            ):
                self._carried(statement, within)
            case ast.Assign(targets=targets):
                for target in targets:
                    self._target(target, statement, within)
            case ast.AnnAssign(target=target, value=ast.expr()):
                self._target(target, statement, within)
            case ast.AugAssign(target=ast.Name(id=name)):
                self._add(name, "unfit", "an augmented assignment", statement.lineno, within)
            case ast.AugAssign(target=target):
                self._change(target, statement.lineno, self._text(statement), certain=True)
            case ast.Delete(targets=targets):
                for target in targets:
                    self._deletion(target, statement)
            case ast.Expr(value=ast.Call() | ast.Await() as value):
                self._call(value, statement)
            case _ if type(statement).__name__ == "TypeAlias":  # Python 3.12
                for name in bound_names([statement]).names:
                    self._add(name, "assignment", "an assignment", statement.lineno, within)
            case _:
                self._compound(statement)
        self._walruses(statement, within)
        self._global_statements(statement)

    def _imports(self, statement: ast.stmt, aliases: list[ast.alias], within: str) -> None:
        whole = statement is self.source.tree.body[self.index]
        for alias in aliases:
            name = alias.asname or alias.name.split(".")[0]
            self._add(name, "import", "an import", alias.lineno, within, alias if whole else None)

    def _block(self, statements: list[ast.stmt], within: str) -> None:
        for statement in statements:
            self.read(statement, within)

    def _carried(self, statement: ast.If | ast.Try | ast.With, within: str) -> None:
        """What a statement binds that is cut out whole: its parts are as its own conditions have it."""
        for child in _blocks(statement):
            if isinstance(child, ast.stmt):
                self.read(child, within)
            else:
                for name in sorted(bound_names([child]).names):
                    self._add(name, "assignment", _how(statement), statement.lineno, within)

    def _compound(self, statement: ast.stmt) -> None:
        how = _how(statement)
        for child in _blocks(statement) if how else ():
            if isinstance(child, ast.stmt):
                self.read(child, how)
            elif not isinstance(child, ast.ExceptHandler):
                for name in sorted(bound_names([child]).names):
                    self._add(name, "unfit", how, statement.lineno, how)

    def _target(self, target: ast.expr, statement: ast.stmt, within: str) -> None:
        match target:
            case ast.Name(id=name):
                self._add(name, "assignment", "an assignment", target.lineno, within)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for element in elements:
                    self._target(element, statement, within)
            case ast.Starred(value=value):
                self._target(value, statement, within)
            case _:
                self._change(target, statement.lineno, self._text(statement), certain=True)

    def _deletion(self, target: ast.expr, statement: ast.stmt) -> None:
        if isinstance(target, ast.Name):
            self._add(target.id, "unfit", "a del statement", statement.lineno, "")
        else:
            self._change(target, statement.lineno, self._text(statement), certain=True)

    def _call(self, value: ast.expr, statement: ast.stmt) -> None:
        call = value.value if isinstance(value, ast.Await) else value
        if not isinstance(call, ast.Call):
            return
        if not isinstance(call.func, ast.Name):
            self._change(call.func, statement.lineno, self._text(statement), certain=False)
        function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if function in _HARMLESS:
            return
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
            if isinstance(argument, ast.Name | ast.Starred):
                self._change(argument, statement.lineno, self._text(statement), certain=False, argument=True)

    def _walruses(self, statement: ast.stmt, within: str) -> None:
        if isinstance(statement, tuple(kind for kind, _ in _COMPOUND)):
            return  # its blocks were read one by one, and its own parts in _compound
        for node in _own_scope(statement):
            if isinstance(node, ast.NamedExpr):
                self._add(node.target.id, "unfit", WALRUS, node.lineno, within)

    def _global_statements(self, statement: ast.stmt) -> None:
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return
        for node in ast.walk(statement):
            if isinstance(node, ast.Global):
                for name in node.names:
                    self._add(name, "unfit", f"a global statement in {statement.name}()", node.lineno, "")

    def _add(self, name: str, kind: Kind, how: str, line: int, within: str, alias: ast.alias | None = None) -> None:
        self.bindings.append(Binding(name, "unfit" if within else kind, within or how, line, self.index, alias))

    def _change(self, target: ast.expr, line: int, text: str, *, certain: bool, argument: bool = False) -> None:
        if name := root_name(target):
            self.changes.append(Change(name, line, text, certain, self.index, argument))

    def _text(self, node: ast.stmt) -> str:
        return ast_text(self.source, node)


def ast_text(source: SourceText, node: ast.stmt | ast.expr) -> str:
    """The first line of a node, for a message."""
    first, *rest = source.of(node).split("\n")
    return first + (" …" if rest else "")


def _how(statement: ast.stmt) -> str:
    return next((text for kind, text in _COMPOUND if isinstance(statement, kind)), "")


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _blocks(statement: ast.stmt) -> Iterator[ast.AST]:
    """The statements inside a compound statement, and its other parts (targets, patterns, conditions)."""
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.ExceptHandler):
            yield from child.body  # the name of an error is gone behind it
        elif isinstance(child, ast.match_case):
            yield from [child.pattern, *([child.guard] if child.guard else []), *child.body]
        else:
            yield child


def _own_scope(statement: ast.stmt) -> Iterator[ast.AST]:
    """What of a simple statement may bind in the module's scope; := reaches out of comprehensions."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def as_one(found: list[Binding]) -> list[Binding]:
    """`found` without repetitions: parts of one try statement, `import a` beside `import a.b`."""
    kept: list[Binding] = []
    for binding in found:
        again = any(_says_again(binding, earlier) for earlier in kept)
        if not again:
            kept.append(binding)
    return kept


def _says_again(binding: Binding, earlier: Binding) -> bool:
    if binding.index == earlier.index and binding.alias is None:
        return True
    if binding.alias is None or earlier.alias is None:
        return False
    # `import a.b` and `import a.c` both bind a, to the same module; `from` never has a dot here.
    plain = binding.alias.asname is None and earlier.alias.asname is None
    return plain and "." in binding.alias.name + earlier.alias.name

"""Which module-level names a statement or a function uses, by Python's scopes; does not know what binds them."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_ASKED = re.compile(r"(?<!\w)@([^\W\d]\w*)")
Role = Literal["value", "annotation", "field"]


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a name that no enclosing function, class or comprehension binds.

    `role` tells annotations apart, and those of class bodies ("field") from the others: they are not evaluated under
    `from __future__ import annotations`, but dataclasses look the names of fields up. `deferred` is true in the body of
    a function: evaluated when it is called, not when the module is.
    """

    name: str
    line: int
    role: Role
    deferred: bool


@dataclass(frozen=True, slots=True)
class Uses:
    """All uses of a piece of code in the order of evaluation, and its `global` statements as (name, line)."""

    names: tuple[Use, ...]
    global_statements: tuple[tuple[str, int], ...]


@functools.lru_cache(maxsize=4096)
def statement_uses(statement: ast.stmt) -> Uses:
    """What a module-level statement uses, decorators, defaults and annotations included."""
    walk = _Walk()
    walk.visit(statement)
    return Uses(tuple(walk.uses), tuple(walk.global_statements))


def body_uses(function: Function) -> Uses:
    """What the body of `function` uses: not its decorators, defaults and annotations."""
    walk = _Walk()
    walk.function_body(function.args, function.body)
    return Uses(tuple(walk.uses), tuple(walk.global_statements))


def bound_names(nodes: Iterable[ast.AST]) -> Bound:
    """The names that `nodes` bind in their own scope, not in the scopes inside."""
    bound = Bound()
    waiting: list[tuple[ast.AST, bool]] = [(node, False) for node in nodes]
    while waiting:
        node, comprehended = waiting.pop()
        if name := _bound_here(node, comprehended):
            bound.names.add(name)
        match node:
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                bound.names.update(alias.asname or alias.name.split(".")[0] for alias in aliases)
            case ast.Global(names=names):
                bound.globals.update(names)
            case ast.Nonlocal(names=names):
                bound.nonlocals.update(names)
        inside = comprehended or isinstance(node, Comprehension)
        waiting.extend((child, inside) for child in _same_scope_children(node))
    bound.names -= bound.globals | bound.nonlocals
    return bound


@dataclass(slots=True)
class Bound:
    """Names bound in one scope, and names it declares to belong to another one."""

    names: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Scope:
    kind: Literal["function", "class"]
    names: set[str]
    globals: set[str]
    private_prefix: str = ""
    """`_C` in the body of class C, where `__x` means `_C__x`."""


def _bound_here(node: ast.AST, comprehended: bool) -> str | None:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if not comprehended:
            return name
        case ast.NamedExpr(target=ast.Name(id=name)):
            return name  # in a comprehension too: it binds in the scope around
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
            return name
        case ast.MatchMapping(rest=name):
            return name
        case _:
            return None


def _same_scope_children(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from node.decorator_list
            yield from _defaults(node.args)
            yield from _annotations(node)
        case ast.Lambda():
            yield from _defaults(node.args)
        case ast.ClassDef():
            yield from [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
        case _ if type(node).__name__ == "TypeAlias":  # Python 3.12; its value is a scope of its own
            yield from [getattr(node, "name")]  # noqa: B009 - the class does not exist for a checker on 3.11
        case _:
            yield from ast.iter_child_nodes(node)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [*arguments.defaults, *(default for default in arguments.kw_defaults if default is not None)]


def _parameters(arguments: ast.arguments) -> list[ast.arg]:
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]


def _annotations(function: Function) -> list[ast.expr]:
    annotations = [parameter.annotation for parameter in _parameters(function.args)]
    return [annotation for annotation in [*annotations, function.returns] if annotation is not None]


class _Walk(ast.NodeVisitor):
    """Visits in the order of evaluation, which matters in class bodies: there a name is global until it is bound."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self.global_statements: list[tuple[str, int]] = []
        self.scopes: list[_Scope] = []
        self.role: Role = "value"
        self.deferred = False

    def function_body(self, arguments: ast.arguments, body: Sequence[ast.AST]) -> None:
        bound = bound_names(body)
        names = bound.names | {parameter.arg for parameter in _parameters(arguments)}
        was_deferred, self.deferred = self.deferred, True
        self._inside(_Scope("function", names, bound.globals), body)
        self.deferred = was_deferred

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._use(node.id, node.lineno)
        else:
            self._bind(node.id)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("query", "eval") and node.args:
            # pandas looks `@name` up where it is called.
            texts = (one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant))
            for text in texts:
                for name in _ASKED.findall(text) if isinstance(text, str) else ():
                    self._use(name, node.lineno)

    def visit_Global(self, node: ast.Global) -> None:
        self.global_statements.extend((name, node.lineno) for name in node.names)
        if self.scopes:
            self.scopes[-1].globals.update(node.names)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._all(_defaults(node.args))
        self.function_body(node.args, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._all(node.decorator_list)
        with_type_params = self._type_params(node)
        self._all([*node.bases, *(keyword.value for keyword in node.keywords)])
        prefix = f"_{node.name.lstrip('_')}" if node.name.strip("_") else ""
        self._inside(_Scope("class", {"__module__", "__qualname__"}, set(), prefix), node.body)
        if with_type_params:
            self.scopes.pop()
        self._bind(node.name)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node, [node.elt])

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node, [node.elt])

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node, [node.elt])

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node, [node.key, node.value])

    def visit_Assign(self, node: ast.Assign) -> None:
        self._all([node.value, *node.targets])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._use(node.target.id, node.lineno)
        self._all([node.value, node.target])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._all([node.value] if node.value else [])
        # Inside a function an annotation is never evaluated (Language Reference 7.2.2).
        if not self.scopes or self.scopes[-1].kind == "class":
            self._annotation(node.annotation, "field" if self.scopes else "annotation")
        if node.value or not isinstance(node.target, ast.Name):
            self.visit(node.target)

    def visit_For(self, node: ast.For) -> None:
        self._all([node.iter, node.target, *node.body, *node.orelse])

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self._all([node.iter, node.target, *node.body, *node.orelse])

    def visit_BinOp(self, node: ast.BinOp) -> None:
        # A long sum leans to the left; walking down that side in a loop spares the stack.
        right: list[ast.expr] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            right.append(left.right)
            left = left.left
        self._all([left, *reversed(right)])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._all([node.value, node.target])

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._bind(alias.asname or alias.name.split(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._bind(alias.asname or alias.name)

    def visit_TypeAlias(self, node: ast.AST) -> None:
        with_type_params = self._type_params(node)
        was_deferred, self.deferred = self.deferred, True
        self.visit(getattr(node, "value"))  # noqa: B009 - the class does not exist for a checker on 3.11
        self.deferred = was_deferred
        if with_type_params:
            self.scopes.pop()
        self.visit(getattr(node, "name"))  # noqa: B009 - as above

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar | ast.MatchMapping):
            if name := _bound_here(node, False):
                self._bind(name)
        super().generic_visit(node)

    def _function(self, node: Function) -> None:
        self._all([*node.decorator_list, *_defaults(node.args)])
        with_type_params = self._type_params(node)
        for annotation in _annotations(node):
            self._annotation(annotation, "annotation")
        self.function_body(node.args, node.body)
        if with_type_params:
            self.scopes.pop()
        self._bind(node.name)

    def _type_params(self, node: ast.AST) -> bool:
        """Opens the scope of `def f[T]` (Python 3.12) when there is one."""
        params: list[ast.AST] = getattr(node, "type_params", [])
        if not params:
            return False
        self.scopes.append(_Scope("function", {getattr(param, "name") for param in params}, set()))  # noqa: B009
        self._all(params)
        return True

    def _comprehension(self, node: Comprehension, results: list[ast.expr]) -> None:
        first, *others = node.generators
        self.visit(first.iter)  # evaluated in the scope around, which matters in a class body
        targets = bound_names(loop.target for loop in node.generators).names
        inside: list[ast.AST] = [first.target, *first.ifs]
        for loop in others:
            inside += [loop.iter, loop.target, *loop.ifs]
        self._inside(_Scope("function", targets, set()), [*inside, *results])

    def _annotation(self, annotation: ast.expr, role: Role) -> None:
        was_role, self.role = self.role, role
        self.visit(annotation)
        self.role = was_role

    def _inside(self, scope: _Scope, nodes: Sequence[ast.AST]) -> None:
        self.scopes.append(scope)
        self._all(nodes)
        self.scopes.pop()

    def _all(self, nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _bind(self, name: str) -> None:
        # Functions know their names beforehand; a class body binds as it goes.
        if self.scopes and self.scopes[-1].kind == "class" and name not in self.scopes[-1].globals:
            self.scopes[-1].names.add(name)

    def _use(self, name: str, line: int) -> None:
        for depth, scope in enumerate(reversed(self.scopes)):
            if name in scope.globals:
                break
            if scope.kind == "class" and depth > 0:
                if name == "__class__":
                    return  # the cell that Python gives to methods
                continue
            if name in scope.names:
                return
        self.uses.append(Use(self._unmangled(name), line, self.role, self.deferred))

    def _unmangled(self, name: str) -> str:
        if name.startswith("__") and not name.endswith("__"):
            for scope in reversed(self.scopes):
                if scope.kind == "class":
                    return scope.private_prefix + name
        return name

"""Which top-level statements only bind names, so that leaving them out is noticed by nobody who uses none of these."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import NamedTuple

from repx.dsl.source.bindings import is_main_guard, is_type_checking, root_name
from repx.dsl.source.normal_form import QUIET_DECORATORS, last_name

_QUIET_CALLS = frozenset(
    "frozenset set dict list tuple range int float complex str bytes bool len sorted min max sum abs round zip "
    "enumerate TypeVar ParamSpec NewType namedtuple Path PurePath Decimal Fraction timedelta getLogger".split()
)
"""Calls that make a value and do nothing else."""

_QUIET_MODULES = frozenset("re os math typing collections logging pathlib datetime decimal fractions".split())
"""Modules of which this holds for whatever is called to make a value at the top level."""

_QUIET_BASES = frozenset(
    "object ABC Enum IntEnum StrEnum Flag NamedTuple TypedDict Protocol Generic Exception ValueError TypeError "
    "KeyError RuntimeError LookupError ArithmeticError OSError dict list str int float tuple Thread Module Dataset "
    "BaseEstimator TransformerMixin ClassifierMixin RegressorMixin".split()
)
"""Bases that keep no list of the classes that are made of them."""


class Own(NamedTuple):
    """What a module has itself: its classes by name, and all names that stand for something of the user's."""

    classes: Mapping[str, ast.ClassDef]
    names: frozenset[str]


def is_quiet(statement: ast.stmt, own: Own) -> bool:
    """Whether a statement does nothing but bind names; `own` is what its module has."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            defaults = [*statement.args.defaults, *(one for one in statement.args.kw_defaults if one is not None)]
            return _is_plainly_decorated(statement, own) and all(_is_plain(one, own) for one in defaults)
        case ast.ClassDef():
            return _is_quiet_class(statement, own)
        case ast.Assign(targets=targets, value=value):
            return all(map(_is_name, targets)) and _is_plain(value, own)
        case ast.AnnAssign(target=ast.Name(), value=value):
            return value is None or _is_plain(value, own)
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return True
        case ast.If(test=test, orelse=[]):
            return is_main_guard(test) or is_type_checking(test)
        case _:
            return type(statement).__name__ == "TypeAlias"  # Python 3.12


def _is_quiet_class(made: ast.ClassDef, own: Own, depth: int = 0) -> bool:
    if made.keywords or not _is_plainly_decorated(made, own) or not all(is_quiet(one, own) for one in made.body):
        return False
    for base in made.bases:
        name = last_name(base.value if isinstance(base, ast.Subscript) else base)
        above = own.classes.get(name)
        if above is None or above is made:
            if name not in _QUIET_BASES or name in own.names:
                return False
        elif depth > len(own.classes) or _has_hook(above) or not _is_quiet_class(above, own, depth + 1):
            return False
    return True


def _has_hook(made: ast.ClassDef) -> bool:
    return any(isinstance(one, ast.FunctionDef) and one.name == "__init_subclass__" for one in made.body)


def _is_plainly_decorated(made: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, own: Own) -> bool:
    quiet = QUIET_DECORATORS - {"register"} - own.names
    return all(last_name(one) in quiet for one in made.decorator_list)


def _is_name(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(map(_is_name, target.elts))
    return isinstance(target, ast.Name)


def _is_plain(value: ast.expr, own: Own) -> bool:
    """Whether an expression has no effect, as far as its text says; the body of a lambda is not evaluated."""
    waiting: list[ast.AST] = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
            return False
        if isinstance(node, ast.Call) and not _is_quiet_call(node.func, own):
            return False
        if isinstance(node, ast.Lambda):
            waiting.extend([*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)])
        else:
            waiting.extend(ast.iter_child_nodes(node))
    return True


def _is_quiet_call(function: ast.expr, own: Own) -> bool:
    if isinstance(function, ast.Name):
        return function.id in _QUIET_CALLS - own.names
    return isinstance(function, ast.Attribute) and root_name(function) in _QUIET_MODULES - own.names

"""Which names of a user's module stand for repx itself, and why a job cannot use them; cuts nothing out."""

from __future__ import annotations

import ast
import builtins
import types

from repx.dsl.source.bindings import Binding, root_name
from repx.dsl.source.module import ModuleSource
from repx.dsl.source.scope import Use


class RepxNames:
    """The names of repx in the module of one function."""

    def __init__(self, function: types.FunctionType, module: ModuleSource) -> None:
        self._function = function
        self._module = module

    def has(self, name: str, found: list[Binding]) -> bool:
        """Whether a name, bound at these places, stands for something of repx."""
        number, _ = self._module.bindings(name)
        live = self._function.__globals__.get(name)
        return _is_repx_object(live) or any(self._comes_from_repx(binding, number) for binding in found)

    def _comes_from_repx(self, binding: Binding, number: int) -> bool:
        """Whether a binding imports from repx, or is decorated or made by it."""
        node = self._module.pieces[number].tree.body[binding.index]
        match node:
            case ast.Import() if binding.alias:
                return binding.alias.name.split(".")[0] == "repx"
            case ast.ImportFrom(module=str(module), level=0):
                return module.split(".")[0] == "repx"
            case ast.FunctionDef(decorator_list=decorators) | ast.ClassDef(decorator_list=decorators):
                return any(self._is_repx_name(decorator) for decorator in decorators)
            case ast.Assign(value=ast.Call(func=function)):
                return self._is_repx_name(function)
            case _:
                return False

    def _is_repx_name(self, node: ast.expr) -> bool:
        name = root_name(node)
        number, found = self._module.bindings(name) if name else (-1, [])
        return any(
            isinstance(self._module.pieces[number].tree.body[binding.index], ast.Import | ast.ImportFrom)
            and self._comes_from_repx(binding, number)
            for binding in found
        )

    def refusal(self, use: Use) -> tuple[str, str]:
        """Why the body of a stage cannot use such a name, and what to do instead."""
        number, found = self._module.bindings(use.name)
        node = self._module.pieces[number].tree.body[found[0].index]
        if isinstance(node, ast.FunctionDef):
            message, hint = f"{use.name} is a stage", "a stage cannot call another stage; wire it in a pipeline"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            message = f"{use.name} comes from repx, which is not there when the job runs"
            hint = "use it in decorators, in the stage's own signature and in pipelines only"
            if hasattr(builtins, use.name):
                hint = f"for Python's own {use.name}, write `import repx`, and repx.{use.name} for a sweep"
            if use.role != "value":
                hint = "leave it out of the annotations of helpers, or write `from __future__ import annotations`"
        else:
            message = f"{use.name} is an object of repx, which is not there when the job runs"
            hint = "a stage cannot use a Run, a Lab or a node; hand its results over as an input"
        return message, hint


def _is_repx_object(value: object) -> bool:
    kind = value if isinstance(value, type | types.ModuleType | types.FunctionType) else type(value)
    home = kind.__name__ if isinstance(kind, types.ModuleType) else getattr(kind, "__module__", None)
    return isinstance(home, str) and home.split(".")[0] == "repx"

"""Finds the source of a function's module, a file or the cells of a notebook; does not judge what it finds."""

from __future__ import annotations

import ast
import linecache
import re
import types
from dataclasses import dataclass
from pathlib import Path, PurePath

from repx.dsl.source.bindings import Binding, Bindings, bindings_of
from repx.dsl.source.scope import Function
from repx.dsl.source.text import SourceText, parsed, read, start_of
from repx.errors import DefinitionError, SourceLocation


@dataclass(frozen=True, slots=True, eq=False)
class ModuleSource:
    """A module as the pieces that made it, in the order they ran: one file, or the cells of a notebook.

    `package` is the dotted package of the module, for its relative imports; `root` is the directory that local modules
    are found in, which is where the experiment's file stands.
    """

    pieces: tuple[SourceText, ...]
    package: str
    root: Path
    is_notebook: bool

    def bindings(self, name: str) -> tuple[int, list[Binding]]:
        """The piece that last bound `name`, and all its bindings there; (-1, []) when none does."""
        for number in range(len(self.pieces) - 1, -1, -1):
            if found := bindings_of(self.pieces[number]).by_name.get(name):
                return number, found
        return -1, []

    def each(self) -> list[tuple[SourceText, Bindings]]:
        """All pieces with their bindings."""
        return [(piece, bindings_of(piece)) for piece in self.pieces]


@dataclass(frozen=True, slots=True, eq=False)
class FunctionSource:
    """A function found in its module."""

    module: ModuleSource
    piece: SourceText
    number: int
    node: Function


def function_source(function: types.FunctionType) -> FunctionSource:
    """The definition of `function` in its source. Raises DefinitionError when there is none."""
    code = function.__code__
    if "__marimo__cell_" in code.co_filename:
        raise _in_marimo(function)
    module, number = _module_source(function)
    piece = module.pieces[number]
    if "<locals>" not in function.__qualname__ and _is_marimo(piece) and not _at_the_top(piece, code.co_firstlineno):
        raise _in_marimo(function)
    for node in ast.walk(piece.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            if start_of(piece, node)[0] == code.co_firstlineno:
                return FunctionSource(module, piece, number, node)
    raise DefinitionError(
        f"the definition of {function.__name__} is not where Python says it is",
        hint="the file has changed since it was loaded; load it again",
        location=piece.at(code.co_firstlineno),
    )


def cell_files(function: types.FunctionType) -> list[tuple[str, str]]:
    """The cells that ran before now in the notebook of `function`, as (name to show, text) in the order they ran."""
    history = function.__globals__.get("In")
    texts = [text for text in history if isinstance(text, str)] if isinstance(history, list) else []
    return [(f"In[{number}]", text) for number, text in enumerate(texts) if text.strip()]


def _module_source(function: types.FunctionType) -> tuple[ModuleSource, int]:
    """The module of `function`, and the number of the piece that the function stands in."""
    name = function.__code__.co_filename
    if is_cell(function):
        return _notebook(function)
    path = Path(name)
    try:
        text = read(path) if path.is_file() else "".join(linecache.getlines(name, function.__globals__))
        if not text:
            raise _sourceless(function)
        piece = parsed(name, text)
    except (OSError, SyntaxError, UnicodeDecodeError) as problem:
        raise DefinitionError(
            f"the source of {function.__name__} cannot be read: {problem}",
            hint="the file has changed since it was loaded; correct it and load it again",
            location=SourceLocation(name, function.__code__.co_firstlineno),
        ) from problem
    package = _package(function)
    root = path.absolute().parent
    for _ in package.split(".") if package else []:
        root = root.parent
    return ModuleSource((piece,), package, root, is_notebook=False), 0


def _notebook(function: types.FunctionType) -> tuple[ModuleSource, int]:
    cells = []
    for name, text in cell_files(function):
        try:
            cells.append(parsed(name, text))
        except SyntaxError:
            continue  # such a cell never ran
    own = "".join(linecache.getlines(function.__code__.co_filename))
    if not own:
        raise _sourceless(function)
    # The last run of a cell with this text; a cell that ran without history (%%capture, silent) is not in there.
    same = [number for number, cell in enumerate(cells) if cell.text.rstrip("\n") == own.rstrip("\n")]
    if not same:
        cells.append(parsed(function.__code__.co_filename, own))
    number = same[-1] if same else len(cells) - 1
    return ModuleSource(tuple(cells), "", Path.cwd(), is_notebook=True), number


def is_cell(function: types.FunctionType) -> bool:
    """Whether IPython compiled `function`: it names cells `<ipython-input-…>`, or by files that do not exist."""
    path = PurePath(function.__code__.co_filename)
    named = re.match(r"<ipython-input-|ipykernel_\d+$", path.name) or re.match(r"ipykernel_\d+$", path.parent.name)
    return named is not None and function.__globals__.get("__name__") == "__main__"


def _package(function: types.FunctionType) -> str:
    package = function.__globals__.get("__package__")
    return package if isinstance(package, str) else ""


def _is_marimo(piece: SourceText) -> bool:
    """Whether a file is a notebook of marimo, whose cells are functions of an app."""
    assigned = (node.value for node in piece.tree.body if isinstance(node, ast.Assign))
    called = (value.func for value in assigned if isinstance(value, ast.Call))
    return any(
        isinstance(one, ast.Attribute)
        and one.attr == "App"
        and isinstance(one.value, ast.Name)
        and one.value.id in ("marimo", "mo")
        for one in called
    )


def _at_the_top(piece: SourceText, line: int) -> bool:
    tops = (node for node in piece.tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return any(start_of(piece, node)[0] == line for node in tops)


def _in_marimo(function: types.FunctionType) -> DefinitionError:
    return DefinitionError(
        f"{function.__name__} stands in a cell of a marimo notebook, whose other cells repx cannot read",
        hint="write Python stages in a module beside the notebook, and import them",
    )


def _sourceless(function: types.FunctionType) -> DefinitionError:
    code = function.__code__
    return DefinitionError(
        f"{function.__name__} has no source",
        hint="write the stage in a file or a notebook cell, not at the prompt or in exec()",
        location=SourceLocation(code.co_filename, code.co_firstlineno),
    )

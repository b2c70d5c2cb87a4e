"""Writes the script of a stage from slices of the user's text; does not know what it means."""

from __future__ import annotations

import ast

from repx.dsl.source.frozen import maker_if_used
from repx.dsl.source.imports import absolute
from repx.dsl.source.module import FunctionSource
from repx.dsl.source.needed import NeededStatements
from repx.dsl.source.normal_form import normal_form
from repx.dsl.source.scope import Function
from repx.dsl.source.statement import Key, Statement
from repx.dsl.source.text import SourceText, end_of, start_of, tree_of
from repx.errors import DefinitionError, SourceLocation

Lines = tuple[tuple[int, SourceLocation], ...]
"""Lines of a script at which something begins, and where that stands in the user's text."""


def emitted(found: FunctionSource, needs: NeededStatements) -> tuple[str, Lines]:
    """The needed statements, then the function. Raises DefinitionError when it does not read back as what was cut."""
    blocks = ["from __future__ import annotations"] if _has_future_annotations(found, needs) else []
    blocks += maker_if_used([one.value.text for one in needs.statements.values() if one.value is not None])
    if needs.reads_docstring:
        blocks.append(f"__doc__ = {needs.function.__globals__.get('__doc__')!a}")
    separate = ""
    lines: list[tuple[int, SourceLocation]] = []
    count = sum(block.count("\n") + 1 for block in blocks)
    for key in _order(needs):
        statement = needs.statements[key]
        large = isinstance(statement.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        blocks.append((separate if not large else "\n\n") + statement_text(statement, found.module.package))
        separate = "\n\n" if large else ""
        if statement.value is None:
            begins = count + 1 + len(blocks[-1]) - len(blocks[-1].lstrip("\n"))
            lines.append((begins, statement.source.at(start_of(statement.source, statement.node)[0])))
        count += blocks[-1].count("\n") + 1
    before = "\n\n" if blocks else ""
    blocks.append(before + function_text(found.piece, found.node))
    lines.append((count + len(before) + 1, found.piece.at(_line_of_header(found.piece, found.node))))
    text = "\n".join(blocks) + "\n"
    _check(text, found)
    return text, tuple(lines)


def _has_future_annotations(found: FunctionSource, needs: NeededStatements) -> bool:
    """Whether the module has that import, and something that is cut out has an annotation, which it makes a text."""
    if not any(bindings.future_annotations for _, bindings in found.module.each()):
        return False
    nodes = (
        node for top in [*found.node.body, *(one.node for one in needs.statements.values())] for node in ast.walk(top)
    )
    return any(
        isinstance(node, ast.AnnAssign) or getattr(node, "annotation", None) or getattr(node, "returns", None)
        for node in nodes
    )


def statement_text(statement: Statement, package: str) -> str:
    """A statement as the user wrote it; of an import only the names that are needed, relative ones made absolute."""
    node = statement.node
    if statement.value is not None:
        return statement.value.text
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = ", ".join(statement.source.of(alias) for alias in node.names if alias in statement.aliases.values())
        if isinstance(node, ast.ImportFrom):
            return f"from {absolute(node, package)} import {names}"
        return f"import {names}"
    return statement.source.of(node)


def function_text(source: SourceText, node: Function) -> str:
    """The function with a header of bare names. The body keeps its indentation, as strings may span lines."""
    # Sorted, as a runtime gives them by keyword: the order of a signature is for people.
    parameters = sorted(arg.arg for arg in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs])
    header = f"def {node.name}({', '.join(parameters)}):"
    start = start_of(source, node.body[0])
    end = end_of(node.body[-1])
    if _is_on_one_line(source, start):
        return f"{header} {source.slice(start, end)}"
    return f"{header}\n{source.slice((_line_of_header(source, node) + 1, 0), end)}"


def _line_of_header(source: SourceText, node: Function) -> int:
    """The line before the body and the comments above it; where the body begins on the header's line, that line."""
    line, column = start_of(source, node.body[0])
    if _is_on_one_line(source, (line, column)):
        return line
    while line > 1 and _is_comment(source.lines[line - 2]):
        line -= 1
    return line - 1


def _is_on_one_line(source: SourceText, start: tuple[int, int]) -> bool:
    """Whether a body begins behind its header."""
    indentation = source.lines[start[0] - 1][: start[1]]
    return bool(indentation.strip()) or not indentation


def _is_comment(line: bytes) -> bool:
    return not line.strip() or line.lstrip().startswith(b"#")


def _order(needs: NeededStatements) -> list[Key]:
    """The order of the source. Cells may have run in another order than their last versions need, so there what a
    statement needs when it runs comes first, and otherwise the order they ran in holds."""
    keys = sorted(needs.statements)
    if not needs.module.is_notebook:
        return keys
    placed: list[Key] = []
    waiting = keys
    while waiting:
        ready = next((key for key in waiting if _first(needs, key) <= {*placed, key}), waiting[0])
        placed.append(ready)
        waiting = [key for key in waiting if key != ready]
    return placed


def _first(needs: NeededStatements, key: Key) -> set[Key]:
    """What must stand before a statement: what it uses at once, and all that this may use when called."""
    found: set[Key] = set()
    waiting = _used(needs, key, at_once=True)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting |= _used(needs, one, at_once=False)
    return found


def _used(needs: NeededStatements, key: Key, *, at_once: bool) -> set[Key]:
    uses = needs.statements[key].uses
    return {
        used
        for use in uses
        if not (at_once and use.deferred)
        for used in needs.bindings.get(use.name, ())
        if used != key
    }


def _check(text: str, found: FunctionSource) -> None:
    """Compare the script with what was cut: slices made by positions are easily off by one."""
    try:
        last = tree_of(text).body[-1]
    except SyntaxError:
        last = ast.Pass()
    body = found.node.body
    if not isinstance(last, ast.FunctionDef) or _form(last.body) != _form(body):
        raise DefinitionError(
            f"{found.node.name} cannot be cut out: its layout is not understood",
            hint="write the body below the header, indented as usual",
            location=found.piece.at(found.node.lineno),
        )


def _form(body: list[ast.stmt]) -> str:
    return normal_form(ast.Module(body=body, type_ignores=[]))

"""One piece of the user's Python (a file or a notebook cell), parsed once and sliced; does not know what it means."""

from __future__ import annotations

import ast
import functools
import io
import tokenize
from dataclasses import dataclass
from pathlib import Path

from repx.errors import SourceLocation


@dataclass(frozen=True, slots=True, eq=False)
class SourceText:
    """`file` is the name to show; `text` has `\\n` line ends; `lines` are UTF-8, as columns of a tree count bytes."""

    file: str
    text: str
    tree: ast.Module
    lines: tuple[bytes, ...]

    def at(self, line: int) -> SourceLocation:
        """The place to name in an error."""
        return SourceLocation(self.file, line)

    def slice(self, start: tuple[int, int], end: tuple[int, int]) -> str:
        """The text from `start` to before `end`, each (line from 1, byte from 0)."""
        first, last = start[0] - 1, end[0] - 1
        if first == last:
            return self.lines[first][start[1] : end[1]].decode()
        inner = self.lines[first + 1 : last]
        return b"\n".join([self.lines[first][start[1] :], *inner, self.lines[last][: end[1]]]).decode()

    def of(self, node: ast.stmt | ast.expr | ast.alias) -> str:
        """The text of one node, decorators included."""
        return self.slice(start_of(self, node), end_of(node))


def start_of(source: SourceText, node: ast.stmt | ast.expr | ast.alias) -> tuple[int, int]:
    """Where `node` begins, its first decorator's `@` included."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else []
    if not decorators:
        return node.lineno, node.col_offset
    line, column = decorators[0].lineno, decorators[0].col_offset
    while (column := source.lines[line - 1].rfind(b"@", 0, column)) < 0:
        line -= 1
        column = len(source.lines[line - 1])
    return line, column


def end_of(node: ast.stmt | ast.expr | ast.alias) -> tuple[int, int]:
    """Where `node` ends; trees that come from text always say so."""
    if node.end_lineno is None or node.end_col_offset is None:
        raise ValueError("a node without an end was not parsed from text")
    return node.end_lineno, node.end_col_offset


@functools.lru_cache(maxsize=512)
def parsed(file: str, text: str) -> SourceText:
    """`text` as a tree, once per content. Raises SyntaxError."""
    return SourceText(file, text, ast.parse(text, file), tuple(text.encode().split(b"\n")))


@functools.lru_cache(maxsize=8)
def tree_of(script: str) -> ast.Module:
    """A script that was cut out as a tree: several look at it, one after the other. Raises SyntaxError."""
    return ast.parse(script)


def decoded(content: bytes) -> str:
    """The bytes of a Python file as text with `\\n` line ends. Raises SyntaxError or UnicodeDecodeError."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return io.TextIOWrapper(io.BytesIO(content), encoding).read()


def is_utf8(content: bytes) -> bool:
    """Whether a Python file declares no other encoding; only such a file can be written again from its text."""
    return tokenize.detect_encoding(io.BytesIO(content).readline)[0] in {"utf-8", "utf-8-sig"}


def read(path: Path) -> str:
    """The text of a Python file. Raises OSError, SyntaxError or UnicodeDecodeError."""
    return decoded(path.read_bytes())

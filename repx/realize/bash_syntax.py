"""Reads Bash text into a syntax tree; does not know what any command means.

The grammar has gaps (`time {`, `coproc {`, `! {`, two backtick substitutions on one line, `<>`, much around
here-documents). Each is closed by rewriting the bytes that the tree itself points at, and reading again; line numbers
never change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from repx.realize.bash_heredocs import Heredoc, cut_out, is_operator
from repx.realize.bash_words import EXPANSIONS, line_of, unescaped

_LANGUAGE = Language(tree_sitter_bash.language())

_AFTER_TIME = re.compile(rb"(?:[ \t]+-p(?=\s))?(?:[ \t]+--(?=\s))?")
_COPROC_NAME = re.compile(rb"[ \t]+[A-Za-z_]\w*(?=[ \t]*[({]|[ \t]+(?:\[\[|(?:while|until|for|if|case|select)\b))")


@dataclass(frozen=True, slots=True)
class Syntax:
    """A script as a tree. From line `doubtful_from` on the grammar lost its way, and what it says is not certain."""

    root: Node
    text: bytes
    doubtful_from: int | None
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    replacement: bytes


def parse(script: str) -> Syntax:
    """The syntax tree of a script, the grammar's gaps closed; its here-documents stand beside it."""
    text, heredocs = script.encode("utf-8", "replace"), []
    root = _parser().parse(text).root_node
    # One at a time: what the tree says after the first one is not to be trusted.
    while b"<<" in text and (operator := next(filter(is_operator, nodes(root)), None)) is not None:
        text, heredoc = cut_out(operator, text)
        heredocs.append(heredoc)
        root = _parser().parse(text).root_node
    root, text = _repaired(root, text)
    return Syntax(root, text, _first_error(root), tuple(heredocs))


def parse_heredoc(heredoc: Heredoc) -> Syntax:
    """The expansions of a here-document as the tree of its `script()`."""
    text = heredoc.script().encode("utf-8", "replace")
    root, text = _repaired(_parser().parse(text).root_node, text)
    return Syntax(root, text, _first_error(root))


def _parser() -> Parser:
    return Parser(_LANGUAGE)


def _repaired(root: Node, text: bytes) -> tuple[Node, bytes]:
    # Each pass closes a gap and opens none; a script with a hundred backticks in a row just stays doubtful.
    for _ in range(100):
        edits = list(_edits(root, text))
        if not edits:
            break
        for edit in reversed(edits):
            text = text[: edit.start] + edit.replacement + text[edit.end :]
        root = _parser().parse(text).root_node
    return root, text


def nodes(root: Node) -> Iterator[Node]:
    """Every node in order of place; with a stack, since `a && b && …` makes a tree deeper than Python's own."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(node.children))


def _first_error(root: Node) -> int | None:
    if not root.has_error:
        return None
    return min((line_of(node) for node in nodes(root) if node.type == "ERROR" or node.is_missing), default=None)


def _edits(root: Node, text: bytes) -> Iterator[_Edit]:
    """What to rewrite before the next reading: in order of place, never overlapping."""
    end = 0
    for node in nodes(root):
        if node.start_byte >= end:
            for edit in _edits_here(node, text):
                yield edit
                end = max(node.end_byte, edit.end)


def _edits_here(node: Node, text: bytes) -> Iterator[_Edit]:
    kind = node.type
    if kind == "negated_command" or (kind == "!" and node.parent is not None and node.parent.type == "ERROR"):
        yield _blank(node.start_byte, node.start_byte + 1)
    elif kind == "command":
        name = node.children[0]
        after = {b"time": _AFTER_TIME, b"coproc": _COPROC_NAME}.get(text[name.start_byte : name.end_byte])
        if name.type == "command_name" and after is not None:
            rest = after.match(text, name.end_byte)
            yield _blank(name.start_byte, rest.end() if rest else name.end_byte)
    elif kind == "file_redirect":
        for child in node.children:
            if child.type == "ERROR" and text[child.start_byte : child.end_byte] == b">":
                yield _blank(child.start_byte, child.end_byte)
    elif kind == "command_substitution" and text[node.start_byte : node.start_byte + 1] == b"`":
        quoted = node.parent is not None and node.parent.type == "string"
        yield from _modern_substitution(text, node.start_byte, len(text), quoted)
    elif (kind == "word" and not node.child_count) or kind == "heredoc_body":
        yield from _backtick_edits(node, text)


def _blank(start: int, end: int) -> _Edit:
    return _Edit(start, end, b" " * (end - start))


def _backtick_edits(node: Node, text: bytes) -> Iterator[_Edit]:
    """The first backtick substitution in literal text that the grammar did not see as one."""
    covered = [(child.start_byte, child.end_byte) for child in node.children if child.type in EXPANSIONS]
    opening = _next_backtick(text, node.start_byte, node.end_byte, covered)
    if opening is not None:
        yield from _modern_substitution(text, opening, node.end_byte, quoted=False)


def _modern_substitution(text: bytes, opening: int, limit: int, quoted: bool) -> Iterator[_Edit]:
    """Turn a backtick substitution into the `$( )` that means the same."""
    closing = _next_backtick(text, opening + 1, limit, [])
    if closing is not None:
        inner = unescaped(text[opening + 1 : closing].decode("utf-8", "replace"), '`\\$"' if quoted else "`\\$")
        lost_lines = text.count(b"\n", opening, closing) - inner.count("\n")
        yield _Edit(opening, closing + 1, b"$( " + inner.encode() + b" )" + b"\\\n" * lost_lines)


def _next_backtick(text: bytes, start: int, end: int, covered: list[tuple[int, int]]) -> int | None:
    position = start
    while position < end:
        skip = next((stop for begin, stop in covered if begin <= position < stop), None)
        if skip is not None:
            position = skip
        elif text[position] == ord("\\"):
            position += 2
        elif text[position] == ord("`"):
            return position
        else:
            position += 1
    return None

"""Rewrites Bash that the grammar misreads into Bash that means the same; line numbers never change.

Misread are `time {`, `coproc {`, `! {`, `for x do`, two backtick substitutions on one line, `<>`, `${x:$i}`, `10#$x`.
Each is rewritten where the tree itself points at it, and the whole is read again. Not rewritten: here-documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from repx.realizer.checks.bash_words import EXPANSIONS, unescaped

_AFTER_TIME = re.compile(rb"(?:[ \t]+-p(?=\s))?(?:[ \t]+--(?=\s))?")
_COPROC_NAME = re.compile(rb"[ \t]+[A-Za-z_]\w*(?=[ \t]*[({]|[ \t]+(?:\[\[|(?:while|until|for|if|case|select)\b))")
_FOR_DO = re.compile(rb"[ \t]+[A-Za-z_]\w*(?=[ \t]+do\s)")
_VARIABLE = re.compile(rb"\$[A-Za-z_]")
_RADIX = re.compile(rb"\d+#")


@dataclass(frozen=True, slots=True)
class Edit:
    """The bytes from `start` to `end`, and what is to stand there instead."""

    start: int
    end: int
    replacement: bytes


def edits(root: Node, text: bytes) -> Iterator[Edit]:
    """What to rewrite before the next reading: in order of place, never overlapping."""
    end = 0
    for node in nodes(root):
        if node.start_byte >= end:
            for edit in _edits_here(node, text):
                yield edit
                end = max(node.end_byte, edit.end)


def nodes(root: Node) -> Iterator[Node]:
    """Every node in order of place; with a stack, since `a && b && …` makes a tree deeper than Python's own."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(node.children))


def _edits_here(node: Node, text: bytes) -> Iterator[Edit]:
    kind, start, end = node.type, node.start_byte, node.end_byte
    if kind == "command":
        name = node.children[0]
        after = {b"time": _AFTER_TIME, b"coproc": _COPROC_NAME}.get(text[name.start_byte : name.end_byte])
        if name.type == "command_name" and after is not None:
            rest = after.match(text, name.end_byte)
            yield _blank(name.start_byte, rest.end() if rest else name.end_byte)
    elif kind == "negated_command" or (kind == "!" and _is_lost(node)):
        yield _blank(start, start + 1)
    elif kind == "for" and _is_lost(node) and (variable := _FOR_DO.match(text, end)):
        yield Edit(variable.end(), variable.end() + 1, b";")
    elif kind == "}" and node.is_missing and _VARIABLE.match(text, start):
        yield _blank(start, start + 1)
    elif kind == "ERROR":
        said = text[start:end]
        is_half = (said == b"<" and text[end : end + 1] == b">") or (said == b">" and text[start - 1 : start] == b"<")
        if is_half or _RADIX.fullmatch(said):
            yield _blank(start, end)
    elif kind == "command_substitution" and text[start : start + 1] == b"`":
        quoted = node.parent is not None and node.parent.type == "string"
        yield from _modern_substitution(text, start, len(text), quoted)
    elif (kind == "word" and not node.child_count) or kind == "heredoc_body":
        yield from _backtick_edits(node, text)


def _is_lost(node: Node) -> bool:
    """Whether a keyword is one that the grammar could not place."""
    return node.parent is not None and node.parent.type == "ERROR"


def _blank(start: int, end: int) -> Edit:
    return Edit(start, end, b" " * (end - start))


def _backtick_edits(node: Node, text: bytes) -> Iterator[Edit]:
    """The first backtick substitution in literal text that the grammar did not see as one."""
    covered = [(child.start_byte, child.end_byte) for child in node.children if child.type in EXPANSIONS]
    opening = _next_backtick(text, node.start_byte, node.end_byte, covered)
    if opening is not None:
        yield from _modern_substitution(text, opening, node.end_byte, quoted=False)


def _modern_substitution(text: bytes, opening: int, limit: int, quoted: bool) -> Iterator[Edit]:
    """Turn a backtick substitution into the `$( )` that means the same."""
    closing = _next_backtick(text, opening + 1, limit, [])
    if closing is not None:
        inner = unescaped(text[opening + 1 : closing].decode("utf-8", "replace"), '`\\$"' if quoted else "`\\$")
        lost_lines = text.count(b"\n", opening, closing) - inner.count("\n")
        yield Edit(opening, closing + 1, b"$( " + inner.encode() + b" )" + b"\\\n" * lost_lines)


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

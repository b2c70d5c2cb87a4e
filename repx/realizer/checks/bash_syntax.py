"""Reads Bash text into a syntax tree, made whole where the grammar has gaps; does not know what any command means."""

from __future__ import annotations

from dataclasses import dataclass

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from repx.realizer.checks.bash_heredocs import Heredoc, cut_out, is_operator
from repx.realizer.checks.bash_repairs import edits, nodes
from repx.realizer.checks.bash_words import line_of

_LANGUAGE = Language(tree_sitter_bash.language())


@dataclass(frozen=True, slots=True)
class Syntax:
    """A script as a tree. From line `doubtful_from` on the grammar lost its way, and what it says is not certain."""

    root: Node
    text: bytes
    doubtful_from: int | None
    heredocs: tuple[Heredoc, ...] = ()


def parse(script: str) -> Syntax:
    """The syntax tree of a script, the grammar's gaps closed; its here-documents stand beside it."""
    text, heredocs = script.encode("utf-8", "replace"), []
    root = _tree(text)
    # One at a time: what the tree says after the first one is not to be trusted.
    while b"<<" in text and (operator := next(filter(is_operator, nodes(root)), None)) is not None:
        text, heredoc = cut_out(operator, text)
        heredocs.append(heredoc)
        root = _tree(text)
    root, text = _repaired(root, text)
    return Syntax(root, text, _first_error(root), tuple(heredocs))


def parse_heredoc(heredoc: Heredoc) -> Syntax:
    """The expansions of a here-document as the tree of its `script()`."""
    text = heredoc.script().encode("utf-8", "replace")
    root, text = _repaired(_tree(text), text)
    return Syntax(root, text, _first_error(root))


def _tree(text: bytes) -> Node:
    # The grammar's scanner asks C's isdigit and the like about every character, and dies of one far beyond a byte, such
    # as an emoji after "{". It gets "." instead, as common in words as any; words are read from the text itself.
    return Parser(_LANGUAGE).parse(text.translate(_ASCII)).root_node


_ASCII = bytes(range(128)) + b"." * 128


def _repaired(root: Node, text: bytes) -> tuple[Node, bytes]:
    # Each pass closes a gap and opens none; a script with a hundred backticks in a row just stays doubtful.
    for _ in range(100):
        repairs = list(edits(root, text))
        if not repairs:
            break
        for edit in reversed(repairs):
            text = text[: edit.start] + edit.replacement + text[edit.end :]
        root = _tree(text)
    return root, text


def _first_error(root: Node) -> int | None:
    """The line from which on the tree is in doubt. Damage inside arithmetic stays inside."""
    if not root.has_error:
        return None
    return min((line_of(node) for node in nodes(root) if _is_error(node)), default=None)


def _is_error(node: Node) -> bool:
    parent = node.parent
    if node.is_missing:  # `n=$((1)) 2> /dev/null` is taken for a command without a name
        return parent is None or parent.type != "command_name"
    if node.type != "ERROR":
        return False
    while parent is not None and parent.type == "binary_expression":
        parent = parent.parent
    return parent is None or parent.type != "arithmetic_expansion"

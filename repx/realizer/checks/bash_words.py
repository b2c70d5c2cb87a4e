"""The words of a command as text: quotes and escapes removed where that is possible without running anything.

Does not know what any word means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

EXPANSIONS = frozenset(
    ["simple_expansion", "expansion", "command_substitution", "process_substitution", "arithmetic_expansion"]
)
"""Nodes whose text only a run can tell."""

_NOT_WORDS = frozenset(
    ["variable_assignment", "file_redirect", "herestring_redirect", "heredoc_redirect", "ERROR", "comment", "subshell"]
)
_BEFORE_A_COMMAND = b" \t\r\n;&|()<>`"
_ANSI_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ANSI_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command.

    `text` is what the command receives, None where that depends on an expansion; `head` is the literal text before the
    first expansion; `source` has the quotes taken off and the expansions left in, as `eval` or `sh -c` would read it.
    """

    text: str | None
    head: str
    source: str
    line: int
    start: int
    end: int


def line_of(node: Node) -> int:
    """The line of a node's first character, counted from 1."""
    return node.start_point[0] + 1


def command_words(command: Node, text: bytes) -> list[Word]:
    """Name and arguments of a `command` node; assignments before it and redirections are left out."""
    words: list[Word] = []
    for child in command.children:
        if child.type in _NOT_WORDS:
            continue
        word = _word(child, text)
        if words and words[-1].end == child.start_byte:  # `"a"\ b` and `$a/$b` are one word, which the grammar splits
            words[-1] = _joined(words[-1], word)
        elif words or not child.start_byte or text[child.start_byte - 1] in _BEFORE_A_COMMAND:
            words.append(word)  # else it is the rest of `x=$a/$b`, which the grammar takes for a command
    return words


def _joined(left: Word, right: Word) -> Word:
    text, head = None, left.head
    if left.source.endswith("$"):  # the grammar lost the variable's name
        head = head.removesuffix("$")
    elif left.text is not None:
        head += right.head
        text = left.text + right.text if right.text is not None else None
    return Word(text, head, left.source + right.source, left.line, left.start, right.end)


def _word(node: Node, text: bytes) -> Word:
    literal, head, source = True, "", ""
    for is_literal, piece in _pieces(node, text):
        literal = literal and is_literal
        head += piece if literal else ""
        source += piece
    return Word(head if literal else None, head, source, line_of(node), node.start_byte, node.end_byte)


def _pieces(node: Node, text: bytes) -> Iterator[tuple[bool, str]]:
    """The word in order as (is literal, text), quotes removed."""
    kind, raw = node.type, text[node.start_byte : node.end_byte].decode("utf-8", "replace")
    if kind in ("command_name", "concatenation"):
        for child in node.children:
            yield from _pieces(child, text)
    elif kind == "raw_string":
        yield True, raw[1:-1]
    elif kind == "ansi_c_string":
        yield True, _ANSI_ESCAPE.sub(_ansi_character, raw[2:-1])
    elif kind in ("string", "translated_string"):
        yield from _quoted_pieces(node, text)
    elif kind in EXPANSIONS or node.named_child_count:
        yield False, raw
    else:
        yield True, unescaped(raw, None)


def _quoted_pieces(string: Node, text: bytes) -> Iterator[tuple[bool, str]]:
    """The inside of double quotes; between two children of the node there may be blanks that belong to no child."""
    position = text.index(b'"', string.start_byte) + 1
    for child in string.named_children:
        if child.type == "string_content":
            continue
        yield True, unescaped(text[position : child.start_byte].decode("utf-8", "replace"), '"\\$`')
        yield False, text[child.start_byte : child.end_byte].decode("utf-8", "replace")
        position = child.end_byte
    yield True, unescaped(text[position : string.end_byte - 1].decode("utf-8", "replace"), '"\\$`')


def unescaped(raw: str, escapable: str | None) -> str:
    """`raw` without its backslashes: before any character (None), or only before those that are `escapable`."""
    if "\\" not in raw:
        return raw
    result, position = [], 0
    while position < len(raw):
        following = raw[position + 1 : position + 2]
        if raw[position] != "\\" or not following or (escapable and following not in escapable + "\n"):
            result.append(raw[position])
            position += 1
        else:
            result.append("" if following == "\n" else following)
            position += 2
    return "".join(result)


def _ansi_character(match: re.Match[str]) -> str:
    escape = match[1]
    if escape[0] == "x" and len(escape) > 1:
        return chr(int(escape[1:], 16))
    if escape[0] in "01234567":
        return chr(int(escape, 8) & 0xFF)
    return _ANSI_LETTERS.get(escape, escape)

"""Reads Bash text into a syntax tree and its words into literal text; does not know what any command means.

The grammar has gaps (`time {`, `coproc {`, `! {`, two backtick substitutions on one line, `<>`). Each is closed by
rewriting the bytes that the tree itself points at, and reading again; line numbers never change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

_LANGUAGE = Language(tree_sitter_bash.language())

_AFTER_TIME = re.compile(rb"(?:[ \t]+-p(?=\s))?(?:[ \t]+--(?=\s))?")
_COPROC_NAME = re.compile(rb"[ \t]+[A-Za-z_]\w*(?=[ \t]*[({]|[ \t]+(?:\[\[|(?:while|until|for|if|case|select)\b))")
_ANSI_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ANSI_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}

_EXPANSIONS = frozenset(
    ["simple_expansion", "expansion", "command_substitution", "process_substitution", "arithmetic_expansion"]
)


@dataclass(frozen=True, slots=True)
class Syntax:
    """A script as a tree. From line `doubtful_from` on the grammar lost its way, and what it says is not certain."""

    root: Node
    text: bytes
    doubtful_from: int | None


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


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    replacement: bytes


def parse(script: str) -> Syntax:
    """The syntax tree of a script, with the grammar's gaps closed."""
    parser = Parser(_LANGUAGE)
    text = script.encode("utf-8", "replace")
    root = parser.parse(text).root_node
    # Each pass closes a gap and opens none; a script with a hundred backticks in a row just stays doubtful.
    for _ in range(100):
        edits = list(_edits(root, text))
        if not edits:
            break
        for edit in reversed(edits):
            text = text[: edit.start] + edit.replacement + text[edit.end :]
        root = parser.parse(text).root_node
    return Syntax(root, text, min(_error_lines(root), default=None) if root.has_error else None)


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
        if words and words[-1].end == child.start_byte:  # `"a"\ b` is one word, which the grammar splits
            words[-1] = _joined(words[-1], word)
        else:
            words.append(word)
    return words


_NOT_WORDS = frozenset(
    ["variable_assignment", "file_redirect", "herestring_redirect", "heredoc_redirect", "ERROR", "comment", "subshell"]
)


def _joined(left: Word, right: Word) -> Word:
    text = left.text + right.text if left.text is not None and right.text is not None else None
    head = left.head + right.head if left.text is not None else left.head
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
    elif kind in _EXPANSIONS or node.named_child_count:
        yield False, raw
    else:
        yield True, _unescaped(raw, None)


def _quoted_pieces(string: Node, text: bytes) -> Iterator[tuple[bool, str]]:
    """The inside of double quotes; between two children of the node there may be blanks that belong to no child."""
    position = text.index(b'"', string.start_byte) + 1
    for child in string.named_children:
        if child.type == "string_content":
            continue
        yield True, _unescaped(text[position : child.start_byte].decode("utf-8", "replace"), '"\\$`')
        yield False, text[child.start_byte : child.end_byte].decode("utf-8", "replace")
        position = child.end_byte
    yield True, _unescaped(text[position : string.end_byte - 1].decode("utf-8", "replace"), '"\\$`')


def _unescaped(raw: str, escapable: str | None) -> str:
    """`raw` without its backslashes: before any character, or only before those that are `escapable`."""
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


def _error_lines(node: Node) -> Iterator[int]:
    if node.type == "ERROR" or node.is_missing:
        yield line_of(node)
    elif node.has_error:
        for child in node.children:
            yield from _error_lines(child)


def _edits(node: Node, text: bytes) -> Iterator[_Edit]:
    """What to rewrite before the next reading: in order of place, never overlapping."""
    edits = list(_edits_here(node, text))
    if edits:
        yield from edits
        return
    for child in node.children:
        yield from _edits(child, text)


def _edits_here(node: Node, text: bytes) -> Iterator[_Edit]:
    kind = node.type
    if kind == "negated_command":
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
    elif (kind == "word" and not node.child_count) or (kind == "heredoc_body" and _is_expanded(node, text)):
        yield from _backtick_edits(node, text)


def _blank(start: int, end: int) -> _Edit:
    return _Edit(start, end, b" " * (end - start))


def _is_expanded(heredoc_body: Node, text: bytes) -> bool:
    """Whether the body's expansions count, which a quoted delimiter turns off."""
    redirect = heredoc_body.parent
    starts = [child for child in redirect.children if child.type == "heredoc_start"] if redirect else []
    return bool(starts) and not any(mark in text[starts[0].start_byte : starts[0].end_byte] for mark in b"'\"\\")


def _backtick_edits(node: Node, text: bytes) -> Iterator[_Edit]:
    """The first backtick substitution in literal text that the grammar did not see as one."""
    covered = [(child.start_byte, child.end_byte) for child in node.children if child.type in _EXPANSIONS]
    opening = _next_backtick(text, node.start_byte, node.end_byte, covered)
    if opening is not None:
        yield from _modern_substitution(text, opening, node.end_byte, quoted=False)


def _modern_substitution(text: bytes, opening: int, limit: int, quoted: bool) -> Iterator[_Edit]:
    """Turn a backtick substitution into the `$( )` that means the same."""
    closing = _next_backtick(text, opening + 1, limit, [])
    if closing is not None:
        inner = _unescaped(text[opening + 1 : closing].decode("utf-8", "replace"), '`\\$"' if quoted else "`\\$")
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

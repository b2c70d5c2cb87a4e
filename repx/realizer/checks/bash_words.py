"""The words of a command, read from shfmt's tree: what the command receives, as far as that is known without a run.

Does not know what any word means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_ANSI_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ANSI_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPE_IN_QUOTES = re.compile(r'\\(["\\$`\n])')


class Word(NamedTuple):
    """One word of a command.

    `text` is what the command receives, None where that depends on an expansion; `head` is the literal text before the
    first expansion; `source` has the quotes taken off and the expansions left in, as `eval` or `sh -c` would read it.
    """

    text: str | None
    head: str
    source: str
    line: int


def read_word(node: dict[str, Any], script: bytes) -> Word:
    """The word of a `Word` node in the tree of `script`."""
    is_literal, head, source = True, "", ""
    for piece_is_literal, piece in _pieces(node["Parts"], script, _ESCAPE):
        is_literal = is_literal and piece_is_literal
        head += piece if is_literal else ""
        source += piece
    return Word(head if is_literal else None, head, source, node["Pos"]["Line"])


def _pieces(parts: list[dict[str, Any]], script: bytes, escape: re.Pattern[str]) -> Iterator[tuple[bool, str]]:
    """The parts of a word in order as (is literal, text), quotes removed."""
    for part in parts:
        kind = part["Type"]
        if kind == "Lit":
            yield True, escape.sub(_escaped, part["Value"])
        elif kind == "SglQuoted":
            value = part.get("Value", "")
            yield True, _ANSI_ESCAPE.sub(_ansi_character, value) if part.get("Dollar") else value
        elif kind == "DblQuoted":
            yield from _pieces(part.get("Parts", []), script, _ESCAPE_IN_QUOTES)
        else:  # an expansion, or a glob such as !(a|b): only a run can tell what becomes of it
            yield False, script[part["Pos"]["Offset"] : part["End"]["Offset"]].decode("utf-8", "replace")


def _escaped(match: re.Match[str]) -> str:
    return "" if match[1] == "\n" else match[1]


def _ansi_character(match: re.Match[str]) -> str:
    escape = match[1]
    if escape[0] == "x" and len(escape) > 1:
        return chr(int(escape[1:], 16))
    if escape[0] in "01234567":
        return chr(int(escape, 8) & 0xFF)
    return _ANSI_LETTERS.get(escape, escape)

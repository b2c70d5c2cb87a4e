"""Here-documents: where one begins and ends in a script, and the script without it; does not read what is inside.

The grammar reads a here-document well when nothing follows on its first line, and loses its way with most of what may
(`cat <<END; foo`, `cat <<END 2>&1 | foo`, two of them). So they are cut out, and their bodies are read on their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from tree_sitter import Node

_WORD_ENDS = b" \t\n;&|()<>"


@dataclass(frozen=True, slots=True)
class Heredoc:
    """Text whose first line is line `line` of the script. Expansions in it count when `is_expanded`."""

    body: str
    line: int
    is_expanded: bool

    def script(self) -> str:
        """A script of two lines more that expands the same text; the body begins in its second line."""
        delimiter = "END"
        while delimiter in self.body:
            delimiter += "_"
        return f": <<{delimiter}\n{self.body}{delimiter}\n"


def cut_out(operator: Node, text: bytes) -> tuple[bytes, Heredoc]:
    """The script with the here-document of this `<<` node blanked, line for line, and the document."""
    delimiter, quoted, end = _delimiter(text, operator.end_byte)
    strip = operator.type == "<<-"
    start = stop = _line_end(text, end)
    body_lines: list[bytes] = []
    while stop < len(text):
        newline = text.find(b"\n", stop)
        following = len(text) if newline < 0 else newline + 1
        line = text[stop:following]
        stop = following
        if (line.lstrip(b"\t") if strip else line).rstrip(b"\n") == delimiter:
            break
        body_lines.append(line)
    body = b"".join(body_lines).decode("utf-8", "replace")
    if body and not body.endswith("\n"):
        body += "\n"
    blanked = b"\n" * text.count(b"\n", start, stop)
    without = text[: operator.start_byte] + b" " + text[end:start] + blanked + text[stop:]
    return without, Heredoc(body, text.count(b"\n", 0, start) + 1, not quoted)


def is_operator(node: Node) -> bool:
    """Whether a node is the `<<` of a here-document, and not a shift in arithmetic."""
    return node.type in ("<<", "<<-") and node.parent is not None and node.parent.type in ("heredoc_redirect", "ERROR")


def _delimiter(text: bytes, position: int) -> tuple[bytes, bool, int]:
    """The delimiter word after `position`, whether any of it is quoted, and where it ends."""
    while text[position : position + 1] in (b" ", b"\t"):
        position += 1
    word, quoted, quote = bytearray(), False, 0
    while position < len(text) and (quote or text[position] not in _WORD_ENDS):
        byte = text[position]
        if quote:
            if byte == quote:
                quote = 0
            else:
                word.append(byte)
        elif byte in b"'\"":
            quote, quoted = byte, True
        elif byte == ord("\\"):
            quoted = True
            position += 1
            word += text[position : position + 1]
        else:
            word.append(byte)
        position += 1
    return bytes(word), quoted, min(position, len(text))


def _line_end(text: bytes, position: int) -> int:
    """Where the line after this one begins; a backslash before the newline continues this one."""
    while True:
        newline = text.find(b"\n", position)
        if newline < 0:
            return len(text)
        backslashes = newline - len(text[:newline].rstrip(b"\\"))
        if backslashes % 2 == 0:
            return newline + 1
        position = newline + 1

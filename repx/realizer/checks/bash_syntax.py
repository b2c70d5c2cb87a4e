"""Reads Bash scripts with shfmt: which commands, with which words, and which functions; does not know what any means.

`shfmt --to-json` prints the syntax tree of the script on its standard input; its nodes are the types of the Go package
mvdan.cc/sh/v3/syntax. It takes one script at a time, so several processes work at once. One process for all scripts in
one text would be no quicker, because printing the tree takes far longer than to start shfmt, and a mistake in one
script would spoil the reading of the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from repx.errors import SoftwareError
from repx.process import RunProgram
from repx.realizer.checks.bash_words import Word, read_word
from repx.realizer.checks.programs import at_once, find_program

_REFUSAL = re.compile(rb"(<standard input>:)?\d+:\d+: |exceeded max depth")
"""What shfmt says of a script that it cannot read, and of one whose tree it cannot print."""


class Syntax(NamedTuple):
    """What a script holds, wherever it stands in it: commands, each as its words, and the names of functions."""

    commands: tuple[tuple[Word, ...], ...]
    functions: frozenset[str]


def read_scripts(scripts: Iterable[str], run: RunProgram) -> dict[str, Syntax | None]:
    """Each distinct script with its syntax; None for one that shfmt refuses.

    Raises SoftwareError when there is no shfmt or it breaks.
    """
    texts = list(dict.fromkeys(scripts))
    if not texts:
        return {}
    program = find_program("shfmt", "shfmt-py")
    return dict(zip(texts, at_once(lambda text: _read(text, program, run), texts), strict=True))


def _read(text: str, program: str, run: RunProgram) -> Syntax | None:
    script = text.encode("utf-8", "replace")
    try:
        done = run([program, "-ln=bash", "--to-json"], stdin=script)
    except OSError as error:
        raise SoftwareError("shfmt does not start", facts=[("program", program), ("error", error)]) from error
    if done.exit_status and _REFUSAL.match(done.stderr):
        return None
    try:
        return _syntax(json.loads(done.stdout), script)
    except RecursionError:  # `a && b && …` five hundred times
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[:500]
        raise SoftwareError(
            "shfmt gives no syntax tree that this repx can read", facts=[("program", program), ("said", said)]
        ) from error


def _syntax(tree: dict[str, Any], script: bytes) -> Syntax:
    commands, functions = [], set()
    if tree["Type"] != "File":
        raise ValueError
    for node in _nodes(tree):
        kind = node.get("Type")
        if kind == "CallExpr" and "Args" in node:
            words = [read_word(word, script) for word in node["Args"]]
            # The `--` of `time -- foo` is left to the command.
            commands.append(tuple(words[1:] if words[0].text == "--" else words))
        elif kind == "FuncDecl":
            functions.add(node["Name"]["Value"])
    return Syntax(tuple(words for words in commands if words), frozenset(functions))


def _nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node, roughly in order of place."""
    waiting: list[Any] = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        elif "Col" not in item:  # else a position, of which most of the tree consists
            yield item
            waiting.extend(value for value in reversed(item.values()) if isinstance(value, dict | list))

"""What of a script changed: which functions, where they stand in the user's files, and the lines; runs no script."""

from __future__ import annotations

import ast
import bisect
import difflib
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_FIRST = re.compile(r"# ---- (.+):(\d+) ----")
_END = "# ---- end ----"
_PLACE = re.compile(r"# at (.+) (\d+) (\d+)")

CONTEXT_LINES = 2


class ScriptText(NamedTuple):
    """The user's part of a script. `places` say of some of its lines in which file and line of the user they stand."""

    text: str
    places: tuple[tuple[int, str, int], ...]

    def place(self, line: int) -> str:
        """Where a line, counted from 1, stands in the user's files."""
        number = bisect.bisect_left(self.places, (line + 1,)) - 1
        if number < 0:
            return ""
        begins, file, at = self.places[number]
        return f"{file}:{at + line - begins}"


class Changed(NamedTuple):
    """One definition that was `changed`, `added` or `removed`, and its place in the user's files."""

    name: str
    how: str
    place: str


def user_text(script: str) -> ScriptText:
    """What of a Lab's script is the user's: without what repx has put around it."""
    lines = script.split("\n")
    marks = ((number, mark) for number, line in enumerate(lines) if (mark := _FIRST.fullmatch(line)))
    first, mark = next(marks, (-1, None))
    if mark is None:
        return ScriptText(script, ())
    if _END not in lines:
        return ScriptText("\n".join(lines[first + 1 :]), ((1, mark[1], int(mark[2])),))
    end = len(lines) - 1 - lines[::-1].index(_END)
    found = (_PLACE.fullmatch(line) for line in lines[end + 1 :])
    # The first line after the mark is number 1, and is said to be 1 there as well.
    places = tuple(sorted((int(one[2]), one[1], int(one[3])) for one in found if one is not None))
    return ScriptText("\n".join(lines[first + 1 : end]), places)


def changed_definitions(before: ScriptText, after: ScriptText) -> list[Changed]:
    """The functions, classes and values of a Python script that differ; none where it cannot be taken apart."""
    old, new = _definitions(before.text), _definitions(after.text)
    if old is None or new is None:
        return []
    found = []
    for name, (form, line) in new.items():
        if name not in old or old[name][0] != form:
            found.append(Changed(name, "changed" if name in old else "added", after.place(line)))
    found += [Changed(name, "removed", before.place(line)) for name, (_, line) in old.items() if name not in new]
    return found


def text_diff(before: Mapping[str, str], after: Mapping[str, str], names: tuple[str, str]) -> list[str]:
    """The lines that differ of files by name, as `diff -u` has them; `names` say what each side is."""
    lines: list[str] = []
    for file in sorted({*before, *after}):
        old, new = (_lines(side.get(file, "")) for side in (before, after))
        first, second = (f"{file} ({name})" for name in names)
        lines += difflib.unified_diff(old, new, first, second, n=CONTEXT_LINES, lineterm="")
    return lines


def _lines(text: str) -> list[str]:
    return text.strip("\n").split("\n") if text else []


def _definitions(text: str) -> dict[str, tuple[str, int]] | None:
    """What stands at the top of a script, by name, with its form and its line."""
    try:
        tree = ast.parse(text)
        found: dict[str, tuple[str, int]] = {}
        for node in tree.body:
            for name in _names(node):
                form = ast.dump(node)
                found[name] = (found[name][0] + form if name in found else form, node.lineno)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return found


def _names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield f"{node.name}()"
    elif isinstance(node, ast.ClassDef):
        yield f"class {node.name}"
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield ", ".join(ast.unparse(target) for target in targets)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield ast.unparse(node)
    elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        yield ast.unparse(node).split("\n", 1)[0][:40]

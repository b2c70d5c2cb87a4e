"""Finds the external commands a Bash script uses, by walking its syntax tree; does not know which of them exist.

Not found, because only a run can tell: names that come from an expansion (`$CMD x`), sourced files, scripts of other
languages (`awk 'BEGIN { system("x") }'`), what `ssh` starts elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from repx.realizer.checks.bash_repairs import nodes
from repx.realizer.checks.bash_syntax import Syntax, parse, parse_heredoc
from repx.realizer.checks.bash_words import Word, command_words, line_of
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
"""Reserved words; `time` is absent, since where it is still a command name after parsing it is the program."""

_DEEPEST = 20
_DEFINITION = re.compile(rb"([^\s;&|(){}<>$'\"`]+)[ \t]*\([ \t]*\)")
_NAME_MARKS = frozenset("._+-@:%,^[/")


@dataclass(frozen=True, slots=True)
class CommandUse:
    """A use of an external command. `line` counts from 1; a `name` that starts with "/" is a path.

    `certain` is false where the grammar lost its way: the command may be a misreading.
    """

    name: str
    line: int
    certain: bool = True


def find_commands(script: str) -> list[CommandUse]:
    """The external commands of a script, in order of line, each once per line."""
    search = _Search()
    search.script(script, first_line=1, depth=0)
    uses: dict[tuple[str, int], CommandUse] = {}
    for candidate in search.candidates:
        if candidate.lookup is not Lookup.PATH and candidate.use.name in BUILTINS | KEYWORDS:
            continue
        if candidate.lookup is Lookup.SHELL and candidate.use.name in search.functions:
            continue
        uses.setdefault((candidate.use.name, candidate.use.line), candidate.use)
    return sorted(uses.values(), key=lambda use: use.line)


@dataclass(frozen=True, slots=True)
class _Candidate:
    use: CommandUse
    lookup: Lookup


@dataclass(slots=True)
class _Search:
    """What has been met so far, in the script and in the scripts inside its quotes."""

    candidates: list[_Candidate] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)

    def script(self, text: str, first_line: int, depth: int) -> None:
        syntax = parse(text)
        if depth and syntax.doubtful_from is not None:
            return  # text in quotes is a guess already: `eval "$prefix(x)"`
        self.read(syntax, first_line, depth)
        for heredoc in syntax.heredocs:
            if heredoc.is_expanded:
                self.read(parse_heredoc(heredoc), first_line + heredoc.line - 2, depth)

    def read(self, syntax: Syntax, first_line: int, depth: int) -> None:
        found = [node for node in nodes(syntax.root) if node.type in ("command", "function_definition")]
        # Functions count wherever they stand: they are often defined below the function that calls them.
        for node in found:
            if node.type == "function_definition" and (name := node.child_by_field_name("name")) is not None:
                self.functions.add(syntax.text[name.start_byte : name.end_byte].decode("utf-8", "replace"))
        if syntax.doubtful_from is not None:  # a definition in a part that was not understood still defines
            self.functions |= {match[1].decode("utf-8", "replace") for match in _DEFINITION.finditer(syntax.text)}
        for node in found:
            if node.type == "command" and (words := command_words(node, syntax.text)):
                certain = syntax.doubtful_from is None or line_of(node) < syntax.doubtful_from
                self.command(words, Lookup.SHELL, first_line - 1, certain, depth)

    def command(self, words: Sequence[Word], lookup: Lookup, lines_before: int, certain: bool, depth: int) -> None:
        name = words[0].text
        if name is None or depth > _DEEPEST:
            return
        self.candidate(name, words[0].line + lines_before, lookup, certain)
        if lookup is Lookup.SHELL and name in self.functions:
            return
        for inner in started_by(words):
            match inner:
                case InnerCommand():
                    self.command(inner.words, inner.lookup, lines_before, certain, depth + 1)
                case InnerProgram():
                    self.candidate(inner.name, inner.line + lines_before, Lookup.PATH, certain)
                case InnerScript():
                    self.script(inner.text, inner.line + lines_before, depth + 1)

    def candidate(self, name: str, line: int, lookup: Lookup, certain: bool) -> None:
        if _can_be_program(name):
            self.candidates.append(_Candidate(CommandUse(name, line, certain), lookup))


def _can_be_program(name: str) -> bool:
    """Whether a program can be looked up by this name: no glob, no job, no relative path, nothing in /dev."""
    if not name or name[0] in "-~%" or not (name == "[" or any(c.isalnum() for c in name)):
        return False
    if "/" in name and (not name.startswith("/") or name.startswith("/dev/")):
        return False
    return all(c.isalnum() or c in _NAME_MARKS or c == "_" for c in name)

"""Where what is executed again in a job, at the top level of its modules, reads what is around it; reads no file.

Plain values travel with what they were computed to. What does not is refused when it reads anything that a job has
otherwise, also where the two happen to agree today.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Set

from repx.dsl.source.bindings import bindings_of, is_main_guard
from repx.dsl.source.imports import LocalFiles, package_of
from repx.dsl.source.loaded import Loaded, Unit
from repx.dsl.source.needed import NeededStatements
from repx.dsl.source.outside import Reading
from repx.dsl.source.scope import bound_names
from repx.dsl.source.statement import Problem
from repx.dsl.source.text import SourceText

_FILES = frozenset({"a file", "the working directory"})

_OWN = "__main__"
"""The dotted name of the experiment's own file, where a job begins."""


def reading_problems(needs: NeededStatements, local: LocalFiles, asked: Set[str]) -> Iterator[Problem]:
    """A problem for each line that reads what is around. `asked` are the names that code which travels asks for."""
    own = [one for one in needs.statements.values() if one.value is None]
    package = needs.module.package
    units = [
        Unit(_OWN, package, source, tuple(one.node for one in own if one.source is source))
        for source in dict.fromkeys(one.source for one in own)
    ]
    for path, source in sorted(local.files.items()):
        name = local.names[path]
        statements = tuple(one for one in source.tree.body if _counts(one, source, asked))
        units.append(Unit(name, package_of(path, name), source, statements))
    loaded = Loaded(units)
    told: set[tuple[str, int]] = set()
    for unit in units:
        for statement in unit.statements:
            for source, line, reading in loaded.readings(unit, statement):
                if (source.file, line) not in told:
                    told.add((source.file, line))
                    made = sorted(bound_names([statement]).names)
                    yield _problem(source, line, reading, made, is_own=unit.name == _OWN)


def name_problems(own: Iterable[tuple[SourceText, ast.AST]]) -> Iterator[Problem]:
    """A problem for each comparison with the name of the experiment's module, which is another in a job."""
    for source, top in own:
        for node in ast.walk(top):
            if not isinstance(node, ast.Compare):
                continue
            names = [node.left, *node.comparators]
            if any(isinstance(one, ast.Name) and one.id == "__name__" for one in names):
                message = "the module of a job is always called __main__, so that this says nothing"
                yield Problem(source.at(node.lineno), message, "leave the comparison out, or make it a param")


def _counts(statement: ast.stmt, source: SourceText, asked: Set[str]) -> bool:
    """Whether a statement of a local module does more than bind names that nobody asks for."""
    if isinstance(statement, ast.If) and is_main_guard(statement.test) and not statement.orelse:
        return False
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        names = bound_names([statement]).names
        bound = bindings_of(source).by_name
        return not names or not names.isdisjoint(asked) or not names <= bound.keys()
    return True


def _problem(source: SourceText, line: int, reading: Reading, made: list[str], *, is_own: bool) -> Problem:
    does = f"{', '.join(made)} is made by code that" if made else "this"
    message = f"{does} reads {reading.what} ({reading.name}), and a job has another"
    if reading.what in _FILES:
        remedy = 'hand files over as inputs, with repx.path("…"), and read them in the stage\'s body'
    elif reading.what == "chance":
        remedy = "give it a seed"
    else:
        remedy = "make it in the stage's body, out of a param"
    if is_own:
        remedy += "; or bind what is read to a name of its own and use that here: plain values travel as they are"
    else:
        remedy += "; or bind the value in the experiment's file, and hand it to the functions that need it"
    return Problem(source.at(line), message, remedy)

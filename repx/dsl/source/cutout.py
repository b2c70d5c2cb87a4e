"""Cuts the body of a Python stage out of the user's file as a script that stands alone; does not know what a stage is.

What is emitted are slices of the user's text; what identifies it is the normal form of the same statements.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repx.dsl.caller import place_of_function
from repx.dsl.source.bash import bash_text_origin
from repx.dsl.source.deep import room_for_deep_trees
from repx.dsl.source.emit import Lines, emitted
from repx.dsl.source.identity import script_identity
from repx.dsl.source.imports import Import, LocalFiles, imports_of, only, package_of
from repx.dsl.source.live import live_problems
from repx.dsl.source.module import FunctionSource, function_source
from repx.dsl.source.needed import NeededStatements
from repx.dsl.source.normal_form import normal_form
from repx.dsl.source.package_files import file_problems
from repx.dsl.source.statement import Problem, Statement
from repx.dsl.source.surroundings import name_problems, reading_problems
from repx.dsl.source.text import SourceText, tree_of
from repx.dsl.source.used import Local, used_texts
from repx.dsl.source.world import asked_names, world_of
from repx.errors import DefinitionError, SourceLocation
from repx.model.software import ImportedModule, World

__all__ = ["CutOut", "LocalModule", "bash_text_origin", "cut_out", "normal_form", "source_location"]


@dataclass(frozen=True, slots=True)
class LocalModule:
    """A module that lies beside the experiment: POSIX path below that directory, and what is used of its text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class CutOut:
    """A stage body that stands alone.

    `source` ends in the function itself, without annotations, defaults and decorators; each parameter can be given by
    keyword. `normal_form` covers this script and the local modules (`repx.dsl.source.identity`). `origin` is the line
    of `def`.
    """

    name: str
    source: str
    normal_form: str
    modules: tuple[LocalModule, ...]
    imports: tuple[ImportedModule, ...]
    origin: SourceLocation
    files: tuple[str, ...]
    """Where the local modules lie."""
    lines: Lines
    """Lines of `source` at which something begins, and where that stands in the user's text."""
    world: World | None
    """What is to be compared with what the script makes."""


def cut_out(function: types.FunctionType, also: frozenset[str] = frozenset()) -> CutOut:
    """`function` with exactly what it needs of its module, and the names in `also`.

    Raises DefinitionError with all problems: a single one in the headline, several as facts with their places.
    """
    with room_for_deep_trees():
        return _cut_out(function, also)


def _cut_out(function: types.FunctionType, also: frozenset[str]) -> CutOut:
    _refuse_other_callables(function)
    found = function_source(function)
    problems = list(_signature_problems(function, found))
    needs = NeededStatements(function, found, also)
    needs.collect()
    problems += needs.problems
    local = _local_files(found, needs)
    problems += [Problem(trouble.location, trouble.message, trouble.hint) for trouble in local.troubles]
    if found.module.is_notebook:
        problems += live_problems(function, needs, local.files, local.root)
    origin = found.piece.at(found.node.lineno)
    if problems:
        raise _error(function.__name__, problems, origin)
    source, lines = emitted(found, needs)
    local = _used_files(source, found, needs, local)
    asked = asked_names(needs, local)
    own = _own_nodes(found, needs)
    unread = [*file_problems(local.files, own, local.is_local), *name_problems(own)]
    if unread := [*unread, *reading_problems(needs, local, asked)]:
        raise _error(function.__name__, unread, origin)
    return CutOut(
        function.__name__,
        source,
        script_identity(source, local.files),
        tuple(LocalModule(path, source.text) for path, source in sorted(local.files.items())),
        tuple(sorted(local.external.values(), key=lambda module: module.name)),
        origin,
        tuple(str(local.root / path) for path in sorted(local.files)),
        lines,
        world_of(function, found, needs, local, asked, source, lines),
    )


def source_location(function: types.FunctionType) -> SourceLocation:
    """File and line of `def`; what Python remembers where the source cannot be found."""
    try:
        found = function_source(function)
    except DefinitionError:
        return place_of_function(function)
    return found.piece.at(found.node.lineno)


def _refuse_other_callables(function: types.FunctionType) -> None:
    if not isinstance(function, types.FunctionType):
        raise DefinitionError(f"{function!r} is not a plain function", hint="decorate a `def` at the top level")
    location = place_of_function(function)
    if function.__name__ == "<lambda>":
        raise DefinitionError("a lambda cannot be a stage", hint="give it a name with `def`", location=location)
    if hasattr(function, "__wrapped__"):
        raise DefinitionError(
            f"{function.__name__} is wrapped by another decorator, which the job would not see",
            hint="let the decorator of repx stand alone, and call the wrapped helper in the body",
            location=location,
        )
    outer = function.__qualname__.rpartition(".")[0]
    if outer and not outer.endswith("<locals>"):
        raise DefinitionError(
            f"{function.__qualname__} is a method", hint="make it a function at the top level", location=location
        )


def _signature_problems(function: types.FunctionType, found: FunctionSource) -> Iterator[Problem]:
    location = found.piece.at(found.node.lineno)
    name = function.__name__
    if isinstance(found.node, ast.AsyncFunctionDef):
        yield Problem(location, f"{name} is an async function", "write `def`, and asyncio.run(…) in the body")
    elif inspect.isgeneratorfunction(function):
        message = f"{name} is a generator, so that calling it runs nothing"
        yield Problem(location, message, "write results to outputs, not by yield")
    for star in (found.node.args.vararg, found.node.args.kwarg):
        if star is not None:
            message = f"{name} takes any number of arguments as {star.arg}"
            yield Problem(found.piece.at(star.lineno), message, "name every input, output and param of the stage")


def _local_files(found: FunctionSource, needs: NeededStatements) -> LocalFiles:
    module = found.module
    shown_root = Path(found.piece.file)
    for _ in range(len(module.package.split(".")) + 1 if module.package else 1):
        shown_root = shown_root.parent
    local = LocalFiles(module.root, Path() if module.is_notebook else shown_root)
    _follow_all(local, found, needs)
    return local


def _follow_all(local: LocalFiles, found: FunctionSource, needs: NeededStatements) -> None:
    for _, statement in sorted(needs.statements.items(), key=lambda item: item[0]):
        local.follow(_needed_imports(statement, found.module.package), statement.source)
    for name, place in sorted(needs.modules.items()):
        local.follow([Import(name, (), place.line, optional=False)], found.piece)
    # A script has no package, so the body's relative imports lead nowhere.
    local.follow(imports_of(found.node.body, ""), found.piece)


def _own_nodes(found: FunctionSource, needs: NeededStatements) -> list[tuple[SourceText, ast.AST]]:
    """What travels of the experiment's own file."""
    own: list[tuple[SourceText, ast.AST]] = [(one.source, one.node) for one in needs.statements.values()]
    return [*own, *((found.piece, one) for one in found.node.body)]


def _used_files(script: str, found: FunctionSource, needs: NeededStatements, whole: LocalFiles) -> LocalFiles:
    """The local modules with what the script uses of them."""
    modules = {name: Local(name, package_of(path, name), whole.files[path]) for path, name in whole.names.items()}
    texts = used_texts(tree_of(script), "", modules)
    used = LocalFiles(whole.root, whole.shown_root, texts={path: texts[name] for path, name in whole.names.items()})
    _follow_all(used, found, needs)
    return used


def _needed_imports(statement: Statement, package: str) -> Iterator[Import]:
    if statement.value is not None:
        return
    for node in _narrowed(statement):
        yield from imports_of([node], package)


def _narrowed(statement: Statement) -> list[ast.stmt]:
    """The statement; of an import only the names that are needed, each as an import of its own."""
    if not statement.aliases:
        return [statement.node]
    return [only(statement.node, alias) for _, alias in sorted(statement.aliases.items())]


def _error(name: str, problems: list[Problem], origin: SourceLocation) -> DefinitionError:
    if len(problems) == 1:
        problem = problems[0]
        return DefinitionError(
            f"stage {name!r} cannot be cut out: {problem.message}", hint=problem.hint, location=problem.location
        )
    ordered = sorted(problems, key=lambda problem: (problem.location.file, problem.location.line))
    return DefinitionError(
        f"stage {name!r} cannot be cut out: {len(problems)} problems",
        facts=[(str(problem.location), f"{problem.message}\n{problem.hint}") for problem in ordered],
        hint="correct all of these; the rest of the function was found in order",
        location=origin,
    )

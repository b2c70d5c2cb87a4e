"""Looks into distributions that are developed on this machine for imports that nothing of a stage's software brings.

Nobody has tried what such a package declares: it is imported here with all that is installed. Imports nothing itself.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from repx.agent.installed import editable_modules
from repx.dsl.source.imports import Import, imports_of
from repx.dsl.source.text import parsed, read
from repx.errors import Finding, SourceLocation
from repx.model.software import SoftwareRequest
from repx.realizer.checks.distributions import Distributions


def undeclared_imports(
    request: SoftwareRequest, software: Iterable[str], installed: Distributions
) -> Iterator[Finding]:
    """A finding for each module that importing a stage's own packages needs, and that its software does not bring.

    Own are the editable ones. Only what their modules import when they are imported counts: a function that nobody
    calls may need more.
    """
    brought = frozenset(software)
    places: dict[str, str] = {}
    for name in brought:
        places.update(editable_modules(installed.by_name[name]))
    if not places:
        return
    tops = {place.partition(".")[0]: path for place, path in places.items() if "/" not in place}
    waiting = [one.name for one in request.imports if one.name.partition(".")[0] in tops]
    seen: set[str] = set()
    told: set[str] = set()
    while waiting:
        module = waiting.pop()
        above = module.rpartition(".")[0]
        if module in seen:
            continue
        seen.add(module)
        waiting += [above] if above else []
        for path, item in _imports(module, tops):
            top = item.module.partition(".")[0]
            if top in tops:
                waiting += [item.module, *(f"{item.module}.{name}" for name in item.names)]
            elif _is_missing(item, top, brought, installed) and top not in told:
                told.add(top)
                message = f"'{module}' imports '{top}', which is not in the stage's software"
                remedy = f'add {top} to the dependencies of that package and install it anew, or "{top}" to packages'
                yield Finding(request.stage, SourceLocation(path, item.line), message, remedy)


def _is_missing(item: Import, top: str, brought: frozenset[str], installed: Distributions) -> bool:
    if item.optional or not top or top in sys.stdlib_module_names or top == "__future__":
        return False
    owners = installed.owners(top)
    return bool(owners) and brought.isdisjoint(owners)


def _imports(module: str, tops: Mapping[str, str]) -> Iterator[tuple[str, Import]]:
    """What a module imports when it is imported itself, with its file."""
    path, package = _file(module, tops)
    try:
        tree = parsed(path, read(Path(path))).tree if path else ast.Module([], [])
    except (OSError, SyntaxError, ValueError):
        return
    at_once = [one for one in tree.body if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    yield from ((path, item) for item in imports_of(at_once, package))


def _file(module: str, tops: Mapping[str, str]) -> tuple[str, str]:
    """The file of a module, and the package that its relative imports start in."""
    top, *inner = module.split(".")
    place = tops[top]
    if not inner and os.path.isfile(place):
        return (place, "") if place.endswith(".py") else ("", "")
    place = os.path.join(place, *inner)
    if os.path.isfile(f"{place}/__init__.py"):
        return f"{place}/__init__.py", module
    return (f"{place}.py", module.rpartition(".")[0]) if os.path.isfile(f"{place}.py") else ("", "")

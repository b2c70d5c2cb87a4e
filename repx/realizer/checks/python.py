"""Checks that scripts of Python stages compile and import only modules of the stage's software; imports none itself."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Iterator, Sequence

from repx.errors import Finding, SourceLocation
from repx.model.software import ImportedModule, SoftwareRequest
from repx.realizer.checks.distributions import Distributions, canonical_name


def check_python(
    requests: Sequence[SoftwareRequest], distributions: Distributions | None = None
) -> list[tuple[Finding, ...]]:
    """The findings for each request, in order; a Bash stage has none here.

    An import is allowed when it is of the standard library, or when a distribution that brings it is listed in
    `packages` (by its own name or by the module's) or is required, however indirectly, by one that is listed.
    """
    installed = distributions or Distributions()
    return [
        (*syntax_findings(request), *_import_findings(request, installed)) if request.kind == "python" else ()
        for request in requests
    ]


def syntax_findings(request: SoftwareRequest) -> Iterator[Finding]:
    """A finding when the Python that runs repx cannot compile the script."""
    line, problem = 1, ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning such as that of `"\d"` is not a reason to refuse
        try:
            compile(request.script, request.origin.file, "exec", dont_inherit=True)
        except SyntaxError as error:
            line, problem = error.lineno or 1, error.msg
        except (ValueError, RecursionError, MemoryError) as error:
            problem = str(error)
    if problem:
        place = SourceLocation(request.origin.file, request.origin.line + line - 1)
        yield Finding(request.stage, place, f"not valid Python: {problem}")


def _import_findings(request: SoftwareRequest, installed: Distributions) -> Iterator[Finding]:
    third_party = [module for module in request.imports if not module.optional and not _is_standard(module)]
    for module in request.imports:
        if module.optional and not _is_standard(module) and not installed.owners(_top(module)):
            yield from _unknown_origin(request, module)
    if not third_party:
        return
    allowed = installed.closure(request.packages)
    listed = {canonical_name(package) for package in request.packages}
    seen: set[str] = set()
    for module in third_party:
        top = _top(module)
        owners = installed.owners(top)
        if top in seen or any(owner in allowed for owner in owners):
            continue
        seen.add(top)
        if owners:
            message = f"module '{top}' is not in the stage's software"
            yield Finding(request.stage, module.location, message, f"add {either(owners)} to packages")
        elif not _is_importable(top):
            message = f"module '{top}' is not installed in {sys.executable}"
            remedy = "install it" if canonical_name(top) in listed else "install it and add it to packages"
            yield Finding(request.stage, module.location, message, remedy)
        else:
            yield from _unknown_origin(request, module)


def _unknown_origin(request: SoftwareRequest, module: ImportedModule) -> Iterator[Finding]:
    """A finding for a module that is here, and of no distribution."""
    if _is_importable(_top(module)):
        message = f"module '{_top(module)}' belongs to no installed distribution, so nothing can identify it"
        remedy = "install it as a package, or put it beside the experiment file"
        yield Finding(request.stage, module.location, message, remedy)


def optional_modules(request: SoftwareRequest, installed: Distributions) -> dict[str, tuple[str, ...]]:
    """The modules that a stage imports where they are installed, each with the distributions here that bring it."""
    tops = {_top(module) for module in request.imports if module.optional and not _is_standard(module)}
    return {top: installed.owners(top) for top in sorted(tops)}


def _top(module: ImportedModule) -> str:
    return module.name.partition(".")[0]


def _is_standard(module: ImportedModule) -> bool:
    return _top(module) in sys.stdlib_module_names or _top(module) == "__future__"


def _is_importable(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def either(names: Sequence[str]) -> str:
    """The names as a choice in a remedy: `"a" or "b"`."""
    return " or ".join(f'"{name}"' for name in names)

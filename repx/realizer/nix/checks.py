"""Checks stages against their own closures: every command of a Bash stage, every import of a Python stage.

The checks look into the packages that are on this machine. Before a build some packages are not, and then only what
is certainly wrong is a finding; after the build the checks look at everything.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from repx.errors import Finding
from repx.model.software import SoftwareRequest
from repx.realizer.base_programs import BASE_NAMES, BASE_PROGRAMS
from repx.realizer.checks.bash import check_bash
from repx.realizer.checks.memory import ScriptMemory
from repx.realizer.checks.python import either, syntax_findings
from repx.realizer.nix.contents import StoreContents
from repx.realizer.nix.evaluation import ListedPackage
from repx.realizer.nix.json import Package

MAY_BRING = 3
"""How many packages a remedy names at most."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a stage asks of a package set: its own attributes, those of the base, and the store paths of both."""

    packages: tuple[str, ...]
    base: tuple[str, ...]
    roots: tuple[str, ...]


class NixChecks:
    """The checks of one experiment.

    `scripts` has looked at all that are asked about; `is_there` tells which of some attributes the package set has.
    """

    def __init__(
        self,
        reference: str,
        packages: Mapping[str, Package],
        listed: Sequence[ListedPackage],
        contents: StoreContents,
        scripts: ScriptMemory,
        is_there: Callable[[Sequence[str]], frozenset[str]],
    ) -> None:
        self._reference = reference
        self._packages = packages
        self._listed = listed
        self._contents = contents
        self._scripts = scripts
        self._is_there = is_there

    def findings(
        self, requests: Sequence[tuple[SoftwareRequest, Asked]], *, is_built: bool
    ) -> list[tuple[Finding, ...]]:
        """The findings for each request, in order. After the build ShellCheck is not asked again."""
        asked = dict(requests)
        commands = _Commands(self, asked)
        lint = None if is_built else self._scripts.lint
        of_bash = check_bash([request for request, _ in requests], self._scripts.uses, commands, lint)
        return [
            (*found, *self._of_python(request, one, is_built=is_built))
            for found, (request, one) in zip(of_bash, requests, strict=True)
        ]

    def has_command(self, asked: Asked, name: str) -> bool | None:
        """Whether a stage has a command; None when only the build can tell."""
        own = self._contents.has_program(
            [one for attribute in asked.packages for one in self._packages[attribute].names], name
        )
        of_base = self._contents.has_program(self._base_with(asked, name), name)
        # BASE_PROGRAMS lists what the base has, so that a typo shows before the base is built.
        if own or of_base or (of_base is None and name in BASE_NAMES):
            return True
        if own is None and any(name in (one, self._packages[one].program) for one in asked.packages):
            return True
        return own

    def who_has_command(self, name: str) -> str:
        """A remedy that names the packages of the set that bring a command."""
        found = [one.attribute for one in self._listed if name in (one.attribute, one.program)]
        found += [one.attribute for one in self._listed if self._contents.has_program(one.names, name)]
        return self._remedy(found or sorted(self._is_there([name])), name)

    def _base_with(self, asked: Asked, name: str) -> Iterator[str]:
        """The store paths of the base that may have a command: those of the package that brings it, else all."""
        for attribute in asked.base:
            if name in BASE_PROGRAMS.get(attribute, ()) or name not in BASE_NAMES:
                yield from self._packages[attribute].names

    def _of_python(self, request: SoftwareRequest, asked: Asked, *, is_built: bool) -> Iterator[Finding]:
        if request.kind != "python":
            return
        if not is_built:
            yield from syntax_findings(request)
        names = [one for attribute in asked.packages for one in self._packages[attribute].names]
        if any(self._contents.place(name) is None for name in names):
            return
        pythons = self._contents.pythons(names)
        if not pythons:
            yield Finding(
                request.stage, request.origin, "none of its packages has a Python", 'add "python3" to packages'
            )
            return
        python = pythons[0]
        directories = python.module_directories(names)
        seen: set[str] = set()
        for module in request.imports:
            top = module.name.partition(".")[0]
            if module.optional or top in seen or _is_compiled_in(top) or python.has_module(top, directories):
                continue
            seen.add(top)
            message = f"module '{top}' is not in the stage's software"
            yield Finding(request.stage, module.location, message, self._who_has_module(top))

    def _who_has_module(self, top: str) -> str:
        found = [
            one.attribute for one in self._listed if any(self._contents.has_module(name, top) for name in one.names)
        ]
        if not found:
            spelled = [top, f"python3Packages.{top}", f"python3Packages.{top.replace('_', '-')}"]
            present = self._is_there(list(dict.fromkeys(spelled)))
            found = [name for name in spelled if name in present][:1]
        return self._remedy(found, top)

    def _remedy(self, found: Sequence[str], missing: str) -> str:
        # The package that has the same name comes first: most likely the user means that one.
        names = sorted(dict.fromkeys(found), key=lambda name: name.rpartition(".")[2] != missing)[:MAY_BRING]
        if names:
            return f"add {either(names)} to packages"
        return f"add a package that brings {missing} to {self._reference}, and its name to packages"


class _Commands:
    """The `CommandSource` of these checks."""

    def __init__(self, checks: NixChecks, asked: Mapping[SoftwareRequest, Asked]) -> None:
        self._checks = checks
        self._asked = asked

    def provides(self, request: SoftwareRequest, name: str) -> bool:
        # None, "only the build can tell", makes no finding: the same question comes again after the build.
        return self._checks.has_command(self._asked[request], name) is not False

    def remedy(self, name: str) -> str:
        return self._checks.who_has_command(name)


def _is_compiled_in(module: str) -> bool:
    """Whether a module of the standard library has no file of its own to look for: it may be inside the interpreter."""
    if module == "__future__" or module in sys.builtin_module_names:
        return True
    if module not in sys.stdlib_module_names:
        return False
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return False
    return found is not None and not str(found.origin or "").endswith(".py")

"""The package set `host()`: commands of this machine's PATH and distributions of this Python, identified by content.

Starts nothing but shfmt and ShellCheck. Such a Lab is not hermetic: a command's libraries are not part of its identity,
and of the base only what a script is seen to use is; the rest of it is an interface that any machine has.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from repx.agent.command_identity import (
    Shebang,
    command_identity,
    content_sha256,
    is_python,
    owners_of_script,
    reaches_elsewhere,
    shebang,
)
from repx.agent.host_path import HostManifest, PythonRecord, find_command, python_names
from repx.agent.installed import InstalledError, distribution_name
from repx.errors import Finding, did_you_mean
from repx.model.software import Json, Software, SoftwareRequest
from repx.process import RunProgram, run
from repx.realizer.base_programs import BASE_NAMES
from repx.realizer.checks.bash import check_bash, location
from repx.realizer.checks.bash_commands import CommandUse
from repx.realizer.checks.distributions import Distributions
from repx.realizer.checks.memory import ScriptMemory
from repx.realizer.checks.own_packages import undeclared_imports
from repx.realizer.checks.paths import path_notes
from repx.realizer.checks.python import check_python, optional_modules
from repx.realizer.companions import companions
from repx.store.writer import StoreWriter

ALWAYS_IN_BASH = ("bash", "mkdir", "rm")
"""What the runtime itself needs on a Bash stage's PATH."""

PYTHON_NAMES = python_names(platform.python_version())
"""These mean the interpreter that runs repx, whatever PATH says: a shim or another environment there is ignored."""


class HostSoftware:
    """The `SoftwareResolver` of `host()`; `search_path` is PATH unless given."""

    def __init__(
        self,
        search_path: str | None = None,
        run: RunProgram = run,
        distributions: Distributions | None = None,
        scripts: ScriptMemory | None = None,
    ) -> None:
        path = os.environ.get("PATH", os.defpath) if search_path is None else search_path
        self._commands = _Commands(path + os.pathsep + os.path.dirname(sys.executable))
        self._distributions = distributions or Distributions()
        self._scripts = scripts or ScriptMemory(None, run)

    def resolve(self, requests: Sequence[SoftwareRequest]) -> list[Software]:
        """One answer per request, in order. Raises SoftwareError when there is no ShellCheck for a Bash stage."""
        source = _HostCommands(self._commands, self._distributions)
        self._scripts.look_at(requests)
        uses = self._scripts.uses
        of_bash = check_bash(requests, uses, source, self._scripts.lint)
        of_python = check_python(requests, self._distributions)
        return [
            self._software(request, uses.get(request.script, ()), [*in_bash, *in_python])
            for request, in_bash, in_python in zip(requests, of_bash, of_python, strict=True)
        ]

    def realize(self, software: Iterable[Software], writer: StoreWriter, watch: Callable[[str], None]) -> None:
        """Nothing: a Lab of this package set says what was used, and carries none of it."""

    def _software(self, request: SoftwareRequest, uses: Sequence[CommandUse], findings: Sequence[Finding]) -> Software:
        wanted = _sort_packages(request, self._commands, self._distributions)
        found, commands = [*wanted.unknown, *findings], {}
        needed = dict.fromkeys(wanted.commands, request.origin)
        if request.kind == "bash":
            needed |= {use.name: location(request, use.line) for use in uses if use.name in BASE_NAMES}
            needed = dict.fromkeys(ALWAYS_IN_BASH, request.origin) | needed
        for name, place in sorted(needed.items()):
            digest = self._commands.digest(name)
            if digest is not None:
                commands[name] = digest
            else:
                found.append(Finding(request.stage, place, *self._commands.complaint(name)))
        brought = self._brought(list(commands), request)
        commands.update(brought.commands)
        optional = optional_modules(request, self._distributions)
        names = self._distributions.closure([*wanted.distributions, *brought.distributions, *_owners(optional)])
        found += undeclared_imports(request, names, self._distributions)
        distributions: dict[str, str] = {}
        for name in names:
            try:
                distributions[name] = self._distributions.identity(name)
            except InstalledError as error:
                found.append(Finding(request.stage, request.origin, str(error), "install it anew, by pip"))
        python = wanted.python or brought.python or request.kind == "python" or bool(distributions)
        base = () if request.kind == "package" else tuple(sorted(name for name in BASE_NAMES if self._has(name)))
        manifest = _manifest(commands, distributions, python, tuple(name for name in base if name not in commands))
        notes = (*path_notes(request, uses), *self._wrapper_notes(request))
        identity = (*_identity(commands, distributions, python), *_optional_lines(optional, distributions))
        return Software(tuple(sorted(identity)), manifest, tuple(found), notes=notes)

    def _has(self, name: str) -> bool:
        return self._commands.path(name) is not None

    def _wrapper_notes(self, request: SoftwareRequest) -> Iterator[Finding]:
        """Scripts among a stage's packages that start or read what lies elsewhere."""
        for name in request.packages:
            path = self._commands.path(name)
            if path is not None and self._commands.read_by(name) is not None and reaches_elsewhere(path):
                message = f"'{name}' is a wrapper ({path}), and what lies behind it is not tracked"
                remedy = "name what it starts in packages too, or give the stage a new version= when that changes"
                yield Finding(request.stage, request.origin, message, remedy)

    def _brought(self, names: list[str], request: SoftwareRequest) -> _Brought:
        """What commands start by name: their companions, and what reads a script that is found by `env`."""
        commands: dict[str, str] = {}
        distributions: list[str] = []
        python = False
        while names:
            name = names.pop()
            started = list(companions(name)) if name in request.packages or name in commands else []
            path = self._commands.path(name)
            read_by = self._commands.read_by(name)
            if path is not None and read_by is not None and read_by.by_env:
                if is_python(read_by.program):
                    python = True
                    distributions += [distribution_name(one) for one in owners_of_script(path, read_by)]
                else:
                    started.append(read_by.program)
            for one in started:
                digest = self._commands.digest(one)
                if digest is not None and one not in commands:
                    commands[one] = digest
                    names.append(one)
        return _Brought(commands, tuple(distributions), python)


class _Brought(NamedTuple):
    """What comes along with the commands of a stage."""

    commands: dict[str, str]
    distributions: tuple[str, ...]
    python: bool


@dataclass(slots=True)
class _Commands:
    """The commands of a search path, each looked up and read once."""

    search_path: str
    _paths: dict[str, str | None] = field(default_factory=dict)
    _digests: dict[str, str | None] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def path(self, name: str) -> str | None:
        if name not in self._paths:
            self._paths[name] = find_command(name, self.search_path)
        return self._paths[name]

    def digest(self, name: str) -> str | None:
        """What identifies the file that the name finally means; None when it is not here or may not be read."""
        if name not in self._digests:
            path = self.path(name)
            try:
                self._digests[name] = command_identity(path) if path else None
            except OSError:
                self._digests[name] = None
        return self._digests[name]

    def read_by(self, name: str) -> Shebang | None:
        """What reads the script that a command is; None for a program."""
        path = self.path(name)
        try:
            return shebang(path) if path else None
        except OSError:
            return None

    def complaint(self, name: str) -> tuple[str, str]:
        """Message and remedy for a command that has no digest."""
        path = self.path(name)
        if path is not None:
            return f"command '{name}' cannot be read, so nothing can identify it", f"make {path} readable"
        return f"command '{name}' is not on this machine", f"install {name}"

    def near(self, name: str, but: Collection[str] = ()) -> str:
        """A hint that names commands of similar spelling, or nothing."""
        if not self._names:
            for directory in self.search_path.split(os.pathsep):
                try:
                    self._names.update(os.listdir(directory))
                except OSError:
                    continue
        return did_you_mean(name, self._names.difference(but))


@dataclass(frozen=True, slots=True)
class _HostCommands:
    """The `CommandSource` of this machine: what is listed, and Python for those who list it or a distribution."""

    commands: _Commands
    distributions: Distributions

    def provides(self, request: SoftwareRequest, name: str) -> bool:
        if name in PYTHON_NAMES:
            return _sort_packages(request, self.commands, self.distributions).python
        if name in BASE_NAMES:
            return True
        is_only_a_distribution = self.commands.path(name) is None and bool(self.distributions.find(name))
        return name in request.packages and not is_only_a_distribution

    def remedy(self, name: str) -> str:
        if name in PYTHON_NAMES or self.commands.path(name):
            return f'add "{name}" to packages; this machine has it'
        install = f'install {name}, which this machine does not have, and add "{name}" to packages'
        near = self.commands.near(name)
        return f"{install}; {near}" if near else install


@dataclass(frozen=True, slots=True)
class _Packages:
    """A stage's `packages`, sorted by what each of them is."""

    python: bool
    commands: tuple[str, ...]
    distributions: tuple[str, ...]
    unknown: tuple[Finding, ...]


def _sort_packages(request: SoftwareRequest, commands: _Commands, installed: Distributions) -> _Packages:
    """A command of this machine, else a distribution. In a Python stage a name may be both: it imports `pytest`."""
    found: list[str] = []
    distributions: list[str] = []
    unknown: list[Finding] = []
    for name in dict.fromkeys(request.packages):
        if name in PYTHON_NAMES:
            continue
        is_command = commands.path(name) is not None
        is_distribution = (request.kind == "python" or not is_command) and bool(installed.find(name))
        if is_command:
            found.append(name)
        if is_distribution:
            distributions.append(name)
        if not (is_command or is_distribution):
            message = f"package '{name}' is neither a command of this machine nor an installed Python distribution"
            unknown.append(Finding(request.stage, request.origin, message, _unknown_remedy(name, commands, installed)))
    python = bool(distributions) or any(name in PYTHON_NAMES for name in request.packages)
    return _Packages(python, tuple(found), tuple(distributions), tuple(unknown))


def _unknown_remedy(name: str, commands: _Commands, installed: Distributions) -> str:
    # What everybody has needs no listing: who lists `torch` does not mean `touch`.
    near = did_you_mean(name, installed.by_name) or commands.near(name, but=BASE_NAMES)
    return near or f"install {name}, or take it from packages"


def _identity(commands: dict[str, str], distributions: dict[str, str], python: bool) -> tuple[tuple[str, str], ...]:
    lines = [(f"command.{name}", digest) for name, digest in commands.items()]
    lines += [(f"distribution.{name}", version) for name, version in distributions.items()]
    if python:
        lines += [
            ("python", f"{platform.python_implementation()} {platform.python_version()}"),
            ("python.sha256", content_sha256(sys.executable)),
        ]
    return tuple(sorted(lines))


def _owners(optional: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for owners in optional.values():
        yield from owners


def _optional_lines(
    optional: Mapping[str, tuple[str, ...]], distributions: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """What an import finds that may find nothing: it decides what the code does."""
    for module, owners in optional.items():
        found = [f"{owner} {distributions[owner]}" for owner in owners if owner in distributions]
        yield f"optional.{module}", ", ".join(found) or "absent"


def _manifest(
    commands: dict[str, str], distributions: dict[str, str], python: bool, base: tuple[str, ...]
) -> dict[str, Json]:
    record = None
    if python:
        implementation, digest = platform.python_implementation(), content_sha256(sys.executable)
        record = PythonRecord(implementation, platform.python_version(), digest)
    return HostManifest(dict(sorted(commands.items())), distributions, record, base).json()

"""The Python distributions installed beside repx: versions, requirements, modules; imports none of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from repx.agent.base.files import read_if_there
from repx.agent.installed import distribution_name, installed, top_modules

if TYPE_CHECKING:
    import importlib.metadata

    from packaging.requirements import Requirement


def canonical_name(name: str) -> str:
    """A distribution's name as all its spellings have it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Distributions:
    """The distributions on `path`, which is `sys.path` unless given; read when they are asked for."""

    def __init__(self, path: Sequence[str] | None = None) -> None:
        self._path = None if path is None else list(path)
        self._identities: dict[str, str] = {}
        self._parsed: dict[str, tuple[Requirement, ...]] = {}
        self._bringing: dict[str, tuple[str, ...]] = {}

    @cached_property
    def by_name(self) -> Mapping[str, importlib.metadata.Distribution]:
        """Normalised name (PEP 503) to distribution; the first on the path counts, as for imports."""
        import importlib.metadata  # it is slow to load, as is packaging, and a Lab of Bash stages asks neither

        found: dict[str, importlib.metadata.Distribution] = {}
        there = importlib.metadata.distributions
        for distribution in there() if self._path is None else there(path=self._path):
            if name := distribution_name(distribution):
                found.setdefault(canonical_name(name), distribution)
        return found

    def _bring(self, module: str) -> tuple[str, ...]:
        """The distributions that bring a top-level module. Their RECORDs are searched as they are: to take all of them
        apart, as `importlib.metadata.packages_distributions` does, takes ten times as long.
        """
        if module not in self._bringing:
            name = re.escape(module.encode("utf-8", "surrogateescape"))
            line = re.compile(rb'^"?%s(?:/|(?:\.[^/,"]*)?\.(?:py|so|pyd)[,"])' % name, re.MULTILINE)
            found = [one for one, record in self._records.items() if record and line.search(record)]
            found += [one for one, modules in self._unrecorded.items() if module in modules]
            self._bringing[module] = tuple(sorted(set(found)))
        return self._bringing[module]

    @cached_property
    def _records(self) -> dict[str, bytes]:
        """The text of each distribution's RECORD; empty where there is none, or where it does not name the modules."""
        found = {}
        for name, distribution in self.by_name.items():
            record = read_if_there(f"{getattr(distribution, '_path', '')}/RECORD") or b""
            found[name] = b"" if b".dist-info/direct_url.json," in record else record
        return found

    @cached_property
    def _unrecorded(self) -> dict[str, frozenset[str]]:
        """The modules of those whose RECORD does not say it: what is installed in editable form, or by old tools."""
        found = {}
        for name, record in self._records.items():
            if not record:
                try:
                    found[name] = frozenset(top_modules(self.by_name[name]))
                except OSError:
                    continue
        return found

    def find(self, package: str) -> tuple[str, ...]:
        """The distributions that `package` may mean: its own name, else the module of that name; none if unknown."""
        name = canonical_name(_requirement_name(package))
        return (name,) if name in self.by_name else self._bring(package)

    def owners(self, module: str) -> tuple[str, ...]:
        """The distributions that bring a top-level module, else the one of its name."""
        name = canonical_name(module)
        return self._bring(module) or ((name,) if name in self.by_name else ())

    def closure(self, packages: Iterable[str]) -> tuple[str, ...]:
        """Normalised names of the distributions of `packages` and of all they require, sorted.

        Markers are evaluated for this interpreter, an extra counts where a package asks for it, and what is not
        installed is left out.
        """
        pending = [(name, frozenset(_extras(package))) for package in packages for name in self.find(package)]
        seen: set[tuple[str, frozenset[str]]] = set()
        while pending:
            name, extras = pending.pop()
            if (name, extras) in seen or name not in self.by_name:
                continue
            seen.add((name, extras))
            for requirement in self._requirements(name):
                if _applies(requirement, extras):
                    pending.append((canonical_name(requirement.name), frozenset(requirement.extras)))
        return tuple(sorted({name for name, _ in seen}))

    def identity(self, name: str) -> str:
        """Version and digest of a distribution, read once. Raises InstalledError."""
        if name not in self._identities:
            self._identities[name] = installed(self.by_name[name]).identity
        return self._identities[name]

    def _requirements(self, name: str) -> tuple[Requirement, ...]:
        if name not in self._parsed:
            self._parsed[name] = tuple(_parsed(self.by_name[name].requires or []))
        return self._parsed[name]


def _parsed(lines: Iterable[str]) -> Iterable[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in lines:
        try:
            yield Requirement(line)
        except InvalidRequirement:  # metadata from before the standard (PEP 508); pip ignores such lines too
            continue


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})


def _requirement_name(package: str) -> str:
    return package.partition("[")[0]


def _extras(package: str) -> Iterable[str]:
    inside = package.partition("[")[2].rstrip("]")
    return [extra.strip() for extra in inside.split(",") if extra.strip()]

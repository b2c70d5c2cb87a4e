"""The Python distributions installed beside repx: versions, requirements, modules; imports none of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from repx.agent.installed import installed

if TYPE_CHECKING:
    import importlib.metadata

    from packaging.requirements import Requirement


def canonical_name(name: str) -> str:
    """A distribution's name as all its spellings have it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Distributions:
    """The distributions that `importlib.metadata` finds in this process; read at the first question, and once."""

    @cached_property
    def by_name(self) -> Mapping[str, importlib.metadata.Distribution]:
        """Normalised name (PEP 503) to distribution; the first on `sys.path` counts, as for imports."""
        import importlib.metadata  # it is slow to load, as is packaging, and a Lab of Bash stages asks neither

        found: dict[str, importlib.metadata.Distribution] = {}
        for distribution in importlib.metadata.distributions():
            name = distribution.metadata["Name"]
            if name:
                found.setdefault(canonical_name(name), distribution)
        return found

    @cached_property
    def by_module(self) -> Mapping[str, tuple[str, ...]]:
        """Top-level module to the normalised names of the distributions that bring it."""
        import importlib.metadata

        modules = importlib.metadata.packages_distributions()
        return {module: tuple(sorted({canonical_name(n) for n in names})) for module, names in modules.items()}

    def find(self, package: str) -> tuple[str, ...]:
        """The distributions that `package` may mean: its own name, else the module of that name; none if unknown."""
        name = canonical_name(_requirement_name(package))
        return (name,) if name in self.by_name else self.by_module.get(package, ())

    def owners(self, module: str) -> tuple[str, ...]:
        """The distributions that bring a top-level module; editable installations are known by their name only."""
        name = canonical_name(module)
        return self.by_module.get(module, ()) or ((name,) if name in self.by_name else ())

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

    @cached_property
    def _identities(self) -> dict[str, str]:
        return {}

    @cached_property
    def _parsed(self) -> dict[str, tuple[Requirement, ...]]:
        return {}


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

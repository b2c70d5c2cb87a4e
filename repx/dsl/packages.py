"""Package sets as the user names them: this machine, or a flake; looks at none of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from repx.dsl.caller import caller
from repx.errors import DefinitionError, SourceLocation


@dataclass(frozen=True, slots=True)
class HostPackages:
    """The package set of this machine."""


@dataclass(frozen=True, slots=True)
class NixPackages:
    """The package set of a flake; `base` is the folder that a relative reference is relative to."""

    flake: str
    base: str
    location: SourceLocation | None


Packages = HostPackages | NixPackages


def host() -> HostPackages:
    """Software of this machine, identified by content. Such a Lab is not hermetic: elsewhere it must find the same."""
    return HostPackages()


def nix(flake: str | os.PathLike[str]) -> NixPackages:
    """The packages of a flake: a folder with `flake.nix` (relative to the experiment), or a pinned flake reference.

    They are built by Nix when the Lab is realized, identified by their store paths, and travel in the Lab with all they
    refer to. Raises DefinitionError.
    """
    location = caller()
    return nix_packages(flake, package_base(location.file), location)


def nix_packages(flake: str | os.PathLike[str], base: str, location: SourceLocation | None) -> NixPackages:
    """`nix(flake)` for a caller that is not an experiment: a relative folder is relative to `base`."""
    reference = os.fspath(flake) if isinstance(flake, str | os.PathLike) else flake
    if not isinstance(reference, str) or not reference.strip():
        raise DefinitionError(
            f"nix() was given {flake!r}", location=location, hint='give the folder of a flake: nix("./nix")'
        )
    return NixPackages(reference, base, location)


def package_base(path: str) -> str:
    """The folder that a relative path in the caller's file is relative to."""
    file = Path(path)
    return str(file.resolve().parent) if file.exists() else str(Path.cwd())

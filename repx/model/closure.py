"""Closures: store paths with their NAR hashes and references, as a Lab records them; values that read nothing.

A store path's *name* is its last part, `<32 digits>-<name>`: it stands below /nix/store on the machine that builds,
below `store/` in a Lab, below `objects/` in a store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from repx.agent.base.digest import NIX_ALPHABET

STORE_DIR = "/nix/store"
"""Where programs of a closure look for each other: the paths are inside them, and cannot be others."""

FORMAT = 1

_NAME = re.compile(rf"[{NIX_ALPHABET}]{{32}}-[0-9a-zA-Z+._?=-]{{1,211}}")


@dataclass(frozen=True, slots=True)
class StorePath:
    """One store path: its name, SHA-256 (hex) and size of its NAR, and the names it refers to, sorted."""

    name: str
    nar_sha256: str
    nar_size: int
    references: tuple[str, ...]

    @property
    def path(self) -> str:
        """Where its programs believe it to be."""
        return f"{STORE_DIR}/{self.name}"


@dataclass(frozen=True, slots=True)
class Flake:
    """A package set that is pinned: as the user wrote it, its source's NAR hash or commit, its lock's digest."""

    reference: str
    revision: str
    lock: str
    system: str


@dataclass(frozen=True, slots=True)
class Closure:
    """All store paths of a Lab, by name, and where they come from; `tools` are those the runtime itself is to have."""

    flake: Flake
    paths: Mapping[str, StorePath]
    tools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Attribute to the store paths of its package."""

    def of(self, roots: Iterable[str]) -> list[str]:
        """Everything reachable from some names, sorted. KeyError for a name that is not here."""
        found: set[str] = set()
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(self.paths[name].references)
        return sorted(found)

    def json(self) -> dict[str, Any]:
        """What a Lab says of its closure."""
        flake = self.flake
        return {
            "format": FORMAT,
            "flake": flake.reference,
            "revision": flake.revision,
            "lock": flake.lock,
            "system": flake.system,
            "paths": [
                {
                    "name": one.name.partition("-")[2],
                    "path": one.path,
                    "narHash": f"sha256:{one.nar_sha256}",
                    "narSize": one.nar_size,
                    "references": [f"{STORE_DIR}/{name}" for name in one.references],
                }
                for _, one in sorted(self.paths.items())
            ],
        }


def is_store_name(name: object) -> bool:
    """Whether a text is the last part of a store path; nothing else may stand for one in a path."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def name_of(path: str) -> str:
    """The name of the store path that `path` is or lies in. Raises ValueError for anything else."""
    name = path.removeprefix(f"{STORE_DIR}/").partition("/")[0]
    if not is_store_name(name):
        raise ValueError(f"{path!r} is not a store path")
    return name


def parse_closure(content: Mapping[str, Any]) -> Closure:
    """The closure that a Lab's file says. Raises ValueError with what is wrong with it."""
    if content.get("format") != FORMAT:
        raise ValueError(f"its format is {content.get('format')!r}, not {FORMAT}")
    texts = [content.get(key) for key in ("flake", "revision", "lock", "system")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("it does not say which flake it is of")
    listed = content.get("paths")
    if not isinstance(listed, list):
        raise ValueError("it lists no paths")
    paths = {one.name: one for one in map(_parse_path, listed)}
    if len(paths) != len(listed):
        raise ValueError("it lists a path twice")
    for one in paths.values():
        missing = [name for name in one.references if name not in paths]
        if missing:
            raise ValueError(f"{one.name} refers to {missing[0]}, which is not in it")
    return Closure(Flake(*(str(text) for text in texts)), paths)


def _parse_path(entry: Any) -> StorePath:
    try:
        kind, _, digest = entry["narHash"].partition(":")
        if kind != "sha256" or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError(f"narHash is {entry['narHash']!r}")
        size = entry["narSize"]
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ValueError(f"narSize is {size!r}")
        return StorePath(_whole(entry["path"]), digest, size, tuple(sorted(map(_whole, entry["references"]))))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"an entry of its paths is broken: {error}") from None


def _whole(path: str) -> str:
    if not path.startswith(f"{STORE_DIR}/") or not is_store_name(path[len(STORE_DIR) + 1 :]):
        raise ValueError(f"{path!r} is not a store path")
    return path[len(STORE_DIR) + 1 :]

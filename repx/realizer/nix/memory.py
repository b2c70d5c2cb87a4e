"""Keeps what Nix has answered for one package set, so that Nix need not be asked again; may be deleted at any time.

One JSON file for each state of a flake, below `$XDG_CACHE_HOME/repx/nix`: a changed flake or lock is another file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from repx.agent.base.files import publish_file, read_if_there
from repx.model.closure import StorePath, is_store_name
from repx.realizer.cache import cache_directory
from repx.realizer.nix.evaluation import ListedPackage
from repx.realizer.nix.json import FlakeState, Package

FORMAT = 2


class NixMemory:
    """The answers for one state of a package set. A file that cannot be read counts as missing."""

    def __init__(self, directory: str, key: str) -> None:
        self._path = f"{directory}/{key}.json"
        self.state: FlakeState | None = None
        self.packages: dict[str, Package] = {}
        self.lacking: frozenset[str] = frozenset()
        """The optional packages that the set does not have."""
        self.listed: tuple[ListedPackage, ...] = ()
        self.paths: dict[str, StorePath] = {}
        try:
            self._read(json.loads(read_if_there(self._path) or b"{}"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.state, self.packages, self.lacking, self.listed, self.paths = None, {}, frozenset(), (), {}

    def knows(self, required: Iterable[str], optional: Iterable[str] = ()) -> bool:
        """Whether the required packages have been evaluated, and Nix has told which optional ones the set has."""
        if self.state is None or not all(name in self.packages for name in required):
            return False
        return all(name in self.packages or name in self.lacking for name in optional)

    def knows_closure(self, names: Iterable[str]) -> bool:
        """Whether Nix has told everything that is reachable from these store paths."""
        waiting, seen = list(names), set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if name not in self.paths:
                return False
            waiting.extend(self.paths[name].references)
        return True

    def keep(self) -> None:
        """Write the file. Where that fails, Nix is asked again the next time."""
        assert self.state is not None
        content = {
            "format": FORMAT,
            "url": self.state.url,
            "revision": self.state.revision,
            "lock": self.state.lock,
            "packages": {
                name: [one.drv, list(one.outputs), one.program, one.version, list(one.names)]
                for name, one in self.packages.items()
            },
            "lacking": sorted(self.lacking),
            "listed": [[attribute, program, list(names)] for attribute, program, names in self.listed],
            "paths": {one.name: [one.nar_sha256, one.nar_size, list(one.references)] for one in self.paths.values()},
        }
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            publish_file(self._path, json.dumps(content, sort_keys=True).encode())
        except OSError:
            return

    def _read(self, content: Mapping[str, Any]) -> None:
        if content.get("format") != FORMAT:
            return
        for name, (drv, outputs, program, version, names) in content["packages"].items():
            if not all(map(is_store_name, names)):
                raise ValueError(name)
            self.packages[name] = Package(drv, tuple(outputs), program, version, tuple(names))
        self.lacking = frozenset(content["lacking"])
        self.listed = tuple(
            ListedPackage(attribute, program, tuple(names)) for attribute, program, names in content["listed"]
        )
        for name, (digest, size, references) in content["paths"].items():
            if not all(map(is_store_name, [name, *references])):
                raise ValueError(name)
            self.paths[name] = StorePath(name, digest, size, tuple(references))
        self.state = FlakeState(content["url"], content["revision"], content["lock"])


def memory_directory() -> str:
    """The directory of the files, in the user's cache."""
    return f"{cache_directory()}/nix"

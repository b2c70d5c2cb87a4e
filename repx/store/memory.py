"""What the inputs of one experiment were when they were last hashed, so that what was left alone is read once.

Only a shortcut, as everything in `verified/`: removing it costs one reading. Verifying a Lab never asks it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from repx.agent.base.digest import canonical_json, digest_of_text
from repx.agent.base.files import publish_file, read_if_there
from repx.agent.base.layout import Store

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class KnownObject:
    """A tree below `objects/`: what it looked like when its content was hashed, and the SHA-256 of each file in it."""

    looks: str
    files: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Memory:
    """Digests of the user's files by their looks, and the objects made of them by name.

    `sources` and `objects` are what was known; what is noted is what will be known the next time.
    """

    path: str
    sources: Mapping[str, str] = field(default_factory=dict)
    objects: Mapping[str, KnownObject] = field(default_factory=dict)
    _noted_sources: dict[str, str] = field(default_factory=dict)
    _noted_objects: dict[str, KnownObject] = field(default_factory=dict)

    def note_source(self, looks: str, digest: str) -> None:
        """A tree of the user's has this digest."""
        self._noted_sources[looks] = digest

    def note_object(self, name: str, known: KnownObject) -> None:
        """An object has what its name says."""
        self._noted_objects[name] = known

    def has_noted(self, name: str) -> bool:
        """Whether an object has been looked at already."""
        return name in self._noted_objects

    def keep(self) -> None:
        """Write down what was noted, and nothing of what was known before: what nobody uses any more is forgotten."""
        if self._noted_sources == self.sources and self._noted_objects == self.objects:
            return
        objects = {name: [one.looks, [list(file) for file in one.files]] for name, one in self._noted_objects.items()}
        content = {"format": _FORMAT, "sources": self._noted_sources, "objects": objects}
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            publish_file(self.path, canonical_json(content).encode("utf-8", "surrogatepass"))
        except OSError:
            # Remembering saves time and nothing else.
            return


def open_memory(store: Store, experiment: str) -> Memory:
    """What a store knows of the inputs of an experiment, which is named by an absolute path."""
    path = f"{store.verified}/{digest_of_text(experiment)}.inputs"
    try:
        return _parsed(path, read_if_there(path) or b"")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Memory(path)


def _parsed(path: str, data: bytes) -> Memory:
    content = json.loads(data.decode("utf-8", "surrogatepass"))
    if content["format"] != _FORMAT:
        return Memory(path)
    sources = {str(looks): str(digest) for looks, digest in content["sources"].items()}
    objects = {
        str(name): KnownObject(str(looks), tuple((str(place), str(sha256)) for place, sha256 in files))
        for name, (looks, files) in content["objects"].items()
    }
    return Memory(path, sources, objects)

"""Files and trees stored once, each named by its content; what is there already is compared with its name first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from repx.agent.base.digest import TreeError, tree_content
from repx.agent.base.files import copy_tree, remove_tree
from repx.agent.base.looks import looks_of_object
from repx.agent.base.modes import make_read_only
from repx.agent.base.publisher import Waiting
from repx.errors import StoreError
from repx.model.values import StoredPath
from repx.store.memory import KnownObject
from repx.store.writer import StoreWriter

Files = tuple[tuple[str, str], ...]
"""The files of a tree: path below its top ("" for the top itself), SHA-256."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Where a stored path is below `objects/`, and what is in it."""

    place: str
    files: Files


def add_objects(writer: StoreWriter, paths: Iterable[StoredPath]) -> Mapping[StoredPath, StoredObject]:
    """Have some paths below `objects/`: copied or downloaded to there if they are new, or not what they should be.

    Raises StoreError when one changed meanwhile, or when no URL gives it.
    """
    with Waiting(writer.publisher) as waiting:
        adding = _Adding(writer, waiting)
        return {path: adding.stored(path) for path in dict.fromkeys(paths)}


@dataclass(frozen=True, slots=True)
class _Adding:
    writer: StoreWriter
    waiting: Waiting

    def stored(self, path: StoredPath) -> StoredObject:
        if path.looks:
            self.writer.memory.note_source(path.looks, path.digest)
        name = path.stored
        target = f"{self.writer.store.objects}/{name}"
        files = self._files_of(name, target, path.digest)
        if files is None:
            files = self._download(path, target) if path.download is not None else self._copy(path, name, target)
        return StoredObject(target, files)

    def _files_of(self, name: str, target: str, digest: str) -> Files | None:
        """The files of an object that is what its name says; one that is not is taken away."""
        try:
            looks = looks_of_object(target)
        except FileNotFoundError:
            return None
        known = self.writer.memory.objects.get(name)
        if known is None or known.looks != looks:
            try:
                content = tree_content(target)
            except TreeError:
                content = None
            if content is None or content.digest != digest:
                self.writer.publisher.discard(target)
                return None
            known = KnownObject(looks, content.files)
        self.writer.memory.note_object(name, known)
        return known.files

    def _download(self, path: StoredPath, target: str) -> Files:
        # Imported here: HTTP and TLS take 20 ms to load, and most Labs have nothing to download.
        from repx.store.transfer.download import download

        assert path.download is not None
        part = f"{self.writer.store.tmp}/fetch-{path.download.sha256}.part"
        download(path.download, path.name, part=part, target=target)
        return (("", path.download.sha256),)

    def _copy(self, path: StoredPath, name: str, target: str) -> Files:
        beside = self.writer.new_place("object")
        try:
            copy_tree(os.path.realpath(path.source), beside, path.left_out)
            content = tree_content(beside)
            if content.digest != path.digest:
                raise StoreError(
                    f"{path.name!r} changed while it was being stored",
                    facts=[("path", path.source)],
                    hint="run the command again",
                )
            make_read_only(beside)
            self.writer.memory.note_object(name, KnownObject(looks_of_object(beside), content.files))
        except BaseException as error:
            remove_tree(beside)
            if isinstance(error, TreeError):
                raise StoreError(
                    f"{path.name!r} cannot be stored: {error.reason}", facts=[("path", error.path)]
                ) from None
            raise
        self.waiting.add(target, beside, content.size)
        return content.files

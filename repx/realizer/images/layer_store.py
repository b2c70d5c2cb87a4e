"""Layers kept once for all images of a store; does not know what is in a layer, nor what an image is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from repx.agent.base.digest import file_sha256
from repx.agent.base.files import read_if_there, remove_tree, write_file
from repx.agent.base.looks import looks_of_object
from repx.agent.base.modes import make_read_only
from repx.agent.base.publisher import Waiting
from repx.errors import StoreError
from repx.realizer.images.layer import write_layer
from repx.realizer.images.plan import BaseLayer, Layer
from repx.store.memory import KnownObject
from repx.store.writer import StoreWriter

_SUM = re.compile(rb"([0-9a-f]{64})  layer\.tar\n")


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer that is on disk: its tar file, that file's SHA-256 (hex) and size; `is_new` when it had to be written."""

    layer: Layer | BaseLayer
    path: str
    sha256: str
    size: int
    is_new: bool


class LayerStore:
    """Layers below `<objects>/<identity>-layer/`: `layer.tar`, and `sha256`, which sha256sum(1) can check."""

    def __init__(self, writer: StoreWriter) -> None:
        self._writer = writer

    def take(self, layers: Iterable[Layer | BaseLayer]) -> list[StoredLayer]:
        """Each layer's file, in order. Only what is new or broken is written, all of it flushed before any has a name.

        Raises SoftwareError for a tree that no image can hold, StoreError for a broken or changing one, OSError.
        """
        wanted = list(layers)
        new: set[Layer | BaseLayer] = set()
        with Waiting(self._writer.publisher) as waiting:
            for layer in dict.fromkeys(wanted):
                if not self._is_whole(layer):
                    new.add(layer)
                    self._write(layer, waiting)
        found = [self._find(layer, is_new=layer in new) for layer in wanted]
        if None in found:
            gone = self._directory(wanted[found.index(None)].identity)
            raise StoreError("a layer was removed while it was in use", facts=[("path", gone)], hint="try again")
        return [layer for layer in found if layer is not None]

    def _directory(self, identity: str) -> str:
        return f"{self._writer.store.objects}/{identity}-layer"

    def _find(self, layer: Layer | BaseLayer, *, is_new: bool = False) -> StoredLayer | None:
        """A layer that is there whole; not one that somebody has begun to delete."""
        directory = self._directory(layer.identity)
        match = _SUM.fullmatch(read_if_there(f"{directory}/sha256") or b"")
        path = f"{directory}/layer.tar"
        if match is None or not os.path.exists(path):
            return None
        return StoredLayer(layer, path, match[1].decode(), os.stat(path).st_size, is_new)

    def _is_whole(self, layer: Layer | BaseLayer) -> bool:
        """Whether a layer is there with the sum that it is said to have; what is there otherwise is taken away."""
        directory, name = self._directory(layer.identity), f"{layer.identity}-layer"
        memory = self._writer.memory
        found = self._find(layer)
        if found is not None:
            known = KnownObject(looks_of_object(directory), (("layer.tar", found.sha256),))
            if memory.objects.get(name) == known or file_sha256(found.path) == found.sha256:
                memory.note_object(name, known)
                return True
        self._writer.publisher.discard(directory)
        return False

    def _write(self, layer: Layer | BaseLayer, waiting: Waiting) -> None:
        beside = self._writer.new_place("layer")
        try:
            os.mkdir(beside)
            sha256, size = write_layer(layer, f"{beside}/layer.tar")
            write_file(f"{beside}/sha256", b"%s  layer.tar\n" % sha256.encode())
            make_read_only(beside)
        except BaseException:
            remove_tree(beside)
            raise
        waiting.add(self._directory(layer.identity), beside, size)

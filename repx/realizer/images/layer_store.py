"""Layers kept once for all images of a store; does not know what is in a layer, nor what an image is."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from repx.agent.base.files import make_read_only, read_if_there, remove_tree, sync_filesystem, write_file
from repx.errors import StoreError
from repx.realizer.images.layer import write_layer
from repx.realizer.images.plan import BaseLayer, Layer

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
    """Layers below `<objects>/<identity>-layer/`: `layer.tar`, and `sha256`, which sha256sum(1) can check.

    `tmp` is a directory of the same file system, for what is not finished.
    """

    def __init__(self, objects: str, tmp: str) -> None:
        self._objects = objects
        self._tmp = tmp

    def take(self, layers: Iterable[Layer | BaseLayer]) -> list[StoredLayer]:
        """Each layer's file, in order. Only what is new is written, and all of it flushed before any gets its name.

        Raises SoftwareError for a tree that no image can hold, StoreError for a broken or changing one, OSError.
        """
        wanted = list(layers)
        aside: dict[Layer | BaseLayer, str] = {}
        try:
            for layer in wanted:
                if layer not in aside and self._find(layer) is None:
                    aside[layer] = beside = f"{self._tmp}/layer-{uuid.uuid4().hex}"
                    self._write(layer, beside)
            if aside:
                sync_filesystem(self._tmp)
            for layer, beside in aside.items():
                self._publish(layer, beside)
        finally:
            for beside in aside.values():
                remove_tree(beside)
        found = [self._find(layer, is_new=layer in aside) for layer in wanted]
        if None in found:
            gone = self._directory(wanted[found.index(None)].identity)
            raise StoreError("a layer was removed while it was in use", facts=[("path", gone)], hint="try again")
        return [layer for layer in found if layer is not None]

    def _directory(self, identity: str) -> str:
        return f"{self._objects}/{identity}-layer"

    def _find(self, layer: Layer | BaseLayer, *, is_new: bool = False) -> StoredLayer | None:
        """A layer that is there whole; not one that somebody has begun to delete."""
        directory = self._directory(layer.identity)
        match = _SUM.fullmatch(read_if_there(f"{directory}/sha256") or b"")
        path = f"{directory}/layer.tar"
        if match is None or not os.path.exists(path):
            return None
        return StoredLayer(layer, path, match[1].decode(), os.stat(path).st_size, is_new)

    def _write(self, layer: Layer | BaseLayer, directory: str) -> None:
        os.mkdir(directory)
        sha256, _ = write_layer(layer, f"{directory}/layer.tar")
        write_file(f"{directory}/sha256", b"%s  layer.tar\n" % sha256.encode())

    def _publish(self, layer: Layer | BaseLayer, beside: str) -> None:
        """Give a finished layer its name; somebody else's equal one is as good, unless half of it is gone."""
        target = self._directory(layer.identity)
        if os.path.lexists(target) and self._find(layer) is None:
            old = f"{beside}-old"
            # A directory can be renamed only while it may be written to: its `..` is part of it.
            os.chmod(target, 0o700)
            os.rename(target, old)
            remove_tree(old)
        try:
            os.rename(beside, target)
        except OSError:
            if self._find(layer) is None:
                raise
            return
        make_read_only(target)

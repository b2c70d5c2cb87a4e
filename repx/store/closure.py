"""Store paths in a store: copied from Nix's, each compared with the hash Nix has of it; starts no Nix."""

from __future__ import annotations

import os
from collections.abc import Iterable

from repx.agent.base.files import copy_tree, remove_tree, walk
from repx.agent.base.looks import looks_of_object
from repx.agent.base.modes import make_read_only
from repx.agent.base.nar import nar_sha256
from repx.agent.base.publisher import Waiting
from repx.errors import SoftwareError
from repx.model.closure import STORE_DIR, StorePath
from repx.store.memory import KnownObject
from repx.store.writer import StoreWriter

_TIME = (1, 1)
"""When every file of a store path was last changed, as Nix has it: compiled Python code says so, and is compared."""


def discard_broken(writer: StoreWriter, paths: Iterable[StorePath]) -> bool:
    """Take away what stands in `objects/` and is not what Nix has built; whether all of `paths` are there then."""
    lacking = [one for one in paths if not _is_whole(writer, one)]
    return not lacking


def add_store_paths(writer: StoreWriter, paths: Iterable[StorePath], source: str = STORE_DIR) -> None:
    """Copy what is not in `objects/` yet, or broken there, from Nix's store.

    Raises SoftwareError for a path that has been changed there too.
    """
    with Waiting(writer.publisher) as waiting:
        for one in paths:
            if not _is_whole(writer, one):
                _add(writer, waiting, one, source)


def _is_whole(writer: StoreWriter, path: StorePath) -> bool:
    """Whether a store path is in `objects/` as Nix has built it; what is there otherwise is taken away."""
    if writer.memory.has_noted(path.name):
        return True
    place = f"{writer.store.objects}/{path.name}"
    try:
        found = KnownObject(looks_of_object(place), (("", path.nar_sha256),))
    except FileNotFoundError:
        return False
    if writer.memory.objects.get(path.name) != found and _hash(place) != path.nar_sha256:
        writer.publisher.discard(place)
        return False
    writer.memory.note_object(path.name, found)
    return True


def _add(writer: StoreWriter, waiting: Waiting, path: StorePath, source: str) -> None:
    beside = writer.new_place("store-path")
    try:
        _copy(f"{source}/{path.name}", beside)
        found = nar_sha256(beside)
        if found != path.nar_sha256:
            raise SoftwareError(
                f"{source}/{path.name} is not what Nix has built: somebody has changed it",
                facts=[("NAR hash", f"sha256:{found}"), ("recorded", f"sha256:{path.nar_sha256}")],
                hint=f"let Nix mend it: nix store repair {source}/{path.name}",
            )
    except BaseException:
        remove_tree(beside)
        raise
    writer.memory.note_object(path.name, KnownObject(looks_of_object(beside), (("", found),)))
    waiting.add(f"{writer.store.objects}/{path.name}", beside, path.nar_size)


def _hash(place: str) -> str:
    try:
        return nar_sha256(place)
    except ValueError:
        # Something is in it that no archive holds.
        return ""


def _copy(source: str, target: str) -> None:
    copy_tree(source, target)
    make_read_only(target)
    for entry in walk(target):
        os.utime(entry, _TIME, follow_symlinks=False)

"""Labs carried between stores: copied aside, verified, then given their name; what stores share is shared again."""

from __future__ import annotations

import contextlib
import os

from repx.agent.base.files import copy_tree, link_tree, remove_tree, walk
from repx.agent.base.layout import Store
from repx.agent.base.modes import make_read_only
from repx.agent.base.names import is_digest
from repx.agent.base.publisher import Publisher
from repx.agent.lab.format import MANIFEST
from repx.agent.makers import maker_name
from repx.errors import LabError
from repx.lab.contents import ContentsReader
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from repx.store.location import is_whole, remember_verified

_TIME = (1, 1)
"""When every file of a store path was last changed: compiled Python code says so, and is compared."""


def bring_lab(lab: LabDirectory, store: Store, *, is_own: bool) -> tuple[LabDirectory, bool]:
    """Have a Lab in a store, and whether it is new there.

    `is_own`: its word is that of the store's owner. Raises LabError where it is not what its manifest says, OSError
    where the store cannot be written; then nothing of it is left there.
    """
    store.create()
    standing = standing_lab(lab, store)
    if standing is not None and (standing.is_own or not is_own):
        return standing, False
    building = f"{store.tmp}/{maker_name('lab')}"
    try:
        shared = _copy_lab(lab, store, building)
        try:
            verify(LabDirectory(building))
        except LabError:
            if not shared:
                raise
            # One of the store's own objects may be damaged: those are not to spoil a Lab that is whole.
            remove_tree(building)
            _copy_lab(lab, store, building, share=False)
            verify(LabDirectory(building))
        return publish_lab(building, store, is_own=is_own)
    finally:
        remove_tree(building)


def publish_lab(building: str, store: Store, *, is_own: bool) -> tuple[LabDirectory, bool]:
    """Give a verified Lab, made on the store's file system, its name there."""
    made = LabDirectory(building)
    _share(made, store)
    directory = store.labs if is_own else store.foreign
    os.makedirs(directory, exist_ok=True)
    target = f"{directory}/{made.lab_id}"
    publisher = Publisher(store.tmp)
    if os.path.lexists(target) and not is_whole(target, store):
        publisher.replace(target, building)
    else:
        publisher.publish({target: building})
    is_new = not os.path.lexists(building)
    found = LabDirectory(target).seen_from(store)
    if is_new:
        remember_verified(found, store)
    return found, is_new


def standing_lab(lab: LabDirectory, store: Store) -> LabDirectory | None:
    """The same Lab as a store has it, whole; None when it has it not."""
    for directory in (store.labs, store.foreign):
        path = f"{directory}/{lab.lab_id}"
        if os.path.isfile(f"{path}/{MANIFEST}") and is_whole(path, store):
            return LabDirectory(path).seen_from(store)
    return None


def lab_ids(store: Store) -> list[str]:
    """The ids of the Labs that a store has, its own first."""
    found: dict[str, None] = {}
    for directory in (store.labs, store.foreign):
        with contextlib.suppress(OSError):
            found.update((name, None) for name in sorted(os.listdir(directory)) if is_digest(name))
    return list(found)


def lab_at(store: Store, lab_id: str) -> LabDirectory:
    """A Lab of a store by its id, as the store sees it."""
    own = f"{store.labs}/{lab_id}"
    return LabDirectory(own if os.path.isdir(own) else f"{store.foreign}/{lab_id}").seen_from(store)


def _copy_lab(lab: LabDirectory, store: Store, target: str, *, share: bool = True) -> bool:
    """Copy a Lab; whether something of it is shared with what the store has."""
    objects = _objects(lab)
    closure = frozenset(lab.closure.paths) if lab.closure is not None else frozenset()
    shared = False
    os.mkdir(target)
    for name in sorted(os.listdir(lab.path)):
        if name != "store":
            copy_tree(f"{lab.path}/{name}", f"{target}/{name}")
    os.mkdir(f"{target}/store")
    for name in sorted(os.listdir(f"{lab.path}/store")):
        source, place, known = f"{lab.path}/store/{name}", f"{target}/store/{name}", f"{store.objects}/{name}"
        if share and name in objects and os.path.lexists(known):
            link_tree(known, place)
            shared = True
            continue
        copy_tree(source, place)
        if name in closure:
            as_in_nix_store(place)
    for entry in walk(target):
        # A Lab is written with its files read-only, as this one was.
        if os.path.isfile(entry) and not os.path.islink(entry) and os.stat(entry).st_nlink == 1:
            os.chmod(entry, 0o555 if os.stat(entry).st_mode & 0o100 else 0o444)
    return shared


def as_in_nix_store(place: str) -> None:
    """Make a copied store path look as Nix has it: read-only, of second 1."""
    make_read_only(place)
    for entry in walk(place):
        os.utime(entry, _TIME, follow_symlinks=False)


def _share(lab: LabDirectory, store: Store) -> None:
    """Let other Labs of the store share what this one has brought."""
    finished = {}
    publisher = Publisher(store.tmp)
    try:
        for name in sorted(_objects(lab)):
            known = f"{store.objects}/{name}"
            if not os.path.lexists(known):
                aside = f"{store.tmp}/{maker_name('object')}"
                finished[known] = aside
                link_tree(f"{lab.path}/store/{name}", aside)
                make_read_only(aside)
        publisher.publish(finished)
    finally:
        for aside in finished.values():
            remove_tree(aside)


def _objects(lab: LabDirectory) -> frozenset[str]:
    """What of a Lab's `store/` stands in the `objects/` of a store as well: stored paths, and its closure."""
    reader = ContentsReader(lab)
    for job in lab.jobs():
        reader.note(job)
    contents = reader.contents()
    return frozenset(
        place.split("/")[1] for place in (*contents.trees, *contents.closure) if place.startswith("store/")
    )

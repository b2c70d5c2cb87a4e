"""An archive of a Lab brought into a store: unpacked aside, verified, renamed; then its results, if it has any."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from repx.agent.base.digest import digest_of_text
from repx.agent.base.files import link_tree, publish_file, read_if_there, remove_tree
from repx.agent.base.layout import Store
from repx.agent.base.looks import SETTLED_NS
from repx.agent.base.names import is_digest
from repx.agent.in_use import REALIZES, using
from repx.agent.lab.format import MANIFEST
from repx.agent.makers import maker_name
from repx.agent.recovery import recover_dead_runners
from repx.errors import LabError, StoreError, UsageError
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from repx.store.links import keep_root
from repx.store.location import store_error
from repx.store.sharing.archive import extract, refused
from repx.store.sharing.carry import Carried, carry
from repx.store.sharing.compression import COPY_AGAIN, Decompressed
from repx.store.sharing.labs import as_in_nix_store, lab_at, lab_ids, publish_lab
from repx.store.sharing.pack import RESULTS
from repx.store.sharing.receiver import Receiver
from repx.store.sharing.sender import DirectorySender


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was in an archive: a Lab, now in the store, whether it is new there, and what came of its results."""

    lab: LabDirectory
    is_new: bool
    carried: Carried


def unpack(path: str, store: Store, watch: Callable[[str], None]) -> Unpacked:
    """Bring the Lab of an archive into a store, with the results that it has.

    Raises LabError, StoreError or UsageError where it is no such archive, damaged or hostile, or where the store cannot
    be written; then nothing of it is there but results that had arrived whole.
    """
    try:
        store.create()
        recover_dead_runners(store)
        aside = f"{store.tmp}/{maker_name('unpack')}"
        with using(store, REALIZES):
            try:
                os.mkdir(aside, 0o700)
                os.mkdir(f"{aside}/content")
                _extract(path, f"{aside}/content")
                return _bring(path, f"{aside}/content", store, watch)
            finally:
                remove_tree(aside)
    except OSError as error:
        raise store_error(error, store) from None


def archived_lab(path: str, store: Store) -> str:
    """Where the Lab of an archive stands in a store; it is unpacked the first time that this is asked."""
    note = f"{store.verified}/{digest_of_text(os.path.realpath(path))}.tar"
    status = os.stat(path)
    looks = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    seen, _, lab_id = (read_if_there(note) or b"").decode("utf-8", "replace").partition("\n")
    if seen == looks and is_digest(lab_id) and lab_id in lab_ids(store):
        return lab_at(store, lab_id).path
    unpacked = unpack(path, store, lambda _: None)
    damage = unpacked.carried.damage()
    if damage is not None:
        raise damage
    # As long as the archive is there, so is its Lab.
    keep_root(store, unpacked.lab.path)
    if time.time_ns() - status.st_ctime_ns > SETTLED_NS:
        try:
            publish_file(note, f"{looks}\n{unpacked.lab.lab_id}".encode())
        except OSError as error:
            raise store_error(error, store) from None
    return unpacked.lab.path


def _extract(path: str, aside: str) -> None:
    try:
        file = open(path, "rb")  # noqa: SIM115  # what opening raises is the archive's fault, all else the store's
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    with file:
        try:
            stream = Decompressed(file, path)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
        extract(stream, path, aside)


def _bring(path: str, aside: str, store: Store, watch: Callable[[str], None]) -> Unpacked:
    building = _lab_directory(path, aside)
    try:
        made = LabDirectory(building)
        for name in made.closure.paths if made.closure is not None else ():
            if os.path.isdir(f"{building}/store/{name}"):
                as_in_nix_store(f"{building}/store/{name}")
        os.makedirs(f"{building}/jobs", exist_ok=True)
        verify(made)
    except LabError as error:
        headline = error.headline.replace(building, f"in {path}")
        raise LabError(headline, facts=error.facts, hint=COPY_AGAIN) from None
    lab, is_new = publish_lab(building, store, is_own=False)
    results = Store(f"{aside}/{RESULTS}")
    sender = DirectorySender(lab, results, "unpack", os.path.realpath(path), copy=link_tree)
    if not os.path.isdir(results.outputs):
        return Unpacked(lab, is_new, Carried())
    return Unpacked(lab, is_new, carry((), sender, Receiver(lab, store), watch))


def _lab_directory(path: str, aside: str) -> str:
    """Where the Lab was unpacked to. Raises StoreError where there is none, or something beside it."""
    if os.path.isfile(f"{aside}/{MANIFEST}"):
        return aside
    found = sorted(os.listdir(aside))
    labs = [name for name in found if os.path.isfile(f"{aside}/{name}/{MANIFEST}")]
    if not labs:
        raise StoreError(f"there is no Lab in {path}", hint="make an archive of one: repx pack LAB -o lab.tar")
    for name in found:
        if name != labs[0] and name != RESULTS:
            raise refused(path, name, "it is neither of the Lab nor of its results")
    return f"{aside}/{labs[0]}"

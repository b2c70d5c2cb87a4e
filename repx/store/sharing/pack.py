"""A Lab, and its results if they are wanted, as one archive: the same bytes for the same Lab and the same results."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from repx.agent.base import tar
from repx.agent.base.files import random_name, sync_path
from repx.agent.base.layout import COLLECTED, ITEMS, OUT, RECORD, Store, realization
from repx.agent.base.record import LogFile, read_attempts
from repx.agent.lab.format import MANIFEST
from repx.agent.resolve import Realized
from repx.errors import StoreError
from repx.lab.directory import LabDirectory
from repx.store.sharing.compression import compressed
from repx.store.sharing.sender import DamagedError, check_outputs
from repx.store.sharing.units import units
from repx.store.sharing.view import StoreView

RESULTS = "results"
"""The directory of an archive that is a store with the results of its Lab, and with nothing else."""


def pack(lab: LabDirectory, store: Store | None, path: str, watch: Callable[[str], None]) -> int:
    """Write an archive of a Lab, with the results that `store` has of it unless that is None; how many these are.

    It is at `path` when it is whole. Raises StoreError for a damaged result, and OSError.
    """
    beside = f"{path}.{random_name()}.tmp"
    try:
        with open(beside, "xb") as file:
            writer = compressed(file, path)
            for piece in _lab_members(lab):
                writer.write(piece)
            count = 0
            if store is not None:
                for count, (place, made) in enumerate(_results(lab, store), 1):
                    watch(f"{count} results")
                    for piece in _result_members(place, made):
                        writer.write(piece)
            writer.write(tar.END)
            writer.close()
        sync_path(beside)
        os.rename(beside, path)
    except BaseException:
        if os.path.lexists(beside):
            os.unlink(beside)
        raise
    return count


def _lab_members(lab: LabDirectory) -> Iterator[bytes]:
    """The manifest before all else, so that a reader knows at once what comes."""
    top = lab.lab_id
    yield tar.header(os.fsencode(top), tar.DIRECTORY, 0o755)
    folder = os.path.dirname(MANIFEST)
    yield tar.header(os.fsencode(f"{top}/{folder}"), tar.DIRECTORY, 0o755)
    yield from _tree(f"{lab.path}/{MANIFEST}", f"{top}/{MANIFEST}")
    for name in sorted(os.listdir(lab.path)):
        if name != folder:
            yield from _tree(f"{lab.path}/{name}", f"{top}/{name}")


def _results(lab: LabDirectory, store: Store) -> Iterator[tuple[str, Realized]]:
    """The results that stand today, once each, sorted: with their places below `outputs/` in a store of their own."""
    view = StoreView(lab, store)
    found: dict[str, Realized] = {}
    for unit in units(lab, {job.id: job for job in lab.jobs()}, view.items, view.added):
        look = view.look(unit)
        if look is not None and look.made is not None:
            number = look.realization
            place = realization(look.job.id, number, look.resolved.key) if number else look.job.id
            found[place] = look.made
    yield from sorted(found.items())


def _result_members(place: str, made: Realized) -> Iterator[bytes]:
    top = f"{RESULTS}/outputs/{place}"
    record = f"{made.directory}/{COLLECTED if made.is_collected else RECORD}"
    if not made.is_collected:
        _check(place, made)
    logs = {log.name for one in read_attempts(record) for log in (one.stdout, one.stderr) if isinstance(log, LogFile)}
    kept = [COLLECTED, ITEMS] if made.is_collected else [OUT, RECORD]
    yield tar.header(os.fsencode(top), tar.DIRECTORY, 0o755)
    for name in sorted([*kept, *logs]):
        if os.path.lexists(f"{made.directory}/{name}"):
            yield from _tree(f"{made.directory}/{name}", f"{top}/{name}")


def _check(place: str, made: Realized) -> None:
    try:
        check_outputs(f"{made.directory}/{OUT}", made.outputs)
    except DamagedError as error:
        raise StoreError(
            "a result is damaged, and nothing was packed",
            facts=[("job", place), ("damage", error)],
            hint="run the job again: repx run --force JOB",
        ) from None


def _tree(path: str, name: str) -> Iterator[bytes]:
    """A file, link or directory with all that is in it, sorted, without owners, times and rights but to execute."""
    status = os.lstat(path)
    shown = os.fsencode(name)
    if stat.S_ISLNK(status.st_mode):
        yield tar.header(shown, tar.LINK, 0o777, target=os.fsencode(os.readlink(path)))
    elif stat.S_ISDIR(status.st_mode):
        yield tar.header(shown, tar.DIRECTORY, 0o755)
        for inner in sorted(os.listdir(path)):
            yield from _tree(f"{path}/{inner}", f"{name}/{inner}")
    else:
        yield tar.header(shown, tar.FILE, 0o555 if status.st_mode & stat.S_IXUSR else 0o444, status.st_size)
        yield from tar.file_content(os.fsencode(path), status.st_size)

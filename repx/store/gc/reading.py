"""A store read into a picture of what is in it and who needs it; decides and deletes nothing."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from repx.agent.base.digest import ID_LENGTH, digest_of_text
from repx.agent.base.layout import (
    CLAIM,
    COLLECTED,
    FAILED,
    FAILURE,
    ITEMS,
    OUT,
    PENDING,
    RECORD,
    Store,
)
from repx.agent.base.names import is_digest, is_job_id
from repx.agent.in_use import REALIZES, Use, uses_of
from repx.errors import StoreError
from repx.store.damage import QUARANTINE
from repx.store.gc.labs import picture_lab
from repx.store.gc.picture import Kept, Place, StorePicture, counting_roots
from repx.store.roots import Root, lab_at, read_roots

ASIDE = re.compile(r"\d+-[0-9a-z]{8}\Z")
LOG = re.compile(r"(stdout|stderr)-\d+\.log\Z")
RECORDS = frozenset([RECORD, FAILURE, COLLECTED, ITEMS, FAILURE + ".tmp"])
"""What stays of a realization that is collected."""

_OUT = (OUT,)

_CACHE = re.compile(r"([0-9a-z]{32}-(host|python)|[0-9a-f]{32}-.*\.json)\Z")
"""Objects that whoever needs them makes anew: folders for PATH, environments, the results of runs as a file."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user wants: which roots count, and from when on a thing is too young to be collected."""

    keep_last: int | None = None
    older_than_s: float | None = None
    pinned_only: bool = False
    forget: bool = False


@dataclass(slots=True)
class Look:
    """A store as it was looked at.

    `roots` are all, each with the path of the Lab that it leads to (empty: none; None: nobody can tell from here);
    `counting` are those that count. `strangers` are entries that repx has not made, `records` the jobs of which there
    is nothing but records.
    """

    picture: StorePicture
    roots: list[tuple[Root, str | None]]
    counting: list[Root]
    uses: list[Use]
    strangers: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    quarantine: list[str] = field(default_factory=list)
    """What was found damaged and put aside, by path: nobody's any more."""

    @property
    def unreadable(self) -> list[str]:
        """The Labs that are kept and cannot be read."""
        return [path for path, lab in self.picture.labs.items() if lab is None]

    @property
    def signs(self) -> object:
        """What changes when somebody begins to need something."""
        return signs_of(self.uses, self.roots)


def signs_of(uses: list[Use], roots: list[tuple[Root, str | None]]) -> object:
    """Who uses a store and what its roots lead to; not when they were made."""
    return [one.name for one in uses], [(root.kind, root.name, root.target, path) for root, path in roots]


def read_signs(store: Store) -> object:
    """The same as it is now."""
    roots = [(root, lab_at(store, root)) for root in read_roots(store)]
    return signs_of(uses_of(store), roots)


def look_at(store: Store, policy: Policy, now: float | None = None) -> Look:
    """Look at a store: first at who uses it, so that nobody who comes meanwhile is missed. Raises StoreError."""
    try:
        return _look_at(store, policy, time.time() if now is None else now)
    except OSError as error:
        raise StoreError(
            f"the store cannot be read: {error.strerror}",
            facts=[("store", store.root), ("path", error.filename)],
            hint="nothing was deleted; what is in it belongs to somebody else, or is not of repx",
        ) from None


def _look_at(store: Store, policy: Policy, now: float) -> Look:
    uses = uses_of(store)
    roots = [(root, lab_at(store, root)) for root in read_roots(store)]
    young = None if policy.older_than_s is None else now - policy.older_than_s
    counting = counting_roots(
        [root for root, _ in roots],
        keep_last=policy.keep_last,
        younger_than=young,
        pinned_only=policy.pinned_only,
    )
    look = Look(StorePicture({}), roots, counting, uses)
    stored = list(_stored_labs(store, look))
    outputs = _Outputs(store, look, young)
    look.quarantine = [
        entry.path for entry in _scan(f"{store.root}/{QUARANTINE}") if young is None or _changed(entry.path) < young
    ]
    kept_labs, is_unclear = _kept_labs(store, look, stored, young)
    look.picture = StorePicture(
        labs={path: picture_lab(path, store, outputs.asides) for path in sorted(kept_labs)},
        stored_labs=stored,
        pinned_jobs=frozenset(root.job for root in counting if root.job),
        outputs=outputs.found,
        objects=frozenset(_objects(store, look, young, is_cache=False)),
        caches=frozenset(_objects(store, look, young, is_cache=True)),
        notes=frozenset(_notes(store)),
        is_realizing=any(one.lab == REALIZES for one in uses),
        is_working=bool(uses),
        is_unclear=is_unclear,
    )
    return look


def _stored_labs(store: Store, look: Look) -> Iterator[str]:
    for directory in (store.labs, store.foreign):
        for entry in _scan(directory):
            if is_digest(entry.name) and entry.is_dir(follow_symlinks=False):
                yield entry.path
            else:
                look.strangers.append(entry.path)


def _kept_labs(store: Store, look: Look, stored: list[str], young: float | None) -> tuple[set[str], bool]:
    """The paths of the Labs that are kept; and whether there may be others of which nobody can tell."""
    by_file = {_file(path): path for path in stored}
    wanted = [use.lab for use in look.uses if use.lab != REALIZES]
    is_unclear = None in wanted
    paths = {path for path in wanted if path}
    counting = {root.path for root in look.counting}
    for root, path in look.roots:
        if root.path not in counting:
            continue
        if path is None:
            # Nobody can tell from here whether it leads to a Lab still, so it keeps the one that it was made for.
            known = [one for one in stored if root.lab and os.path.basename(one) == root.lab]
            is_unclear |= not known
            paths.update(known)
        elif path:
            paths.add(path)
    if young is not None:
        paths.update(path for path in stored if _changed(path) >= young)
    found = set()
    for path in paths:
        # By whatever links the store is reached, a Lab in it is one.
        file = _file(path)
        is_unclear |= file is None
        if file is not None:
            found.add(by_file.get(file, path))
    return found, is_unclear


class _Outputs:
    """The realizations in outputs/, and the names of those that stand aside, by job."""

    def __init__(self, store: Store, look: Look, young: float | None) -> None:
        self.found: list[Kept] = []
        self.asides: dict[str, list[str]] = {}
        self._look = look
        self._young = young
        self._root = store.outputs
        for entry in _scan(store.outputs):
            if is_job_id(entry.name) and entry.is_dir(follow_symlinks=False):
                self._look_at_job(entry.name, entry.path)
            else:
                look.strangers.append(entry.path)

    def _look_at_job(self, job: str, directory: str) -> None:
        entries = _entries(directory)
        asides = [entry.name for entry in entries if "-" in entry.name and ASIDE.match(entry.name)]
        if asides:
            entries = [entry for entry in entries if entry.name not in asides]
            self.asides[job] = asides
        is_claimed = any(entry.name.startswith(CLAIM) for entry in entries)
        has_more = self._look_at_one(Place(job), directory, entries, is_claimed=is_claimed)
        for aside in asides:
            place = f"{directory}/{aside}"
            has_more |= self._look_at_one(Place(job, aside), place, _entries(place), is_claimed=is_claimed)
        if not has_more:
            self._look.records.append(job)

    def _look_at_one(
        self, place: Place, directory: str, entries: Sequence[os.DirEntry[str]], *, is_claimed: bool
    ) -> bool:
        """Take note of a realization, and say whether there is more of it than records."""
        files: tuple[str, ...] = ()
        adopted = None
        for entry in entries:
            name = entry.name
            if name == OUT:
                files += _OUT
                if entry.is_symlink():
                    adopted = _adopted_from(place, os.readlink(entry.path))
            elif name in RECORDS:
                continue
            elif name == FAILED or LOG.match(name):
                files += (name,)
            elif name == PENDING or name.startswith(CLAIM):
                is_claimed = True
            else:
                self._look.strangers.append(entry.path)
        if not files and not is_claimed:
            return False
        is_held = is_claimed or self._is_young(directory, [entry.name for entry in entries])
        self.found.append(Kept(place, adopted, is_held, _OUT if files == _OUT else files))
        return True

    def _is_young(self, directory: str, names: Sequence[str]) -> bool:
        """Whether a realization was made, or failed, too short a time ago."""
        if self._young is None:
            return False
        records = [name for name in names if name in (RECORD, FAILURE)]
        return any(_changed(f"{directory}/{name}") >= self._young for name in records or names)


def _adopted_from(place: Place, target: str) -> Place | None:
    """The realization that a link in place of `out` leads to; None when it leads to none of this store."""
    parts = os.path.normpath("/".join(filter(None, ["outputs", *place, target]))).split("/")
    if len(parts) < 2 or parts[0] != "outputs" or os.path.isabs(target) or not is_job_id(parts[1]):
        return None
    return Place(parts[1], parts[2] if len(parts) > 2 and ASIDE.match(parts[2]) else "")


def _objects(store: Store, look: Look, young: float | None, *, is_cache: bool) -> Iterator[str]:
    for entry in _scan(store.objects):
        name = entry.name
        if name.endswith(".tmp"):
            continue
        if bool(_CACHE.match(name)) != is_cache:
            continue
        if name[ID_LENGTH : ID_LENGTH + 1] != "-":
            look.strangers.append(entry.path)
        elif young is None or _changed(entry.path) < young:
            yield name


def _notes(store: Store) -> Iterator[str]:
    """The notes in verified/, without those on experiments that a project of this store has."""
    projects = f"{store.gcroots}/projects"
    known = {f"{digest_of_text(os.readlink(entry.path))}.inputs" for entry in _scan(projects) if entry.is_symlink()}
    for entry in _scan(store.verified):
        if is_digest(entry.name[:ID_LENGTH]) and not entry.name.endswith(".tmp") and entry.name not in known:
            yield entry.name


def _entries(directory: str) -> Sequence[os.DirEntry[str]]:
    """What is in a directory that may be gone by now. There are 100,000 of them, so nothing is spent on manners."""
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _scan(directory: str) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        yield from entries


def _file(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _changed(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except FileNotFoundError:
        return 0.0

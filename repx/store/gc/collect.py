"""The one place that deletes: takes what is dead away by a rename, looks again, then removes it; decides nothing.

A result is taken away under its job's claim, its record first. Then the store is looked at once more: where somebody
has begun to need something meanwhile, what was taken is put back, and the store has to be looked at anew. Whoever
begins says so before they look (`repx.agent.in_use`), so that one of both sees the other. Nothing here follows a link.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from repx.agent.base.files import link_exclusive, remove_tree
from repx.agent.base.layout import CLAIM, COLLECTED, FAILED, OUT, RECORD, Store
from repx.agent.base.record import read_outcome
from repx.agent.claim import ClaimFile
from repx.agent.makers import maker_name
from repx.agent.publish import move_directory
from repx.agent.recovery import recover_dead_runners
from repx.agent.runner import temporary_claim
from repx.errors import StoreError
from repx.store.gc.labs import scatters_of
from repx.store.gc.picture import Place
from repx.store.gc.plan import Plan, directory_of, make_plan
from repx.store.gc.reading import ASIDE, LOG, RECORDS, Policy, read_signs
from repx.store.gc.taken import TakenResults
from repx.store.location import store_error

_BATCH = 100
"""Results that are taken away between two looks at who uses the store."""

_LOOKS = 50
"""How often a collection begins anew because somebody has begun to use the store."""


class _ChangedError(Exception):
    """Somebody has begun to need something."""


@dataclass(slots=True)
class Collected:
    """What has come of a collection. `left` are paths that could not be removed, with the reason."""

    plan: Plan
    left: list[tuple[str, str]] = field(default_factory=list)
    busy: int = 0
    """Results whose jobs somebody has just taken."""


def collect(store: Store, policy: Policy, plan: Plan) -> Collected:
    """Take away what a plan says, as far as it is dead still. Raises StoreError."""
    done = Collected(plan)
    allowed = plan
    try:
        for _ in range(_LOOKS):
            try:
                _Collector(store, allowed, done).collect()
                return done
            except _ChangedError:
                allowed = _both(make_plan(store, policy, plan.caches, measures=False), plan)
    except OSError as error:
        raise store_error(error, store) from None
    raise StoreError(
        "the store is in use by so many that nothing can be told to be dead", hint="try again when fewer runs begin"
    )


def clear_up(store: Store) -> None:
    """Clear up after whoever was killed, so that what they had claimed is theirs no more."""
    with contextlib.suppress(OSError):
        recover_dead_runners(store)


def _both(new: Plan, told: Plan) -> Plan:
    """What is dead now and was told to be: nobody has agreed to anything else."""
    return Plan(
        new.look,
        type(new.dead)(
            labs=tuple(one for one in new.dead.labs if one in set(told.dead.labs)),
            outputs=tuple(sorted({*new.dead.outputs} & {*told.dead.outputs})),
            objects=tuple(sorted({*new.dead.objects} & {*told.dead.objects})),
            notes=tuple(sorted({*new.dead.notes} & {*told.dead.notes})),
        ),
        tuple(root for root in new.roots if root in set(told.roots)),
        tuple(sorted({*new.forgotten} & {*told.forgotten})),
        told.caches,
    )


class _Collector:
    def __init__(self, store: Store, plan: Plan, done: Collected) -> None:
        self._store = store
        self._plan = plan
        self._signs = plan.look.signs
        self._left = done.left
        self._done = done
        self._trash: list[str] = []
        self._items: dict[str, str] = {}
        self._keys: set[str] = set()

    def collect(self) -> None:
        """First what needs no room on the disk: that may be full."""
        dead = self._plan.dead
        self._check()
        for lab in dead.labs:
            self._items.update(scatters_of(lab, self._store))
        try:
            for root in self._plan.roots:
                self._remove_file(root.path)
            for name in dead.notes:
                self._remove_file(f"{self._store.verified}/{name}")
            for path in self._plan.caches:
                self._remove_file(path)
            # Roots that went have changed the signs.
            self._signs = self._signs_without_roots()
            self._take_trees([f"{self._store.objects}/{name}" for name in dead.objects])
            self._take_trees(self._plan.look.quarantine)
            self._take_outputs(dead.outputs)
            self._name_again()
            self._take_trees(dead.labs)
            self._forget()
            self._sweep_keys()
        finally:
            self._empty_trash()

    def _check(self) -> None:
        if read_signs(self._store) != self._signs:
            raise _ChangedError

    def _signs_without_roots(self) -> object:
        gone = {root.path for root in self._plan.roots if not os.path.lexists(root.path)}
        look = self._plan.look
        look.roots = [(root, path) for root, path in look.roots if root.path not in gone]
        return look.signs

    # -- what has no claim

    def _take_trees(self, paths: Sequence[str]) -> None:
        """Take objects or Labs away, look, and remove them; one that could be needed by now goes back."""
        for start in range(0, len(paths), _BATCH):
            taken = [(path, trash) for path in paths[start : start + _BATCH] if (trash := self._take(path))]
            try:
                self._check()
            except _ChangedError:
                for path, trash in taken:
                    _rename(trash, path)
                    self._trash.remove(trash)
                raise
            self._empty_trash()

    def _take(self, path: str) -> str:
        """Give something a name in the trash; that name, or nothing where it is gone or cannot be moved."""
        trash = f"{self._store.tmp}/{maker_name('trash')}"
        try:
            _rename(path, trash)
        except FileNotFoundError:
            return ""
        except OSError as error:
            self._leave(path, error)
            return ""
        self._trash.append(trash)
        return trash

    def _remove_file(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            try:
                os.unlink(path)
            except (PermissionError, IsADirectoryError) as error:
                self._leave(path, error)

    def _empty_trash(self) -> None:
        while self._trash:
            trash = self._trash.pop()
            try:
                remove_tree(trash)
            except OSError as error:
                self._leave(trash, error)

    def _leave(self, path: str, error: OSError) -> None:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EISDIR, errno.EROFS):
            raise error
        self._left.append((path, error.strerror or "it cannot be removed"))

    # -- what has one

    def _take_outputs(self, places: Sequence[Place]) -> None:
        if not places:
            return
        with self._claim() as claim:
            for start in range(0, len(places), _BATCH):
                claim.touch()
                with TakenResults(self._store, claim, self._items) as taken:
                    for place in places[start : start + _BATCH]:
                        self._done.busy += not taken.add(place, self._leave)
                    try:
                        self._check()
                    except _ChangedError:
                        taken.put_back()
                        raise
                    for place in taken.places:
                        self._take_files(place)
                self._empty_trash()

    def _take_files(self, place: Place) -> None:
        directory = directory_of(self._store, place)
        self._forget_key(directory)
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(directory):
                if name in (OUT, FAILED) or LOG.match(name):
                    self._take(f"{directory}/{name}")

    def _forget_key(self, directory: str) -> None:
        """Nobody is to find a result by its key whose outputs are gone."""
        outcome = read_outcome(f"{directory}/{COLLECTED}")
        if outcome is not None:
            with contextlib.suppress(OSError, ValueError):
                key = self._store.key(outcome.key)
                if os.path.samefile(key, f"{directory}/{COLLECTED}"):
                    os.unlink(key)
                    self._keys.add(outcome.key)

    def _name_again(self) -> None:
        """Let those results be found by their keys that had been adopted, or made, under a key that is gone now."""
        gone = set(self._plan.dead.outputs)
        for one in self._plan.look.picture.outputs if self._keys else ():
            record = f"{directory_of(self._store, one.place)}/{RECORD}"
            outcome = None if one.place in gone else read_outcome(record)
            if outcome is not None and outcome.key in self._keys:
                with contextlib.suppress(OSError):
                    link_exclusive(record, self._store.key(outcome.key))

    @contextlib.contextmanager
    def _claim(self) -> Iterator[ClaimFile]:
        try:
            with temporary_claim(self._store) as claim:
                yield claim
            return
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        # To free room takes room: that of notes, all of which may go at any time.
        for name in os.listdir(self._store.verified):
            self._remove_file(f"{self._store.verified}/{name}")
        with temporary_claim(self._store) as claim:
            yield claim

    def _forget(self) -> None:
        """Take the records of dead jobs away, where nobody has put anything else beside them."""
        if not self._plan.forgotten:
            return
        with self._claim() as claim:
            for job in self._plan.forgotten:
                directory = self._store.job(job)
                with contextlib.suppress(FileNotFoundError):
                    if claim.take(directory) is None:
                        self._done.busy += 1
                        continue
                    if all(_is_of_repx(name) for name in os.listdir(directory)):
                        self._take(directory)
                    claim.release(directory)
            self._empty_trash()

    def _sweep_keys(self) -> None:
        """Remove the keys under which no result stands any more."""
        for name in os.listdir(self._store.keys):
            path = f"{self._store.keys}/{name}"
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_nlink == 1 and not _stands(self._store, path):
                    self._remove_file(path)


def _rename(source: str, target: str) -> None:
    """Rename whatever it is, a link as a link."""
    if os.path.islink(source):
        os.rename(source, target)
    else:
        move_directory(source, target)


def _is_of_repx(name: str) -> bool:
    """Whether a name in a job's directory is that of a record, a claim or a realization that stands aside."""
    return name in RECORDS or name.startswith(CLAIM) or ASIDE.match(name) is not None


def _stands(store: Store, key: str) -> bool:
    """Whether the result that a key's record is of stands; where there are no hard links the record is a copy."""
    outcome = read_outcome(key)
    if outcome is None:
        return False
    try:
        job = store.job(outcome.job)
    except ValueError:
        return True
    for directory in (job, f"{job}/{outcome.realization}-{outcome.key[:8]}"):
        found = read_outcome(f"{directory}/{RECORD}")
        if found is not None and found.key == outcome.key:
            return True
    return False

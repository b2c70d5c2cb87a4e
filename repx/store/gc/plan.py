"""What a collection would take away, with sizes: from a look at a store; deletes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from repx.agent.base.layout import Store
from repx.model.garbage import no_collection
from repx.store.gc.picture import Dead, Kept, Place, find_dead
from repx.store.gc.reading import RECORDS, Look, Policy, look_at
from repx.store.gc.sizes import Measure, Size
from repx.store.roots import Root


@dataclass(frozen=True, slots=True)
class Plan:
    """What can go. `sizes` and `counts` are by kind: (how many go, of how many), `roots` those that go first.

    `forgotten` are the jobs whose records go too, `caches` files of the user's cache that have not been used for long.
    """

    look: Look
    dead: Dead
    roots: tuple[Root, ...] = ()
    forgotten: tuple[str, ...] = ()
    caches: tuple[str, ...] = ()
    sizes: Mapping[str, Size] = field(default_factory=dict)
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing goes."""
        return not any(gone for gone, _ in self.counts.values())

    @property
    def size(self) -> Size:
        """What is freed altogether."""
        return reduce(Size.plus, self.sizes.values(), Size())


def make_plan(store: Store, policy: Policy, caches: Iterable[str] = (), *, measures: bool = True) -> Plan:
    """Look at a store and find what can go. Raises StoreError where it cannot be read."""
    with no_collection():
        look = look_at(store, policy)
        dead = find_dead(look.picture)
    counting = {root.path for root in look.counting}
    roots = tuple(root for root, path in look.roots if _goes(root, path, counting=root.path in counting))
    forgotten = tuple(_forgotten(look, dead)) if policy.forget else ()
    old_caches = tuple(caches)
    picture = look.picture
    counts = {
        "labs": (len(dead.labs), len(picture.stored_labs)),
        "outputs": (len(dead.outputs), len(picture.outputs)),
        "records": (len(forgotten), len(look.records) + len({one.place.job for one in picture.outputs})),
        "objects": (len(dead.objects), len(picture.objects) + len(picture.caches)),
        "damaged": (len(look.quarantine), len(look.quarantine)),
        "notes": (len(dead.notes), len(picture.notes)),
        "roots": (len(roots), len(look.roots)),
        "caches": (len(old_caches), len(old_caches)),
    }
    sizes = _sizes(store, look, dead, forgotten, old_caches) if measures else {}
    return Plan(look, dead, roots, forgotten, old_caches, sizes, counts)


def directory_of(store: Store, place: Place) -> str:
    """Where a realization stands."""
    return f"{store.job(place.job)}/{place.aside}" if place.aside else store.job(place.job)


def _goes(root: Root, path: str | None, *, counting: bool) -> bool:
    """Whether a root is one that was made on the way and keeps nothing any more."""
    return root.kind != "pin" and root.path.rpartition("/")[2] == root.name and (not counting or path == "")


def _forgotten(look: Look, dead: Dead) -> Iterable[str]:
    """Jobs of which nothing but a record is left, or will be."""
    picture = look.picture
    if picture.is_unclear or look.unreadable:
        return
    gone = set(dead.outputs)
    stays = {one.place.job for one in picture.outputs if one.place not in gone}
    kept: set[str] = set(picture.pinned_jobs).union(*(lab.jobs for lab in picture.labs.values() if lab is not None))
    endings = {one for lab in picture.labs.values() if lab is not None for one in lab.open_stages}
    for job in sorted({*look.records, *(place.job for place in gone)}):
        if job not in stays and job not in kept and job.partition("-")[2] not in endings:
            yield job


def _files(store: Store, outputs: Iterable[Kept], dead: Dead) -> Iterator[str]:
    gone = set(dead.outputs)
    for one in outputs:
        if one.place in gone:
            directory = directory_of(store, one.place)
            for name in one.files:
                yield f"{directory}/{name}"


def _sizes(store: Store, look: Look, dead: Dead, forgotten: Sequence[str], caches: Iterable[str]) -> dict[str, Size]:
    measure = Measure()
    sizes = {
        "outputs": measure.trees(_files(store, look.picture.outputs, dead)),
        "objects": measure.trees(f"{store.objects}/{name}" for name in dead.objects),
        "labs": measure.trees(dead.labs),
        "damaged": measure.trees(look.quarantine),
        "notes": measure.trees(f"{store.verified}/{name}" for name in dead.notes),
        "caches": measure.trees(caches),
    }
    if forgotten:
        # With its name in keys/, of which each record has one.
        named = Measure(is_shared=True)
        sizes["records"] = named.trees(f"{store.job(job)}/{name}" for job in forgotten for name in sorted(RECORDS))
    return sizes

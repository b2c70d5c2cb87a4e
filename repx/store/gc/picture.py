"""What of a store is dead: a pure function of a typed picture of it; reads no disk and deletes nothing.

Roots keep Labs, a Lab keeps its jobs, a job its current results, an adopted result the one that it was adopted from.
What is held (claimed, pending, young) stays, and so does all that a thing which nobody can look into might need.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from repx.store.roots import Root


class Place(NamedTuple):
    """Where a realization stands: the id of its job, and its directory below that; empty for the current one."""

    job: str
    aside: str = ""


class Kept(NamedTuple):
    """A realization of which the store has more than a record.

    `adopted_from` is the one whose outputs it shows as its own; `is_held` says that it must not be touched now. `files`
    are the names of what goes when it is collected.
    """

    place: Place
    adopted_from: Place | None = None
    is_held: bool = False
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabPicture:
    """What a Lab that is kept needs.

    `jobs` are those of its runs and the parts of its scatter-gathers; `open_stages` are the endings of ids
    (`<stage>-<version>`) of parts that cannot be told now. `current` are, for jobs with realizations that stand aside,
    the names of those which are valid today; where a job is missing, all of its are taken to be.
    """

    jobs: Collection[str] = frozenset()
    open_stages: Collection[str] = frozenset()
    current: Mapping[str, Collection[str]] = field(default_factory=dict)
    objects: Collection[str] = frozenset()
    notes: Collection[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StorePicture:
    """A store at one moment.

    `labs` are the Labs that are kept, by path; None stands for one that cannot be read. `stored_labs` are the paths of
    all Labs in the store, `caches` objects that nobody needs while nobody works. `is_realizing` says that somebody
    makes a Lab, `is_working` that somebody uses the store, and `is_unclear` that somebody or a root needs something of
    which nobody can tell what it is.
    """

    labs: Mapping[str, LabPicture | None]
    stored_labs: Collection[str] = ()
    pinned_jobs: Collection[str] = frozenset()
    outputs: Sequence[Kept] = ()
    objects: Collection[str] = frozenset()
    caches: Collection[str] = frozenset()
    notes: Collection[str] = frozenset()
    is_realizing: bool = False
    is_working: bool = False
    is_unclear: bool = False


@dataclass(frozen=True, slots=True)
class Dead:
    """What nothing needs: Labs by path, outputs by place, objects and notes by name."""

    labs: tuple[str, ...] = ()
    outputs: tuple[Place, ...] = ()
    objects: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_dead(store: StorePicture) -> Dead:
    """What can be proven dead."""
    known = [lab for lab in store.labs.values() if lab is not None]
    is_all_known = len(known) == len(store.labs) and not store.is_unclear
    objects = set(store.objects if is_all_known and not store.is_realizing else ())
    needed = {name for lab in known for name in lab.objects}
    caches = set(() if store.is_working or not is_all_known else store.caches)
    return Dead(
        labs=tuple(() if store.is_realizing or store.is_unclear else sorted({*store.stored_labs} - {*store.labs})),
        outputs=tuple(_dead_outputs(store, known) if is_all_known else ()),
        objects=tuple(sorted((objects | caches) - needed)),
        notes=tuple(sorted(set(store.notes).difference(*(lab.notes for lab in known))) if is_all_known else ()),
    )


def counting_roots(
    roots: Sequence[Root], *, keep_last: int | None, younger_than: float | None, pinned_only: bool = False
) -> list[Root]:
    """The roots that count. Pins and links always do, unless only pins do.

    Of the Labs realized for a project the last five count, and all that notebooks have made; with `keep_last` so many
    of both, with `younger_than` (seconds since 1970) those renewed since then, with both what either lets count.
    """
    if pinned_only:
        return [root for root in roots if root.kind == "pin"]
    return [root for root in roots if root.kind in ("pin", "link")] + list(
        _last(roots, keep_last=keep_last, younger_than=younger_than)
    )


LABS_KEPT = 5
"""Labs of a project that are kept unless said otherwise."""


def _last(roots: Sequence[Root], *, keep_last: int | None, younger_than: float | None) -> Iterator[Root]:
    seen: dict[tuple[str, str], int] = {}
    for root in sorted((one for one in roots if one.kind in ("lab", "call")), key=lambda one: -one.made_at):
        group = (root.kind, root.project or root.path.rpartition("-")[0])
        seen[group] = seen.get(group, 0) + 1
        unsaid = younger_than is None and keep_last is None
        if (
            (unsaid and (root.kind == "call" or seen[group] <= LABS_KEPT))
            or (keep_last is not None and seen[group] <= keep_last)
            or (younger_than is not None and root.made_at >= younger_than)
        ):
            yield root


def _dead_outputs(store: StorePicture, labs: Sequence[LabPicture]) -> Iterator[Place]:
    jobs = set(store.pinned_jobs).union(*(lab.jobs for lab in labs))
    open_stages = {stage for lab in labs for stage in lab.open_stages}
    adopted = {one.place: one.adopted_from for one in store.outputs if one.adopted_from is not None}
    alive: set[Place] = set()
    for one in store.outputs:
        if one.is_held or _is_needed(one.place, jobs, open_stages, labs, store.pinned_jobs):
            # What it was adopted from may have been adopted itself.
            place: Place | None = one.place
            while place is not None and place not in alive:
                alive.add(place)
                place = adopted.get(place)
    return (one.place for one in store.outputs if one.place not in alive)


def _is_needed(
    place: Place,
    jobs: Collection[str],
    open_stages: Collection[str],
    labs: Sequence[LabPicture],
    pinned: Collection[str],
) -> bool:
    if place.job not in jobs:
        return bool(open_stages) and _ending(place.job) in open_stages
    if not place.aside or place.job in pinned:
        return True
    # Labs may differ in what is valid today: of one that was brought here the keys are others.
    having = [lab for lab in labs if place.job in lab.jobs]
    return any(place.job not in lab.current or place.aside in lab.current[place.job] for lab in having)


def _ending(job: str) -> str:
    """A job id without its digest: `<stage>-<version>`."""
    return job.partition("-")[2]

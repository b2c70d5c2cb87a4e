"""What of a store takes how much room: by kind, or outputs by stage; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

from repx.agent.base.layout import Store
from repx.agent.base.names import is_job_id
from repx.store.damage import QUARANTINE
from repx.store.gc.sizes import Measure, Size


class Usage(NamedTuple):
    """A part of a store: how many things are in it, and their size."""

    name: str
    entries: int
    size: Size


def usage_by_kind(store: Store, cache: str) -> list[Usage]:
    """The parts of a store, the user's cache, and the sum of the store."""
    measure = Measure(is_shared=True)
    parts = {
        "labs": [store.labs, store.foreign],
        "objects": [store.objects],
        "outputs": [store.outputs],
        "damaged": [f"{store.root}/{QUARANTINE}"],
        "keys": [store.keys],
        "stages": [store.stages],
        "notes": [store.verified],
        "roots": [store.gcroots],
        "tmp": [store.tmp],
    }
    found = [_usage(name, directories, measure) for name, directories in parts.items()]
    total = Usage("all", sum(one.entries for one in found), reduce(Size.plus, (one.size for one in found), Size()))
    return [*found, total, _usage("cache", [cache], measure)]


def usage_by_stage(store: Store) -> list[Usage]:
    """What the jobs of each stage take, the largest first."""
    sizes: dict[str, Size] = {}
    counts: dict[str, int] = {}
    measure = Measure(is_shared=True)
    for job in _names(store.outputs):
        if is_job_id(job):
            stage = job.partition("-")[2].rpartition("-")[0]
            counts[stage] = counts.get(stage, 0) + 1
            sizes[stage] = sizes.get(stage, Size()).plus(measure.tree(f"{store.outputs}/{job}"))
    return [Usage(stage, counts[stage], sizes[stage]) for stage in sorted(sizes, key=lambda one: -sizes[one].bytes)]


def _usage(name: str, directories: Iterable[str], measure: Measure) -> Usage:
    entries, size = 0, Size()
    for directory in directories:
        names = _names(directory)
        entries += len(names)
        size = size.plus(measure.trees(f"{directory}/{one}" for one in names))
    return Usage(name, entries, size)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []

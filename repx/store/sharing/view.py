"""A Lab beside a store: what each unit of it is there today, and what stands of it; writes nothing."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from repx.agent.base.layout import Store
from repx.agent.lab.run_file import Job
from repx.agent.resolve import Realized, Resolved
from repx.agent.resolver import Resolver
from repx.agent.scatter import ItemsError, PartJob
from repx.agent.selections import added_indexes
from repx.lab.directory import LabDirectory
from repx.store.sharing.units import Unit


class Look(NamedTuple):
    """What a unit is in a store: its job, its inputs and its key there, and what stands under that."""

    job: Job | PartJob
    realization: int
    resolved: Resolved
    made: Realized | None


class StoreView:
    """A Lab, as it is seen from a store."""

    def __init__(self, lab: LabDirectory, store: Store) -> None:
        self.lab = lab
        self._store = store
        self._resolver = Resolver(lab, store)

    def look(self, unit: Unit) -> Look | None:
        """What a unit is; None while something that it takes has no result."""
        # The same job has another recipe where the Lab is seen from another store.
        job = self.lab.run(unit.job.run.name).job(unit.job.id)
        if job is None:
            return None
        with contextlib.suppress(ItemsError):
            if unit.step:
                part = self._resolver.resolve_part(job, unit.step, unit.item)
                return None if part is None else Look(part[0], 0, part[1], self._resolver.look_up_part(*part))
            resolved = self._resolver.resolve(job, unit.realization)
            if resolved is not None:
                return Look(job, unit.realization, resolved, self._resolver.outcome(job, unit.realization))
        return None

    def items(self, job: Job) -> list[str]:
        """The work items of a scatter-gather whose scatter has a result; none where it has not."""
        whole = self._resolver.scatter_gather(job)
        scatter = None if whole is None else self._resolver.look_up_part(*whole.scatter())
        with contextlib.suppress(ItemsError):
            return [] if whole is None or scatter is None else whole.items(scatter)
        return []

    def added(self, job: Job) -> list[int]:
        """The indexes of realizations that were added to those that the stage has."""
        return added_indexes(self._store, job.id, job.stage.realizations)

    def note(self, look: Look, made: Realized) -> None:
        """A result stands now, or is about to."""
        if look.realization:
            self._resolver.note_further(look.job.id, look.realization, made)
        else:
            self._resolver.note(look.job.id, made)

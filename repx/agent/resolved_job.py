"""From "job X of this Lab" to all that running it takes: its inputs, its key, its params; runs and writes nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from repx.agent.base.layout import RECORD, Store, realization
from repx.agent.lab.lab import Lab
from repx.agent.lab.run_file import Job
from repx.agent.messages import JobOrder
from repx.agent.publish import pending_outcome
from repx.agent.resolve import Inputs, Realized, Resolved, look_up
from repx.agent.resolver import Resolver
from repx.agent.scatter import SCATTER, PartJob
from repx.agent.stage_start import StageStart, place_for_job


class ResolvedJob(NamedTuple):
    """A realization of a job with everything that running it takes. `stored` are its params that are places."""

    job: Job | PartJob
    realization: int
    key: str
    inputs: Inputs
    params: Mapping[str, Any]
    stored: tuple[str, ...]
    start: StageStart
    lab: str
    cpus: int
    time_s: float | None
    limits: Mapping[str, int]

    def directory(self, store: Store) -> str:
        """Where its result will stand; each realization has its own, so that several run at once."""
        directory = store.job(self.job.id)
        return directory if self.realization == 0 else realization(directory, self.realization, self.key)


def find_pending_too(store: Store, job: str, index: int, key: str) -> Realized | None:
    """What stands under a key, also where its record waits for the flush of its batch."""
    found = None
    for _ in range(2):
        found = look_up(store, job, index, key)
        if found is not None and not found.is_collected:
            return found
        directory = store.job(job) if index == 0 else realization(store.job(job), index, key)
        outcome = pending_outcome(directory)
        if outcome is not None and (outcome.key, outcome.realization) == (key, index):
            return Realized(directory, outcome.outputs, key)
        if not os.path.lexists(directory + "/" + RECORD):
            return found
        # It has been committed between our two looks.
    return found


def resolve_order(lab: Lab, resolver: Resolver, order: JobOrder) -> tuple[Job | PartJob, Resolved] | None:
    """The job that an order means, with its inputs and its key; None while something that it takes has no result."""
    resolver.forget_missing()
    for identity, key in order.seen.items():
        resolver.note_key(identity, key)
    for run, digest in order.results.items():
        resolver.note_results(run, digest)
    job = lab.run(order.run).job(order.job, order.offset) or lab.job(order.job)
    if job is None:
        raise lab.root.fault((lab.run(order.run).place, "it has no job %s" % order.job))
    if order.step:
        return resolver.resolve_part(job, order.step, None if order.step == SCATTER else order.item)
    resolved = resolver.resolve(job, order.realization)
    if resolved is None:
        return None
    if job.parts is not None:
        whole = resolver.scatter_gather(job)
        assert whole is not None, "its parts have been looked at"
        return whole.gather_job(), resolved
    return job, resolved


def resolved_job(
    lab: Lab,
    order: JobOrder,
    job: Job | PartJob,
    resolved: Resolved,
    start: StageStart,
    package: Callable[[str], str],
) -> ResolvedJob:
    """All that running a job takes; `package` says what a param that is a package means here."""
    params = dict(job.params)
    stored = []
    for name, kind in job.references.items():
        value = params[name]
        if value is None:
            continue
        if kind == "path":
            params[name] = place_for_job(lab, value, start.sandbox)
            stored.append(value[len("store/") :])
        else:
            params[name] = package(value)
    if job.stage.takes_index:
        params["index"] = order.realization
    return ResolvedJob(
        job=job,
        realization=order.realization,
        key=resolved.key,
        inputs=resolved.inputs,
        params=params,
        stored=tuple(stored),
        start=start,
        lab=lab.lab_id,
        cpus=order.cpus,
        time_s=order.time_s,
        limits=order.limits,
    )

"""From a job of a Lab to the place where it is done by hand; starts nothing."""

from __future__ import annotations

from repx.agent.base.layout import Store
from repx.agent.bench import Bench
from repx.agent.lab.run_file import Job
from repx.agent.messages import JobOrder
from repx.agent.programs import Isolation, ProgramsError, programs_of
from repx.agent.resolve import ResultsInput
from repx.agent.resolved_job import resolve_order, resolved_job
from repx.agent.resolver import Resolver
from repx.errors import SoftwareError, UsageError, plural
from repx.lab.directory import LabDirectory
from repx.lab.selection import find_job
from repx.runtime.needs import asked_for
from repx.runtime.verify.subjects import part_of, unusable_input


def find_job_or_part(lab: LabDirectory, store: Store, name: str) -> tuple[Job, str, str | None]:
    """The job of a name, with the step and the item where it is a part of a scatter-gather. Raises UsageError."""
    try:
        return find_job(lab, name), "", None
    except UsageError:
        found = part_of(lab, Resolver(lab, store), name)
        if found is None:
            raise
        whole, part = found
        return whole, part.step, part.item


def open_bench(
    lab: LabDirectory,
    store: Store,
    job: Job,
    step: str = "",
    item: str | None = None,
    *,
    realization: int = 0,
    isolation: Isolation,
    allow_drift: bool = False,
) -> Bench:
    """Have a job's place ready. Raises UsageError where what it takes is not there, SoftwareError for its software."""
    if not 0 <= realization < job.stage.realizations:
        count = job.stage.realizations
        raise UsageError(f"job {job.id} has {count} {plural('realization', count)}; there is no index {realization}")
    if isolation.kind not in ("native", "bwrap"):
        raise UsageError(
            f"a job is done by hand natively or in bubblewrap, not in {isolation.kind}", hint="give --bwrap"
        )
    resolver = Resolver(lab, store)
    cpus = asked_for(job.hints)[0].cpus
    order = JobOrder(job.run.name, job.id, realization, step=step, item=item, cpus=cpus, offset=job.offset)
    found = resolve_order(lab, resolver, order)
    if found is None:
        raise UsageError(f"what {job.stage.name} takes has no result yet", hint=f"make it: {_make_upstreams(job)}")
    made, resolved = found
    gone = unusable_input(resolved.inputs)
    if gone:
        raise UsageError(f"the input {gone} was collected", hint=f"make it again: {_make_upstreams(job)} --force")
    for value in resolved.inputs.values():
        if isinstance(value, ResultsInput):
            results = resolver.results(value.run)
            assert results is not None, "it has been resolved"
            results.write(store)
    try:
        programs = programs_of(lab, store, isolation, allow_drift=allow_drift)
        start = programs.start(made.stage, "")
        return Bench(store, resolved_job(lab, order, made, resolved, start, programs.package))
    except ProgramsError as error:
        raise SoftwareError(error.headline, facts=error.facts, hint=error.hint) from None


def _make_upstreams(job: Job) -> str:
    names = [*dict.fromkeys(one[:12] for one in job.upstream_ids()), *job.runs_taken()]
    return "repx run " + " ".join([*names[:3], *(["…"] if len(names) > 3 else [])])

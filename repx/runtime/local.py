"""An engine for this machine, from what the user names and how much of the machine they give; starts nothing."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from repx.agent.base.layout import Store
from repx.agent.passed_env import passed_variables
from repx.agent.programs import Isolation, IsolationKind, programs_of
from repx.errors import UsageError
from repx.lab.directory import LabDirectory
from repx.lab.selection import select
from repx.runtime.engine import Engine
from repx.runtime.executors.direct import DirectExecutor
from repx.runtime.executors.executor import Budget
from repx.runtime.images import Images
from repx.runtime.isolation import choose_isolation
from repx.runtime.limits import machine_cpus, machine_memory
from repx.runtime.report import Options, Watcher
from repx.runtime.target import LOCAL
from repx.runtime.targets import find_target


def local_engine(
    lab: LabDirectory,
    names: Sequence[str] = (),
    *,
    store: Store,
    watcher: Watcher,
    jobs: int | None = None,
    mem: int | None = None,
    force: bool = False,
    again: Sequence[str] = (),
    wanted: Collection[str] = (),
    continue_on_failure: bool = False,
    allow_drift: bool = False,
    isolation: Isolation | None = None,
) -> Engine:
    """An engine for runs, groups, stages and job prefixes; for everything when nothing is named.

    `jobs` slots (default: the CPUs) share `mem` bytes (default: the machine's); the isolation is the local target's
    unless given. Of the jobs `wanted` the outputs are there in the end, also where they were collected. Raises
    UsageError for an unknown name, and what `isolation_on` raises.
    """
    lab = lab.seen_from(store)
    cpus = machine_cpus()
    budget = Budget(slots=jobs or cpus, cpus=max(cpus, jobs or 0), mem=mem or machine_memory())
    chosen = isolation or isolation_on(lab)
    return Engine(
        lab,
        store,
        select(lab, [*names, *again] if names else ()),
        Options(force=force, again=_jobs_to_add_to(lab, again), wanted=wanted, continue_on_failure=continue_on_failure),
        watcher,
        programs_of(lab, store, chosen, allow_drift=allow_drift),
        lambda: DirectExecutor(store, budget, Images(lab, chosen), stop_on_failure=not continue_on_failure),
    )


def _jobs_to_add_to(lab: LabDirectory, names: Sequence[str]) -> frozenset[str]:
    """The ids of named jobs to which a realization can be added. Raises UsageError."""
    selection = select(lab, names) if names else None
    asked = selection.asked if selection is not None else frozenset[str]()
    for identity in asked:
        assert selection is not None, "it is asked for"
        if selection.jobs[identity].parts is not None:
            raise UsageError(
                f"{selection.jobs[identity].stage.name} is a scatter-gather, which has one realization",
                hint="make it anew with --force, or add realizations to a stage that it takes from",
            )
    return asked


def isolation_on(lab: LabDirectory, target: str = LOCAL, wanted: IsolationKind | None = None) -> Isolation:
    """What the jobs of a Lab are shut in with on a target, unless something else is wanted.

    Raises UsageError for a target that is not configured, and what `choose_isolation` raises.
    """
    settings = find_target(target)
    chosen = choose_isolation(
        lab, wanted, listed=settings.isolation, mounts=settings.mount_paths, host=settings.mount_host_paths
    )
    return chosen._replace(variables=passed_variables(settings.pass_env, os.environ))

"""Results of a Lab made again and judged, from what the user names; prints nothing and publishes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from repx.agent.base.layout import Store
from repx.agent.in_use import using
from repx.agent.programs import Isolation, programs_of
from repx.agent.recovery import recover_dead_runners
from repx.agent.resolver import Resolver
from repx.errors import UsageError
from repx.lab.directory import LabDirectory
from repx.runtime.executors.executor import Budget
from repx.runtime.limits import machine_cpus, machine_memory
from repx.runtime.verify.chains import firsts
from repx.runtime.verify.rehearsals import Rehearsals
from repx.runtime.verify.subjects import find_subjects
from repx.runtime.verify.verdicts import Judged, Verdict, judge_all


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of it. `missing` are titles of what has no result; `impure` counts the results that were left out.

    `firsts` has the titles by name, as `chains.firsts` says; `sampled_of` is what a sample was drawn from, else 0.
    """

    judged: list[Judged]
    missing: list[str]
    impure: int
    sampled_of: int
    firsts: dict[str, str]
    drift: list[str]
    is_named: bool
    """Whether the user has named jobs: then each of them is to have a result."""

    def counts(self) -> dict[str, int]:
        """How many were judged how."""
        return {verdict.value: sum(one.verdict is verdict for one in self.judged) for verdict in Verdict}

    @property
    def succeeded(self) -> bool:
        """Whether all that was asked for is reproduced."""
        return not (self.is_named and self.missing) and all(one.verdict is Verdict.REPRODUCED for one in self.judged)


def verify_results(
    lab: LabDirectory,
    store: Store,
    names: Sequence[str],
    *,
    isolation: Isolation,
    sample: int | None = None,
    jobs: int | None = None,
    allow_drift: bool = False,
    causes: bool = True,
    show: Callable[[str], None],
) -> Verification:
    """Make the results of the named jobs again, or all of a Lab; `show` hears what goes on.

    Raises UsageError when there is nothing to verify, SoftwareError when the Lab's software is not here.
    """
    with contextlib.suppress(OSError):
        recover_dead_runners(store)
    # Said first: what is looked at from now on is not collected meanwhile.
    with using(store, lab.path):
        return _verified(lab, store, names, isolation, sample, jobs, allow_drift=allow_drift, causes=causes, show=show)


def _verified(
    lab: LabDirectory,
    store: Store,
    names: Sequence[str],
    isolation: Isolation,
    sample: int | None,
    jobs: int | None,
    *,
    allow_drift: bool,
    causes: bool,
    show: Callable[[str], None],
) -> Verification:
    resolver = Resolver(lab, store)
    found = find_subjects(lab, resolver, names, sample)
    if not found.subjects:
        hint = "run it first: repx run" if found.missing or not found.impure else "name what is impure to run it again"
        what = f"none of {len(found.missing)} has a result" if found.missing else "no result was named"
        raise UsageError(f"there is nothing to verify: {what}", hint=hint)
    programs = programs_of(lab, store, isolation, allow_drift=allow_drift)
    cpus = machine_cpus()
    budget = Budget(slots=jobs or cpus, cpus=max(cpus, jobs or 0), mem=machine_memory())
    with Rehearsals(lab, store, resolver, programs, isolation, budget, show) as rehearsals:
        judged = judge_all(rehearsals, found.subjects, causes=causes)
    differing = [one.subject for one in judged if one.verdict is Verdict.DIFFERS]
    return Verification(
        judged,
        found.missing,
        found.impure,
        found.sampled_of,
        firsts(lab, differing) if differing else {},
        list(programs.drift),
        bool(names),
    )

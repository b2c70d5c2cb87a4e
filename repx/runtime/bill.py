"""What a run would cost, as far as earlier attempts of the same stages tell: jobs, hours, room; starts nothing."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from repx.agent.adoption import find_under_key, takes_more_than_its_key
from repx.agent.base.files import read_if_there
from repx.agent.base.layout import COLLECTED, OUT, RECORD, Store
from repx.agent.base.names import is_job_id
from repx.agent.base.record import RecordError, decode_attempts, decode_outcome
from repx.agent.resolve import Reason
from repx.lab.selection import stage_of as stage_in_id
from repx.runtime.report import Report, stage_of
from repx.runtime.units import Unit

SAMPLES = 40
"""Earlier results of a stage that are looked at."""

OWN_INODES = 3
"""A job's directory, its `out` and its record."""


class Sample(NamedTuple):
    """One earlier result: seconds of its last attempt (None where it was adopted), bytes, files and directories."""

    time_s: float | None
    bytes: int
    inodes: int


class StageEstimate(NamedTuple):
    """What `jobs` jobs of a stage would cost: in seconds each, with the spread (standard deviation) of `attempts`.

    `mean_s` is None where no attempt is known, `spread_s` where there is only one; `bytes` and `inodes` are those of
    all jobs, None where no result is known.
    """

    stage: str
    jobs: int
    attempts: int
    mean_s: float | None
    spread_s: float | None
    bytes: int | None
    inodes: int | None


class Bill(NamedTuple):
    """`reused` jobs are done; of those that are left `adopted` would take another's result and `run` would run.

    `run` is at most that many, for what comes after a job that runs may find a result.
    """

    reused: int
    adopted: int
    run: int
    stages: tuple[StageEstimate, ...]

    @property
    def work_s(self) -> float | None:
        """Seconds of work, one job after the other; None where nothing is known."""
        known = [one.mean_s * one.jobs for one in self.stages if one.mean_s is not None]
        return sum(known) if known else None

    @property
    def work_spread_s(self) -> float | None:
        """The standard error of `work_s`: of the jobs themselves, and of means over few attempts."""
        known = [one for one in self.stages if one.mean_s is not None]
        if not known or any(one.spread_s is None for one in known):
            return None
        return math.sqrt(sum((one.spread_s or 0) ** 2 * (one.jobs + one.jobs**2 / one.attempts) for one in known))

    @property
    def bytes(self) -> int:
        """Bytes of outputs, as far as they are known."""
        return sum(one.bytes or 0 for one in self.stages)

    @property
    def inodes(self) -> int:
        """Files and directories, as far as they are known."""
        return sum(one.inodes or 0 for one in self.stages)

    @property
    def unknown(self) -> dict[str, int]:
        """How many jobs of stages of which no attempt is known."""
        return {one.stage: one.jobs for one in self.stages if one.mean_s is None}


def make_bill(report: Report, store: Store) -> Bill:
    """The bill of a survey."""
    adopted = 0
    running: Counter[str] = Counter()
    for unit in report.units:
        if unit.reason is not None:
            if _is_adoptable(unit, store):
                adopted += 1
            else:
                running[stage_of(unit)] += 1
    samples = _read_samples(store, running) if running else {}
    stages = tuple(estimate(stage, jobs, samples.get(stage, ())) for stage, jobs in running.items())
    return Bill(report.found, adopted, running.total(), stages)


def estimate(stage: str, jobs: int, samples: Sequence[Sample]) -> StageEstimate:
    """What the jobs of a stage would cost, by earlier results."""
    times = [one.time_s for one in samples if one.time_s is not None]
    mean = sum(times) / len(times) if times else None
    spread = None
    if mean is not None and len(times) > 1:
        spread = math.sqrt(sum((time - mean) ** 2 for time in times) / (len(times) - 1))
    size, inodes = (
        round(jobs * sum(found) / len(samples)) if samples else None
        for found in ([one.bytes for one in samples], [one.inodes for one in samples])
    )
    return StageEstimate(stage, jobs, len(times), mean, spread, size, inodes)


def _is_adoptable(unit: Unit, store: Store) -> bool:
    """Whether another job has done already what a unit would do."""
    if unit.job is None or unit.resolved is None or unit.reason is Reason.FORCED:
        return False
    if takes_more_than_its_key(unit.job.stage, unit.resolved.inputs):
        return False
    return find_under_key(store, unit.job.id, unit.index, unit.resolved.key) is not None


def _read_samples(store: Store, stages: Iterable[str]) -> Mapping[str, Sequence[Sample]]:
    """Earlier results of stages, spread over all that there are."""
    wanted = set(stages)
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for identity in _names(store.outputs):
        # Cut first: most names are of no stage that is asked for.
        if (stage := stage_in_id(identity)) in wanted and is_job_id(identity):
            ids[stage].append(identity)
    found = {}
    for stage, names in ids.items():
        few = names[:: math.ceil(len(names) / SAMPLES)]
        found[stage] = [one for one in (_sample(store.job(identity)) for identity in few) if one is not None]
    return found


def _sample(directory: str) -> Sample | None:
    data = read_if_there(f"{directory}/{RECORD}") or read_if_there(f"{directory}/{COLLECTED}")
    try:
        outcome, attempts = decode_outcome(data or b""), decode_attempts(data or b"")
    except RecordError:
        return None
    time_s = None if outcome.adopted or not attempts else max(0.0, attempts[-1].end - attempts[-1].start)
    inside = sum(len(folders) + len(files) for _, folders, files in os.walk(f"{directory}/{OUT}"))
    inodes = OWN_INODES + max(inside, len(outcome.outputs))
    return Sample(time_s, sum(one.size for one in outcome.outputs.values()), inodes)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []

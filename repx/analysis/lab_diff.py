"""In what two Labs differ: jobs that are in one alone, each with its nearest of the other; writes nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from repx.agent.base.layout import Store
from repx.analysis.changes import Change, find_changes, stage_lines_by
from repx.analysis.counterparts import EarlierJobs, JobLines
from repx.analysis.earlier import Scripts, lab_stages, lines_of_job
from repx.analysis.why import ScriptChange, script_changes, upstream_first
from repx.lab.directory import LabDirectory
from repx.lab.selection import select, stage_of
from repx.model.garbage import no_collection


@dataclass(frozen=True, slots=True)
class LabDiff:
    """The answer. `before` and `after` are the numbers of jobs, `same` those that both have.

    `gone` are jobs by stage that no job of the other is the counterpart of; `runs_gone` and `runs_new` names of runs.
    """

    before: int
    after: int
    same: int
    changes: list[Change]
    gone: Counter[str]
    runs_gone: tuple[str, ...]
    runs_new: tuple[str, ...]
    scripts: dict[tuple[str, str], ScriptChange] = field(default_factory=dict)


def compare_labs(before: LabDirectory, after: LabDirectory, store: Store) -> LabDiff:
    """What `after` has in place of what `before` has; earlier scripts are looked for in these two."""
    with no_collection():
        return _compare(before, after, store)


def _compare(before: LabDirectory, after: LabDirectory, store: Store) -> LabDiff:
    old_ids, new_ids = ({identity for run in lab.runs.values() for identity in run.ids()} for lab in (before, after))
    stages = {**lab_stages(before), **lab_stages(after)}
    lines_of = stage_lines_by({digest: stage.fingerprint for digest, stage in stages.items()}, lambda digest: ())
    by_stage: defaultdict[str, list[JobLines]] = defaultdict(list)
    if not new_ids <= old_ids:
        for job in before.jobs():
            by_stage[job.stage.name].append(lines_of_job(job))
        for jobs in by_stage.values():
            # Those that are gone first: of equally near ones, the first is taken, on every machine the same.
            jobs.sort(key=lambda job: (job.id in new_ids, job.params))
    known = {stage: EarlierJobs(jobs, lines_of, lambda digest: 0.0) for stage, jobs in by_stage.items()}
    ordered = list(upstream_first(select(after, ())))
    fresh = (lines_of_job(job) for job in ordered if job.id not in old_ids)
    counterparts: dict[str, str] = {}
    changes = find_changes(fresh, known.get, lines_of, new_ids, counterparts)
    # By all jobs, for of some stages the first may be in both Labs.
    places = {name: place for place, name in enumerate(dict.fromkeys(job.stage.name for job in ordered))}
    changes.sort(key=lambda one: places[one.stage])
    gone = Counter(map(stage_of, old_ids - new_ids - set(counterparts.values())))
    return LabDiff(
        len(old_ids),
        len(new_ids),
        len(old_ids & new_ids),
        changes,
        gone,
        tuple(name for name in before.runs if name not in after.runs),
        tuple(name for name in after.runs if name not in before.runs),
        script_changes(changes, Scripts([after, before], store)),
    )

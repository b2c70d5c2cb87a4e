"""Jobs with their nearest earlier ones, put together to a few changes; pure: reads nothing.

Jobs that differ from their counterparts in the same lines are one change, whatever the values: of these a few are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from repx.agent.base.fingerprint import Line
from repx.analysis.counterparts import EarlierJobs, JobLines, StageLinesOf
from repx.analysis.differences import Difference, Kind, compare, difference
from repx.lab.selection import stage_of

Pair = tuple[str | None, str | None]


@dataclass(slots=True)
class Change:
    """What `count` jobs of a stage have in common. `before` is empty where there is no earlier job of the stage.

    `of_stage` are differences of the stage, the same for all; `own` those of the jobs, each with its values before and
    after, and how many jobs have these. `is_added`: the earlier jobs are there still, and these beside them.
    """

    stage: str
    before: str
    after: str
    of_stage: tuple[Difference, ...]
    is_added: bool = False
    own: dict[tuple[Kind, str], Counter[Pair]] = field(default_factory=dict)
    count: int = 0
    example: str = ""
    counterpart: str = ""


def find_changes(
    jobs: Iterable[JobLines],
    earlier_of: Callable[[str], EarlierJobs | None],
    lines_of: StageLinesOf,
    kept: Container[str] = (),
    counterparts: dict[str, str] | None = None,
) -> list[Change]:
    """The changes of jobs, each after those it takes from, the largest of each stage first.

    `earlier_of` has the earlier jobs by the name of a stage; those in `kept` are jobs of today as well.
    `counterparts`, when given, is filled with the nearest earlier job of each.
    """
    found: dict[tuple[object, ...], Change] = {}
    counterparts = {} if counterparts is None else counterparts
    between: dict[tuple[str, str], tuple[Difference, ...]] = {}
    for job in jobs:
        earlier = earlier_of(job.name)
        near = None if earlier is None else earlier.nearest(job, lines_of(job.stage), counterparts)
        if near is None:
            change = found.setdefault((job.name, job.stage), Change(job.name, "", job.stage, ()))
        else:
            before = near.job
            counterparts[job.id] = before.id
            pair = (before.stage, job.stage)
            if pair not in between:
                between[pair] = compare(lines_of(before.stage), lines_of(job.stage))
            own = [*_own(before, job, counterparts)]
            is_added = before.id in kept
            key = (job.name, *pair, is_added, *((one.kind, one.name) for one in own))
            change = found.setdefault(key, Change(job.name, *pair, between[pair], is_added))
            for one in own:
                change.own.setdefault((one.kind, one.name), Counter())[one.before, one.after] += 1
            change.counterpart = change.counterpart or before.id
        change.count += 1
        change.example = change.example or job.id
    order = {name: number for number, name in enumerate(dict.fromkeys(one.stage for one in found.values()))}
    # Of equally large ones by what they say: ids, in whose order jobs come, are others on another machine.
    return sorted(found.values(), key=lambda one: (order[one.stage], -one.count, sorted(map(str, one.own))))


def _own(before: JobLines, after: JobLines, counterparts: Mapping[str, str]) -> Iterator[Difference]:
    """How the lines of two jobs differ; an input from a job and from its counterpart differs by that job alone."""
    told, renamed, earlier = after.own(), after.own(counterparts), before.own()
    for label, text in renamed.items():
        if earlier.get(label) != text:
            yield difference(label, earlier.get(label), told[label])
        elif told[label] != text:
            # The names of the stages say enough: of ids there are as many as jobs.
            names = ", ".join(dict.fromkeys(_stages(told[label])))
            yield difference(label, names, names)._replace(kind=Kind.UPSTREAM)
    for label in earlier:
        if label not in renamed:
            yield difference(label, earlier[label], None)


def _stages(text: str) -> Iterator[str]:
    return (stage_of(line.split(" ", 2)[1]) for line in text.split("\n") if line.startswith("job "))


def stage_lines_by(stages: Mapping[str, Sequence[Line]], read: StageLinesOf) -> StageLinesOf:
    """Lines of stages by digest: those in `stages`, and of others what `read` says, each asked for once."""
    known: dict[str, Sequence[Line]] = dict(stages)

    def lines_of(digest: str) -> Sequence[Line]:
        if digest not in known:
            known[digest] = read(digest)
        return known[digest]

    return lines_of

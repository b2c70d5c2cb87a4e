"""One verdict for each result that was made again: reproduced, differs, cannot run; prints nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from repx.agent.base.digest import TreeError, tree_digest
from repx.agent.base.files import remove_tree
from repx.agent.base.record import Attempt
from repx.agent.resolve import FileInput, Inputs
from repx.runtime.report import reason_text
from repx.runtime.verify.causes import Cause, find_cause
from repx.runtime.verify.clocks import Span, differs_by_times
from repx.runtime.verify.rehearsals import Made, Rehearsals
from repx.runtime.verify.subjects import Subject, unusable_input
from repx.store.difference import Difference, files_of, find_difference


class Verdict(StrEnum):
    """What came of making a result again."""

    REPRODUCED = "reproduced"
    DIFFERS = "differs"
    CANNOT_RUN = "cannot run"


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict and what it rests on. `differences` are by output; None where there are no bytes to compare with."""

    subject: Subject
    verdict: Verdict
    why: str = ""
    differences: Mapping[str, Difference | None] = field(default_factory=dict)
    cause: Cause | None = None
    is_time: bool = False


def judge_all(rehearsals: Rehearsals, subjects: Sequence[Subject], *, causes: bool = True) -> list[Judged]:
    """Make each result again and judge it; of each stage that differs, look for the cause at its first job.

    In the order of `subjects`. Raises SoftwareError when none can run, for what they need is not here.
    """
    found: dict[str, Judged] = {}
    runnable = []
    for subject in subjects:
        gone = unusable_input(subject.resolved.inputs)
        if gone:
            why = f"its input {gone} was collected or removed; make it again: repx run"
            found[subject.name] = Judged(subject, Verdict.CANNOT_RUN, why)
        else:
            runnable.append(subject)
    for subject, made in rehearsals.make(runnable):
        found[subject.name] = _judged(subject, made)
        remove_tree(made.directory)
    judged = [found[subject.name] for subject in subjects]
    return _with_causes(rehearsals, judged) if causes else judged


def _with_causes(rehearsals: Rehearsals, judged: Sequence[Judged]) -> list[Judged]:
    looked_at: set[str] = set()
    told = []
    for one in judged:
        stage = one.subject.job.stage.digest
        if one.verdict is Verdict.DIFFERS and stage not in looked_at:
            looked_at.add(stage)
            recorded = {name: output.digest for name, output in one.subject.record.outputs.items()}
            one = replace(one, cause=find_cause(rehearsals, one.subject, recorded, is_time=one.is_time))
        told.append(one)
    return told


def _judged(subject: Subject, made: Made) -> Judged:
    if made.failure is not None and made.failure.cause in ("store", "lab", "input", "worker"):
        return Judged(subject, Verdict.CANNOT_RUN, reason_text(made.failure))
    if made.key not in ("", subject.resolved.key):
        return Judged(subject, Verdict.CANNOT_RUN, "its inputs have changed in the meantime; give the command again")
    differing = [
        name for name, output in sorted(subject.record.outputs.items()) if made.digests().get(name) != output.digest
    ]
    if not differing:
        return Judged(subject, Verdict.REPRODUCED)
    damaged = _damaged_input(subject.resolved.inputs)
    if damaged:
        why = f"its input {damaged} is not what its record says; see repx verify --store"
        return Judged(subject, Verdict.CANNOT_RUN, why)
    if made.failure is not None:
        return Judged(subject, Verdict.DIFFERS, f"it had succeeded, and fails now: {reason_text(made.failure)}")
    differences: dict[str, Difference | None] = {}
    is_time = bool(subject.record.outputs)
    for name in differing:
        old, new = subject.record.path(name), f"{made.directory}/{made.outputs[name].path}"
        if not os.path.lexists(old):
            differences[name] = None
            is_time = False
        elif _digest(old) != subject.record.outputs[name].digest:
            differences[name] = Difference("", "what is stored is not what the record says; see repx verify --store")
            is_time = False
        else:
            differences[name] = find_difference(old, new)
            is_time = is_time and _is_time(old, new, subject.attempt(), Span(made.start, made.end))
    return Judged(subject, Verdict.DIFFERS, differences=differences, is_time=is_time)


def _is_time(old: str, new: str, then: Attempt | None, now: Span) -> bool:
    """Whether two outputs differ by the times at which they were made."""
    names = files_of(old)
    if then is None or names != files_of(new):
        return False
    spans = Span(then.start, then.end), now
    pairs = [(f"{old}/{name}" if name else old, f"{new}/{name}" if name else new) for name in names]
    return all(differs_by_times(*pair, *spans) for pair in pairs if find_difference(*pair) is not None)


def _damaged_input(inputs: Inputs) -> str:
    """The name of an input whose bytes are not those that its digest says."""
    for name, given in inputs.items():
        several = given if isinstance(given, list) else [given]
        if any(isinstance(one, FileInput) and _digest(one.path) != one.digest for one in several):
            return name
    return ""


def _digest(path: str) -> str:
    try:
        return tree_digest(path)
    except (OSError, TreeError):
        return ""

"""Early cut-off: the result of another job that computed the same of the same, given to this one; runs nothing.

A resolved key covers everything that a job computes with, and its inputs by content. So a result that stands under the
key is this job's too, whatever made the inputs. It is adopted by hard links: whatever becomes of the other job's result
later (it is displaced, made anew, or collected), these files stay what they are.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from repx.agent.base.files import link_tree, read_if_there, remove_tree
from repx.agent.base.found import find_realization
from repx.agent.base.layout import OUT, Store
from repx.agent.base.record import Outcome, RecordError, decode_outcome
from repx.agent.lab.job_line import FromJob
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Stage
from repx.agent.resolve import Inputs, ResultsInput
from repx.agent.resolved_job import ResolvedJob
from repx.agent.scatter import PartJob


class Adoptable(NamedTuple):
    """A result under the key of another job: the directory that its `out` is in, and its outcome."""

    directory: str
    outcome: Outcome


def is_private(job: ResolvedJob, *, force: bool) -> bool:
    """Whether a job's result is its own: made in spite of what is there, or of more than its key says."""
    return force or takes_more_than_its_key(job.job.stage, job.inputs)


def takes_more_than_its_key(stage: Stage, inputs: Inputs) -> bool:
    """Whether two jobs with one key may compute something else.

    The results of a run name the ids of jobs, among their paths: a script can see what it is not to depend on.
    """
    takes_results = any(isinstance(value, ResultsInput) for value in inputs.values())
    return stage.is_impure or takes_results or stage.hash_mode != "pure"


def find_adoptable(store: Store, job: ResolvedJob) -> Adoptable | None:
    """A complete result of another job under the key of this one."""
    if not _has_likes(job.job):
        return None
    return find_under_key(store, job.job.id, job.realization, job.key)


def _has_likes(job: Job | PartJob) -> bool:
    """Whether another job can have the same key: one that takes from others, whose ids are in its own.

    A look among all keys waits for whoever adds some, which jobs that take nothing are not to pay for.
    """
    if isinstance(job, PartJob):
        # A step's id is made of contents, like its key.
        return job.item is None
    return any(isinstance(source, FromJob) for source in job.inputs)


def find_under_key(store: Store, job: str, index: int, key: str) -> Adoptable | None:
    """A complete result of another job than this under a key, for all who may take it."""
    data = read_if_there(store.key(key))
    if data is None:
        return None
    try:
        named = decode_outcome(data)
        directory = store.job(named.job)
    except (RecordError, ValueError):
        return None
    if named.job == job or named.realization != index:
        return None
    found = find_realization(directory, index, key)
    if found is None or found[1].is_private:
        return None
    return Adoptable(*found)


def link_outputs(adoptable: Adoptable, target: str) -> bool:
    """Have the outputs of a result at `target` as well; False, and nothing there, when it was moved meanwhile."""
    remove_tree(target)
    source = adoptable.directory + "/" + OUT
    try:
        before = os.stat(source).st_ino
        link_tree(source, target)
        # Another result in its place would be another directory; one whose files are taken away first is none.
        if os.stat(source).st_ino == before and _are_there(adoptable.outcome, target):
            return True
    except OSError:
        pass
    with contextlib.suppress(OSError):
        remove_tree(target)
    return False


def _are_there(outcome: Outcome, out: str) -> bool:
    return all(os.path.lexists("%s/%s" % (out, output.path)) for output in outcome.outputs.values())

"""Which results are to be made again: those of the named jobs and of their parts; runs and writes nothing."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from repx.agent.base.layout import COLLECTED, RECORD
from repx.agent.base.record import Attempt, Outcome, read_attempts, read_outcome
from repx.agent.lab.run_file import Job
from repx.agent.resolve import FileInput, Inputs, Realized, Resolved
from repx.agent.resolver import Resolver
from repx.agent.scatter import ItemsError, PartJob
from repx.errors import UsageError
from repx.lab.directory import LabDirectory
from repx.lab.job_order import sorted_jobs
from repx.lab.selection import listed_jobs
from repx.lab.titles import Titles


class Subject(NamedTuple):
    """A result to be made again: of which job, from which inputs, where it stands, what people call it.

    `whole` is the scatter-gather that it is a part of, or the job itself; `run` the place of its run among the Lab's.
    """

    job: Job | PartJob
    whole: Job
    realization: int
    run: int
    resolved: Resolved
    record: Realized
    title: str

    @property
    def name(self) -> str:
        """The job's id, with the index of a further realization."""
        return f"{self.job.id}#{self.realization}" if self.realization else self.job.id

    def outcome(self) -> Outcome | None:
        """What its record says."""
        return read_outcome(f"{self.record.directory}/{COLLECTED if self.record.is_collected else RECORD}")

    def attempt(self) -> Attempt | None:
        """The attempt that made the result, where it was made for this job."""
        attempts = read_attempts(f"{self.record.directory}/{COLLECTED if self.record.is_collected else RECORD}")
        return attempts[-1] if attempts else None


class Found(NamedTuple):
    """What is to be made again, titles of what has no result, how many are impure and were not named.

    `sampled_of` is the number that the subjects were drawn from, 0 where they are all.
    """

    subjects: list[Subject]
    missing: list[str]
    impure: int
    sampled_of: int = 0


def find_subjects(lab: LabDirectory, resolver: Resolver, names: Sequence[str], sample: int | None) -> Found:
    """The results of the named jobs, or of all, in the order of dependencies; of many only a sample.

    What is impure may change things outside when it runs: it has to be named. Raises UsageError.
    """
    titles = Titles(lab.job)
    runs = {name: number for number, name in enumerate(lab.runs)}
    subjects: list[Subject] = []
    missing: list[str] = []
    seen: set[str] = set()
    impure = 0
    for job, part in _named(lab, resolver, names):
        for subject in _subjects_of(job, resolver, titles, runs[job.run.name]):
            if isinstance(subject, str):
                missing.append(subject)
            elif subject.name not in seen and part in ("", subject.job.id):
                seen.add(subject.name)
                if not names and (subject.job.stage.is_impure or subject.job.stage.hash_mode != "pure"):
                    impure += 1
                else:
                    subjects.append(subject)
    sampled_of = 0
    if sample is not None and sample < len(subjects):
        # Another one each time: many small looks see more than one look many times.
        chosen = sorted(random.sample(range(len(subjects)), sample))
        sampled_of = len(subjects)
        subjects = [subjects[place] for place in chosen]
    return Found(subjects, missing, impure, sampled_of)


def part_of(lab: LabDirectory, resolver: Resolver, name: str) -> tuple[Job, PartJob] | None:
    """A part of a scatter-gather by the start of its id, and the whole; None where there is none."""
    for run in lab.runs.values():
        if len(name) < 4 or not any(stage.parts is not None for stage in run.stages.values()):
            continue
        for job in run.jobs():
            whole = resolver.scatter_gather(job) if job.parts is not None else None
            with contextlib.suppress(ItemsError):
                for part in whole.walk(resolver.look_up_part) if whole is not None else ():
                    if part.job is not None and part.job.id.startswith(name):
                        return job, part.job
    return None


def unusable_input(inputs: Inputs) -> str:
    """The name of an input that is not there any more; empty where all are."""
    for name, given in inputs.items():
        several = given if isinstance(given, list) else [given]
        if any(isinstance(one, FileInput) and not os.path.lexists(one.path) for one in several):
            return name
    return ""


def _named(lab: LabDirectory, resolver: Resolver, names: Sequence[str]) -> list[tuple[Job, str]]:
    """The named jobs in the order of dependencies, with the id of a part where one was named."""
    jobs: dict[str, Job] = {}
    parts: dict[str, str] = {}
    for name in names or list(lab.runs):
        try:
            jobs.update((job.id, job) for job in listed_jobs(lab, name))
        except UsageError:
            found = part_of(lab, resolver, name)
            if found is None:
                raise
            jobs[found[0].id] = found[0]
            parts[found[0].id] = found[1].id
    return [(job, parts.get(job.id, "")) for job in sorted_jobs(lab, list(jobs.values()), resolver.inherited)]


def _subjects_of(job: Job, resolver: Resolver, titles: Titles, run: int) -> Iterator[Subject | str]:
    """The results of a job, of a scatter-gather those of its parts first; of what has none, its title."""
    whole = resolver.scatter_gather(job) if job.parts is not None else None
    if whole is not None:
        try:
            for part in whole.walk(resolver.look_up_part):
                if part.job is not None and part.resolved is not None and part.outcome is not None:
                    yield Subject(part.job, job, 0, run, part.resolved, part.outcome, titles.of(part.job))
        except ItemsError:
            pass
    for index in range(job.stage.realizations):
        record = resolver.outcome(job, index)
        resolved = None if record is None else resolver.resolve(job, index)
        if record is None or resolved is None:
            yield titles.of(job, index)
        else:
            made = job if whole is None else whole.gather_job()
            yield Subject(made, job, index, run, resolved, record, titles.of(job, index))

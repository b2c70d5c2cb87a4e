"""The derivation graph: all jobs of an experiment by run, closed under inputs; a value, with no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from repx.agent.base.digest import short_digest
from repx.errors import Finding, SourceLocation
from repx.model.derivation import Derivation, StageRecipe
from repx.model.names import JobId
from repx.model.software import Software
from repx.model.sources import Sources
from repx.model.values import Value

DependencyKind = Literal["hard", "soft"]


@dataclass(frozen=True, slots=True)
class RunDependency:
    """This run comes after `run`: hard means it must succeed, soft that it must have finished."""

    run: str
    kind: DependencyKind


Arguments = tuple[tuple[str, Value], ...]
"""Arguments of a pipeline by name."""


@dataclass(frozen=True, slots=True, eq=False)
class RunGraph:
    """One run: its jobs, producers before consumers, and the runs that it comes after."""

    name: str
    jobs: tuple[Derivation, ...]
    after: tuple[RunDependency, ...]
    location: SourceLocation
    container: str = ""
    arguments: Mapping[JobId, Arguments] = field(default_factory=dict)
    """What pipelines were called with, where no stage has that as a param: it tells jobs apart, and is in no id."""

    @property
    def digest(self) -> str:
        """The digest of the sorted job ids: a job that takes this run's results depends on it."""
        return run_digest(job.id for job in self.jobs)


@dataclass(frozen=True, slots=True, eq=False)
class DerivationGraph:
    """Everything that an experiment asks for. `runs` stand in dependency order."""

    runs: tuple[RunGraph, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    version: str
    git_commit: str = ""
    date: str = ""
    """Of the commit, as YYYY-MM-DD."""
    packages: tuple[tuple[str, Software], ...] = ()
    """Packages that stand as values of params, with what each is."""
    sources: Sources = Sources()  # noqa: RUF009 - a frozen value
    """What it is made from, but for folders that were scanned: `repx run` warns when the Lab is older than that."""
    container: str = "none"
    """Which images are made: "unified", "per-run" or "none", where a run does not say otherwise."""
    run_container: str = "none"
    """The same for a slice of one run."""
    notes: tuple[Finding, ...] = ()
    """What the author should know of it, though it is no mistake."""

    def sliced(self, run: str) -> DerivationGraph:
        """One run and what it comes after; groups keep what is left of them. KeyError when there is no such run."""
        runs = {one.name: one for one in self.runs}
        kept: set[str] = set()
        waiting = [run]
        while waiting:
            name = waiting.pop()
            if name not in kept:
                kept.add(name)
                waiting.extend(one.run for one in runs[name].after)
        groups = ((name, tuple(one for one in members if one in kept)) for name, members in self.groups)
        left = tuple(one for one in self.runs if one.name in kept)
        packages = {name for one in left for job in one.jobs for name in job.packages()}
        return replace(
            self,
            runs=left,
            packages=tuple((name, software) for name, software in self.packages if name in packages),
            groups=tuple((name, members) for name, members in groups if members),
            container=self.run_container,
        )

    def stages(self) -> Iterator[StageRecipe]:
        """Every stage with a script once; a scatter-gather gives its parts."""
        seen: set[StageRecipe] = set()
        for run in self.runs:
            for whole in dict.fromkeys(job.stage for job in run.jobs):
                for stage in whole.stages():
                    if stage not in seen:
                        seen.add(stage)
                        yield stage

    def software(self) -> Iterator[Software]:
        """All software that has to be there: of every stage, and packages that are values of params."""
        yield from (stage.software for stage in self.stages())
        yield from (software for _, software in self.packages)

    def jobs(self) -> Iterator[Derivation]:
        """Every job once, producers before consumers within a run."""
        seen: set[JobId] = set()
        for run in self.runs:
            for job in run.jobs:
                if job.id not in seen:
                    seen.add(job.id)
                    yield job


def run_digest(ids: Iterable[str]) -> str:
    """The digest of a run from the ids of its jobs, in any order."""
    digest = hashlib.sha256(b"repx-run 1\n")
    for identity in sorted(ids):
        digest.update(identity.encode() + b"\n")
    return short_digest(digest.digest())

"""What a Lab needs of a store: its jobs, the parts of its scatter-gathers, which realizations are valid today."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from repx.agent.base.digest import digest_of_text
from repx.agent.base.layout import Store
from repx.agent.lab.run_file import Job, RunFile
from repx.agent.resolver import Resolver
from repx.agent.scatter import ItemsError
from repx.errors import RepxError
from repx.lab.directory import LabDirectory
from repx.store.gc.picture import LabPicture


def picture_lab(path: str, store: Store, asides: Mapping[str, Collection[str]]) -> LabPicture | None:
    """What the Lab at `path` needs; None where that cannot be read. `asides` are names of realizations by job."""
    try:
        lab = LabDirectory(path).seen_from(store)
        return _LabReader(lab, store).picture(asides)
    except (RepxError, OSError):
        return None


class _LabReader:
    def __init__(self, lab: LabDirectory, store: Store) -> None:
        self._lab = lab
        self._resolver = Resolver(lab, store)
        self._jobs: set[str] = set()
        self._open: set[str] = set()
        self._current: dict[str, frozenset[str]] = {}

    def picture(self, asides: Mapping[str, Collection[str]]) -> LabPicture:
        notes = {digest_of_text(self._lab.path)}
        for run in self._lab.runs.values():
            self._jobs.update(run.ids())
            notes.add(f"{digest_of_text(f'{run.place} {run.origin}')}.done")
            self._look_inside(run)
        for identity in self._jobs & asides.keys():
            job = self._lab.job(identity)
            if job is not None:
                self._look_aside(job, asides[identity])
        stored = os.listdir(f"{self._lab.path}/store")
        # A layer of an image is one file in a Lab, and has its sum beside it in the store.
        objects = {*stored, *(name.removesuffix(".tar") for name in stored)}
        return LabPicture(self._jobs, frozenset(self._open), self._current, frozenset(objects), frozenset(notes))

    def _look_inside(self, run: RunFile) -> None:
        """Find the parts of the scatter-gathers of a run; most runs have none, and no job of theirs is read."""
        endings = tuple(f"-{one.name}-{one.version}" for one in run.stages.values() if one.parts is not None)
        for identity in run.ids() if endings else ():
            job = run.job(identity) if identity.endswith(endings) else None
            if job is not None and job.parts is not None:
                self._jobs.add(job.parts.scatter_id)
                self._look_at_parts(job)

    def _look_at_parts(self, job: Job) -> None:
        assert job.stage.parts is not None, "it is a scatter-gather"
        whole = self._resolver.scatter_gather(job)
        try:
            parts = [] if whole is None else list(whole.walk(self._resolver.look_up_part))
        except ItemsError:
            parts = []
        if len(parts) < 2:
            # Which steps there are is not known: any of their stages may be one of them.
            has_no_items = bool(parts) and parts[0].outcome is not None
            for step in () if has_no_items else job.stage.parts.steps:
                self._open.add(f"{step.stage.name}-{step.stage.version}")
        for part in parts:
            if part.job is None:
                self._open.add(f"{part.stage.name}-{part.stage.version}")
            else:
                self._jobs.add(part.job.id)

    def _look_aside(self, job: Job, names: Collection[str]) -> None:
        current = set()
        for index in {int(name.partition("-")[0]) for name in names}:
            resolved = self._resolver.resolve(job, index)
            if resolved is None:
                return
            current.add(f"{index}-{resolved.key[:8]}")
        self._current[job.id] = frozenset(current)


def scatters_of(path: str, store: Store) -> Mapping[str, str]:
    """The scatters of a Lab by id, each with the name of the output that lists its items; as far as it can be read."""
    found = {}
    try:
        for run in LabDirectory(path).seen_from(store).runs.values():
            for job in run.jobs() if any(one.parts is not None for one in run.stages.values()) else ():
                if job.parts is not None and job.stage.parts is not None:
                    found[job.parts.scatter_id] = job.stage.parts.items
    except (RepxError, OSError):
        return found
    return found

"""What a store or a Lab knows of earlier jobs: their lines, those of their stages, the scripts; writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from time import time

from repx.agent.base.files import read_if_there
from repx.agent.base.fingerprint import Line
from repx.agent.base.layout import COLLECTED, FAILURE, RECORD, Store
from repx.agent.base.names import is_job_id
from repx.agent.base.record import RecordError, decode_fingerprint
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Stage
from repx.agent.stage_lines import read_stage_lines
from repx.analysis.counterparts import EarlierJobs, JobLines, StageLinesOf
from repx.analysis.script_changes import ScriptText, user_text
from repx.errors import RepxError
from repx.lab.directory import LabDirectory
from repx.lab.selection import stage_of

_SCRIPT_LIMIT = 1 << 24

_LABS = 100
"""Labs of a store in which an earlier script is looked for, the latest first."""


class StoredJobs:
    """The jobs of a store by the names of their stages; the records of a stage are read once, when it is asked for."""

    def __init__(self, store: Store, kept: Collection[str], without: Collection[str] = ()) -> None:
        """`kept` are the jobs of today: those that are none any more come first where several are as near.

        Jobs of `without` are left out.
        """
        self._store = store
        self._kept = kept
        self._known: dict[str, EarlierJobs | None] = {}
        names: defaultdict[str, list[str]] = defaultdict(list)
        for identity in _names(store.outputs):
            if identity not in without and is_job_id(identity):
                names[stage_of(identity)].append(identity)
        self._names = names
        self.ids = {identity for ids in names.values() for identity in ids}

    def of(self, stage: str, lines_of: StageLinesOf) -> EarlierJobs | None:
        """The jobs of a stage that have run; None where there are none."""
        if stage not in self._known:
            ids = sorted(self._names.get(stage, ()), key=lambda identity: identity in self._kept)
            jobs = [job for identity in ids if (job := self._read(identity)) is not None]
            self._known[stage] = EarlierJobs(jobs, lines_of, self._age) if jobs else None
        return self._known[stage]

    def stage_lines(self, digest: str) -> tuple[Line, ...]:
        """The lines of a stage that records name; none where they are gone."""
        return read_stage_lines(self._store, digest) or ()

    def _read(self, identity: str) -> JobLines | None:
        for name in (RECORD, FAILURE, COLLECTED):
            try:
                data = read_if_there(f"{self._store.outputs}/{identity}/{name}")
                own = None if data is None else decode_fingerprint(data)
            except (OSError, RecordError):
                continue
            if own is not None:
                return JobLines(identity, stage_of(identity), own.stage, own.params, own.inputs)
        return None

    def _age(self, digest: str) -> float:
        try:
            return time() - Path(self._store.stage(digest)).stat().st_mtime
        except OSError:
            return float("inf")


def lines_of_job(job: Job) -> JobLines:
    """A Lab's job by its lines."""
    own = job.identity.fingerprint()
    return JobLines(job.id, job.stage.name, own.stage, own.params, own.inputs)


def lab_stages(lab: LabDirectory) -> dict[str, Stage]:
    """The stages of a Lab by the digest of their lines."""
    return {stage.fingerprint_digest: stage for run in lab.runs.values() for stage in run.stages.values()}


class Scripts:
    """The texts of scripts by the digest of their stages' lines: in the Labs given, then in those of a store."""

    def __init__(self, labs: list[LabDirectory], store: Store) -> None:
        self._waiting = iter([*labs, *_stored_labs(store)])
        self._found: dict[str, tuple[LabDirectory, Stage]] = {}

    def of(self, digest: str) -> tuple[dict[str, ScriptText], str, bool]:
        """The user's texts by file, the id of the Lab that has them, whether they are Python; none where no Lab has."""
        while digest not in self._found:
            lab = next(self._waiting, None)
            if lab is None:
                return {}, "", False
            try:
                for one, stage in lab_stages(lab).items():
                    self._found.setdefault(one, (lab, stage))
            except (RepxError, OSError):
                continue
        lab, stage = self._found[digest]
        return dict(_texts(lab, stage)), lab.lab_id, stage.kind != "bash"


def _texts(lab: LabDirectory, stage: Stage) -> Iterator[tuple[str, ScriptText]]:
    parts = stage.parts
    stages = [stage] if parts is None else [parts.scatter, *(step.stage for step in parts.steps), parts.gather]
    for one in stages:
        place = one.executable
        try:
            yield (
                place.rpartition("/")[2],
                user_text(lab.root.file(place).read(_SCRIPT_LIMIT).decode("utf-8", "replace")),
            )
        except (RepxError, OSError):
            continue
    modules = f"store/{stage.digest}/lib/"
    for place in lab.manifest.files:
        if place.startswith(modules) and place.endswith(".py"):
            text = lab.root.file(place).read(_SCRIPT_LIMIT).decode("utf-8", "replace")
            name = place.removeprefix(modules)
            yield name, ScriptText(text, ((1, name, 1),))


def _stored_labs(store: Store) -> Iterator[LabDirectory]:
    places = [f"{labs}/{name}" for labs in (store.labs, store.foreign) for name in _names(labs)]
    for place in sorted(places, key=_changed, reverse=True)[:_LABS]:
        try:
            yield LabDirectory(Path(place))
        except (RepxError, OSError):
            continue


def _changed(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0


def _names(directory: str) -> list[str]:
    try:
        return [one.name for one in Path(directory).iterdir()]
    except OSError:
        return []

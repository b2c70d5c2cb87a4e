"""What a Lab's own files say that it consists of: scripts, stored paths, closure, images, jobs; reads no tree."""

from __future__ import annotations

from collections.abc import Iterator

from repx.agent.lab.job_line import Stored
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Stage
from repx.lab.directory import LabDirectory
from repx.lab.tree import Contents


def contents_of(lab: LabDirectory) -> Contents:
    """The files, trees, folders and links that there must be, and beside which there must be nothing."""
    stages = [stage for run in lab.runs.values() for stage in run.stages.values()]
    programs = {script.executable for stage in stages for script in scripts_of(stage)}
    programs.update(place for place in lab.manifest.files if place.startswith("host-tools/"))
    trees: dict[str, str] = {}
    jobs: dict[str, str] = {}
    for job in lab.jobs():
        jobs[job.id] = job.stage.digest
        trees.update(_stored_by(job))
    closure = lab.closure.paths if lab.closure is not None else {}
    return Contents(
        files=lab.manifest.files,
        programs=frozenset(programs),
        trees=trees,
        closure={f"store/{name}": one.nar_sha256 for name, one in closure.items()},
        folders=frozenset(f"store/{stage.digest}/{name}" for stage in stages for name in ("bin", "out")),
        images=frozenset(run.image for run in lab.runs.values() if run.image),
        jobs=jobs,
    )


def scripts_of(stage: Stage) -> Iterator[Stage]:
    """The stage itself, or the parts of a scatter-gather: what has a script."""
    if stage.parts is None:
        yield stage
    else:
        yield from (stage.parts.scatter, *(step.stage for step in stage.parts.steps), stage.parts.gather)


def _stored_by(job: Job) -> Iterator[tuple[str, str]]:
    for source in job.inputs:
        if isinstance(source, Stored):
            yield source.place, source.digest

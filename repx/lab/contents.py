"""What a Lab's own files say that it consists of: scripts, stored paths, closure, images, jobs; reads no tree."""

from __future__ import annotations

from collections.abc import Iterator

from repx.agent.base.value import PATH
from repx.agent.lab.format import HOST_TOOLS
from repx.agent.lab.job_line import Stored
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Stage
from repx.lab.directory import LabDirectory
from repx.lab.images import image_files
from repx.lab.tree import Contents


class ContentsReader:
    """Gathers what there must be while the jobs of a Lab are read, one by one and once."""

    def __init__(self, lab: LabDirectory) -> None:
        self._lab = lab
        self._stages = [stage for run in lab.runs.values() for stage in run.stages.values()]
        self._jobs: dict[str, str] = {}
        self._trees: dict[str, str] = {place: "" for stage in self._stages for place in _stored_by_steps(stage)}

    def note(self, job: Job) -> None:
        """There is a job, so what it takes must be there."""
        self._jobs[job.id] = job.stage.digest
        for source in job.inputs:
            if isinstance(source, Stored):
                self._trees[source.place] = source.digest
        for name, kind in job.references.items():
            if kind == PATH:
                self._trees.setdefault(job.params[name], "")

    def contents(self) -> Contents:
        """The files, trees, folders and links that there must be, and beside which there must be nothing."""
        lab, stages = self._lab, self._stages
        programs = {script.executable for stage in stages for script in scripts_of(stage)}
        programs.update(place for place in lab.manifest.files if place.startswith(f"{HOST_TOOLS}/"))
        closure = lab.closure.paths if lab.closure is not None else {}
        return Contents(
            files=lab.manifest.files,
            programs=frozenset(programs),
            trees=self._trees,
            closure={f"store/{name}": one.nar_sha256 for name, one in closure.items()},
            folders=frozenset(f"store/{stage.digest}/{name}" for stage in stages for name in ("bin", "out")),
            images=frozenset(run.image for run in lab.runs.values() if run.image),
            jobs=self._jobs,
        )


def named_by_content(lab: LabDirectory) -> frozenset[str]:
    """The files whose names begin with the digest of their content."""
    stages = [
        part for run in lab.runs.values() for stage in run.stages.values() for part in (stage, *scripts_of(stage))
    ]
    software = [*(stage.software for stage in stages), *lab.metadata.packages.values()]
    return frozenset([*software, *lab.metadata.runs, *filter(None, [lab.metadata.closure])])


def used_in_store(lab: LabDirectory, contents: Contents) -> frozenset[str]:
    """Everything that may stand directly below `store/`."""
    layers = [place.name for image in contents.images for place in image_files(lab.root, image).values()]
    places = [*contents.folders, *contents.trees, *contents.closure, *named_by_content(lab), *layers]
    return frozenset(place.split("/")[1] for place in places if place.startswith("store/"))


def scripts_of(stage: Stage) -> Iterator[Stage]:
    """The stage itself, or the parts of a scatter-gather: what has a script."""
    if stage.parts is None:
        yield stage
    else:
        yield from (stage.parts.scatter, *(step.stage for step in stage.parts.steps), stage.parts.gather)


def _stored_by_steps(stage: Stage) -> Iterator[str]:
    for step in stage.parts.steps if stage.parts is not None else ():
        yield from (step.fixed[name] for name, kind in step.references.items() if kind == PATH)

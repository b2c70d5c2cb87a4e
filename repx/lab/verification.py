"""Whether a Lab is what its manifest says, and whether that is what it claims to be; a deliberate act, remembered."""

from __future__ import annotations

from collections.abc import Iterator

from repx.agent.base.digest import digest_of_text
from repx.agent.lab.fault import Complaint
from repx.agent.lab.format import MANIFEST
from repx.agent.lab.run_file import RunFile
from repx.lab.contents import contents_of
from repx.lab.directory import LabDirectory
from repx.lab.images import image_complaints
from repx.lab.tree import file_complaints, tree_complaints, tree_state


def verify(lab: LabDirectory) -> None:
    """Hash every file, follow no link, check every job. Raises LabError with all complaints."""
    complaints = list(_seal_complaints(lab))
    if complaints:
        # What stands in these files is not worth a look, but all that has been changed is worth telling.
        others = {place: digest for place, digest in lab.manifest.files.items() if place not in _index(lab)}
        raise lab.root.fault(*complaints, *file_complaints(lab.path, others))
    complaints = list(_complaints(lab))
    if complaints:
        raise lab.root.fault(*complaints)


def state_of(lab: LabDirectory) -> str:
    """A digest of what the Lab's tree looks like: equal means nobody has touched it. Raises OSError."""
    return digest_of_text(lab.lab_id + "\n" + tree_state(lab.path))


def _index(lab: LabDirectory) -> tuple[str, ...]:
    """The files that say what all others are."""
    return tuple(filter(None, (lab.manifest.metadata, *lab.metadata.runs, lab.metadata.closure)))


def _seal_complaints(lab: LabDirectory) -> Iterator[Complaint]:
    """What keeps the manifest, and the files that say what all others are, from being those that were written."""
    if not lab.manifest.is_sealed:
        yield MANIFEST, "its labId is not the digest of the rest"
    listed = lab.manifest.files
    for place in _index(lab):
        if place not in listed:
            yield place, "it is not in the manifest"
    yield from file_complaints(lab.path, {place: listed[place] for place in _index(lab) if place in listed})


def _complaints(lab: LabDirectory) -> Iterator[Complaint]:
    ids = {identity for run in lab.runs.values() for identity in run.ids()}
    for run in lab.runs.values():
        lab.dependencies(run)
        yield from _run_complaints(run, ids)
    yield from _group_complaints(lab)
    yield from tree_complaints(lab.path, contents_of(lab))
    for image in sorted({run.image for run in lab.runs.values() if run.image}):
        yield from image_complaints(lab.root, image)


def _run_complaints(run: RunFile, ids: set[str]) -> Iterator[Complaint]:
    count, last = 0, ""
    for identity, job, wrong in run.checked():
        count += 1
        if identity <= last:
            yield run.place, f"job {identity} does not stand in its order"
        last = identity
        for complaint in wrong:
            yield run.place, f"job {identity}: {complaint}"
        for upstream in job.upstream_ids() if job is not None else ():
            if upstream not in ids:
                yield run.place, f"job {identity} takes from {upstream}, which is not there"
    if count != run.count:
        yield run.place, f"it has {count} jobs instead of {run.count}"


def _group_complaints(lab: LabDirectory) -> Iterator[Complaint]:
    for group, members in lab.groups.items():
        for name in members:
            if name not in lab.runs:
                yield lab.manifest.metadata, f"group {group} has {name!r}, which is not a run"

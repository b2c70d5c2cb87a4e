"""Whether a Lab is what its manifest says, and whether that is what it claims to be; a deliberate act, remembered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repx.agent.base.digest import digest_of_text
from repx.agent.lab.fault import Complaint
from repx.agent.lab.format import MANIFEST
from repx.agent.lab.run_file import RunFile
from repx.agent.lab.stage import Stage
from repx.lab.contents import ContentsReader, named_by_content, scripts_of, used_in_store
from repx.lab.directory import LabDirectory
from repx.lab.identities import JobIdentities, name_complaints, stage_complaints
from repx.lab.images import image_complaints
from repx.lab.tree import file_complaints, tree_complaints, tree_state
from repx.model.graph import run_digest
from repx.model.lab import folder_digest


def verify(lab: LabDirectory) -> None:
    """Hash every file, follow no link, recompute every digest. Raises LabError with all complaints.

    What follows from a fault is not told with it: the runs are looked at once the manifest is right, the tree once the
    runs are.
    """
    complaints = list(_seal_complaints(lab))
    if complaints:
        # What stands in these files is not worth a look, but all that has been changed is worth telling.
        others = {place: digest for place, digest in lab.manifest.files.items() if place not in _index(lab)}
        raise lab.root.fault(*complaints, *file_complaints(lab.path, others))
    reader = ContentsReader(lab)
    for look in (_run_complaints, _tree_complaints):
        complaints = list(look(lab, reader))
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


def _run_complaints(lab: LabDirectory, reader: ContentsReader) -> Iterator[Complaint]:
    """What the run files say that is not so, as far as they and the manifest tell."""
    yield from name_complaints(lab.manifest.files, named_by_content(lab))
    files = _stage_files(lab)
    ids = {identity for run in lab.runs.values() for identity in run.ids()}
    identities = JobIdentities({run.name: run.digest for run in lab.runs.values()})
    for run in lab.runs.values():
        lab.dependencies(run)
        for stage in run.stages.values():
            yield from ((run.place, complaint) for complaint in stage_complaints(stage))
            yield from ((run.place, complaint) for complaint in _folder_complaints(stage, files.get(stage.digest, ())))
        yield from _job_complaints(run, ids, identities, reader)
    yield from _group_complaints(lab)


def _tree_complaints(lab: LabDirectory, reader: ContentsReader) -> Iterator[Complaint]:
    """How the tree differs from what the Lab says that it is."""
    contents = reader.contents()
    yield from tree_complaints(lab.path, contents)
    for name in sorted(_stage_files(lab).keys() - used_in_store(lab, contents)):
        yield f"store/{name}", "nothing in the Lab uses it"
    for image in sorted(contents.images):
        yield from image_complaints(lab.root, image)


def _stage_files(lab: LabDirectory) -> dict[str, list[tuple[str, str]]]:
    """The files below each directory of `store/`, sorted, with their SHA-256."""
    found: dict[str, list[tuple[str, str]]] = {}
    for place, sha256 in sorted(lab.manifest.files.items()):
        folder, _, rest = place.partition("/")
        if folder == "store":
            found.setdefault(rest.partition("/")[0], []).append((place, sha256))
    return found


def _folder_complaints(stage: Stage, files: Sequence[tuple[str, str]]) -> Iterator[str]:
    """What is in a stage's directory must be what the directory's name is the digest of, with the stage."""
    programs = {script.executable for script in scripts_of(stage)}
    start = len(f"store/{stage.digest}/")
    listed = [(place[start:], sha256, place in programs) for place, sha256 in files]
    if folder_digest(stage.fingerprint_digest, listed) != stage.digest:
        yield f"stage {stage.digest}: its scripts and fingerprint are not what its name says"


def _job_complaints(
    run: RunFile, ids: set[str], identities: JobIdentities, reader: ContentsReader
) -> Iterator[Complaint]:
    count, last = 0, ""
    for identity, job, wrong in run.checked():
        count += 1
        if identity <= last:
            yield run.place, f"job {identity} does not stand in its order"
        last = identity
        for complaint in wrong:
            yield run.place, f"job {identity}: {complaint}"
        if job is None:
            continue
        reader.note(job)
        for complaint in identities.complaints(job):
            yield run.place, f"job {identity}: {complaint}"
        for upstream in job.upstream_ids():
            if upstream not in ids:
                yield run.place, f"job {identity} takes from {upstream}, which is not there"
    if count != run.count:
        yield run.place, f"it has {count} jobs instead of {run.count}"
    if run.digest != run_digest(run.ids()):
        yield run.place, "its digest is not that of the ids of its jobs"


def _group_complaints(lab: LabDirectory) -> Iterator[Complaint]:
    for group, members in lab.groups.items():
        for name in members:
            if name not in lab.runs:
                yield lab.manifest.metadata, f"group {group} has {name!r}, which is not a run"

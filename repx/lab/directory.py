"""Read a Lab directory: manifest, runs and jobs on demand; trusts nothing it reads, hashes files only when asked."""

from __future__ import annotations

import bisect
import os
import stat
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from repx.agent.base.digest import canonical_json, digest_of_text, file_sha256
from repx.agent.base.files import is_inside, walk
from repx.agent.base.nar import nar_sha256
from repx.agent.lab.format import MANIFEST
from repx.agent.lab.run_file import Job, RunFile
from repx.errors import LabError
from repx.lab.manifest import (
    Complaint,
    broken,
    check_format,
    manifest_complaints,
    read_json,
    root_complaints,
)
from repx.lab.run_file import open_run
from repx.model.closure import Closure, parse_closure
from repx.model.names import unknown


class LabDirectory:
    """A Lab on disk. Opening it reads its manifest and its root metadata; jobs are read when asked for."""

    def __init__(self, path: str | Path) -> None:
        self.path = os.path.realpath(path)
        manifest = read_json(str(path), self.path, MANIFEST)
        check_format(str(path), MANIFEST, manifest)
        complaints = list(manifest_complaints(manifest))
        if complaints:
            raise self._broken(complaints)
        self.lab_id: str = manifest["labId"]
        self.version: str = manifest["lab_version"]
        self.files: dict[str, str] = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
        self._manifest = manifest
        place = self._inside(manifest["metadata"])
        root = read_json(str(path), self.path, place)
        check_format(str(path), place, root)
        complaints = list(root_complaints(place, root))
        if complaints:
            raise self._broken(complaints)
        self._places: list[str] = root["runs"]
        self.git_commit: str = root.get("gitHash", "unknown")
        self.repx_version: str = root.get("repx_version", "unknown")
        self.groups: dict[str, list[str]] = root.get("groups", {})
        self.packages: dict[str, str] = root.get("packages", {})
        self.sources: dict[str, str] = root.get("sources", {})
        self._closure_place: str | None = root.get("closure")

    @cached_property
    def runs(self) -> dict[str, RunFile]:
        """Runs by name, each after those it comes after."""
        opened = [open_run(self.path, self._inside(place)) for place in self._places]
        return {run.name: run for run in opened}

    @cached_property
    def run_names(self) -> dict[str, str]:
        """The name of each run by the place of its file."""
        return {run.place: run.name for run in self.runs.values()}

    def dependencies(self, run: RunFile) -> dict[str, str]:
        """The runs a run comes after, with the kind of each. Raises LabError for one that is not there."""
        unknown_places = [place for place in run.dependencies if place not in self.run_names]
        if unknown_places:
            raise self._broken([(run.place, f"it comes after {place}, which is no run") for place in unknown_places])
        return {self.run_names[place]: kind for place, kind in run.dependencies.items()}

    def run(self, name: str) -> RunFile:
        """A run by its name. Raises UsageError with the nearest."""
        if name not in self.runs:
            raise unknown("run", name, self.runs)
        return self.runs[name]

    def job(self, identity: str) -> Job | None:
        """A job by its whole id, from the first run that has it."""
        for run in self.runs.values():
            job = run.job(identity)
            if job is not None:
                return job
        return None

    def jobs(self) -> Iterator[Job]:
        """Every job once."""
        seen: set[str] = set()
        several = len(self.runs) > 1
        for run in self.runs.values():
            for job in run.jobs():
                if several:
                    if job.id in seen:
                        continue
                    seen.add(job.id)
                yield job

    def software(self, place: str) -> dict[str, Any]:
        """A software manifest of the Lab, by its place."""
        return read_json(self.path, self.path, self._inside(place))

    @cached_property
    def closure(self) -> Closure | None:
        """The store paths that the Lab carries; None when its software is that of a machine. Raises LabError."""
        if self._closure_place is None:
            return None
        content = read_json(self.path, self.path, self._inside(self._closure_place))
        try:
            return parse_closure(content)
        except ValueError as error:
            raise self._broken([(self._closure_place, error)]) from None

    def host_tool(self, name: str) -> str | None:
        """The path of a program that the Lab carries for its own use."""
        for place in self.files:
            if place.startswith("host-tools/") and place.endswith(f"/bin/{name}"):
                return f"{self.path}/{self._inside(place)}"
        return None

    def _inside(self, place: str) -> str:
        """A place of the Lab that does not lead out of it, not even through links. Raises LabError."""
        real = os.path.realpath(f"{self.path}/{place}")
        if not is_inside(place) or not (real == self.path or real.startswith(self.path + os.sep)):
            raise self._broken([(place, "it leads outside the Lab")])
        return place

    def state(self) -> str:
        """A digest of what files and directories look like (size, time, inode): equal means nobody has touched them.

        A directory tells of what was added to it, removed or replaced: so the links of jobs need not be looked at.
        """
        looks = [self.lab_id]
        for place in [MANIFEST, *self.files, "jobs", *directories_of(self.files)]:
            status = os.stat(f"{self.path}/{place}")
            looks.append(f"{place} {status.st_size} {status.st_mtime_ns} {status.st_ino}")
        for name in self.closure.paths if self.closure is not None else ():
            for entry in walk(f"{self.path}/store/{name}"):
                status = os.lstat(entry)
                looks.append(f"{entry} {status.st_size} {status.st_mtime_ns} {status.st_ino}")
        return digest_of_text("\n".join(looks))

    def verify(self) -> None:
        """Hash every file, follow every link, check every job. Raises LabError with all complaints."""
        complaints: list[Complaint] = []
        content = {key: value for key, value in self._manifest.items() if key != "labId"}
        if digest_of_text(canonical_json(content)) != self.lab_id:
            complaints.append((MANIFEST, "its labId is not the digest of the rest"))
        for place, digest in self.files.items():
            complaint = self._check_file(place, digest)
            if complaint:
                complaints.append((place, complaint))
        complaints.extend(self._check_closure())
        listed = [self._manifest["metadata"], *self._places]
        for place in listed if self._closure_place is None else [*listed, self._closure_place]:
            if place not in self.files:
                complaints.append((place, "it is not in the manifest"))
        if not complaints:
            complaints.extend(self._check_images())
            complaints.extend(self._check_jobs())
            complaints.extend(self._check_groups())
        if complaints:
            raise self._broken(complaints)

    def _check_file(self, place: str, digest: str) -> str:
        path = f"{self.path}/{place}"
        real = os.path.realpath(path)
        if not real.startswith(self.path + os.sep):
            return "it leads outside the Lab"
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                return "it is no plain file"
            found = file_sha256(path)
        except OSError as error:
            return error.strerror or str(error)
        return "" if found == digest else f"it has changed: SHA-256 {found[:16]}… instead of {digest[:16]}…"

    def _check_closure(self) -> Iterator[Complaint]:
        """Each store path against its NAR hash: its files stand in no manifest, of which there would be thousands."""
        for one in self.closure.paths.values() if self.closure is not None else ():
            place = f"store/{one.name}"
            try:
                found = nar_sha256(f"{self.path}/{self._inside('store')}/{one.name}")
            except FileNotFoundError:
                yield place, "it is missing"
            except (OSError, ValueError) as error:
                yield place, error
            else:
                if found != one.nar_sha256:
                    yield place, f"it has changed: NAR hash {found[:16]}… instead of {one.nar_sha256[:16]}…"

    def _check_images(self) -> Iterator[Complaint]:
        """Each blob of an image is a file of the manifest, or a link to one, and is named by its SHA-256."""
        for image in sorted({run.image for run in self.runs.values()} - {""}):
            try:
                blobs = sorted(os.listdir(f"{self.path}/{self._inside(image)}/blobs/sha256"))
            except OSError as error:
                yield image, error.strerror or str(error)
                continue
            for blob in blobs:
                place = f"{image}/blobs/sha256/{blob}"
                real = os.path.relpath(os.path.realpath(f"{self.path}/{place}"), self.path)
                if self.files.get(real) != blob:
                    yield place, "it is not what its name says"

    def _check_jobs(self) -> Iterator[Complaint]:
        ids = sorted({identity for run in self.runs.values() for identity in run.ids()})
        for run in self.runs.values():
            count = 0
            for identity, job, wrong in run.checked():
                count += 1
                for complaint in wrong:
                    yield run.place, f"job {identity}: {complaint}"
                if job is not None:
                    yield from self._check_job(run, job, ids)
            if count != run.count:
                yield run.place, f"it has {count} jobs instead of {run.count}"

    def _check_groups(self) -> Iterator[Complaint]:
        for group, members in self.groups.items():
            for name in members:
                if name not in self.runs:
                    yield self._manifest["metadata"], f"group {group} has {name!r}, which is no run"

    def _check_job(self, run: RunFile, job: Job, ids: list[str]) -> Iterator[Complaint]:
        link = f"jobs/{job.id}"
        try:
            target = os.readlink(f"{self.path}/{link}").rstrip("/")
            if target != f"../store/{job.stage.digest}":
                yield link, f"it leads to {target}"
        except OSError as error:
            yield link, error.strerror or str(error)
        for upstream in job.upstream_ids():
            place = bisect.bisect_left(ids, upstream)
            if place == len(ids) or ids[place] != upstream:
                yield run.place, f"job {job.id} takes from {upstream}, which is not there"

    def _broken(self, complaints: list[Complaint]) -> LabError:
        return broken(self.path, complaints)


def directories_of(places: Iterable[str]) -> list[str]:
    """The directories that some places are in, "" for the Lab itself."""
    found: set[str] = set()
    for place in places:
        directory = os.path.dirname(place)
        while directory not in found:
            found.add(directory)
            directory = os.path.dirname(directory)
    return sorted(found)

"""Read a Lab directory: manifest, runs and jobs on demand; trusts nothing it reads, and hashes files only when asked.

A run file is mapped, its header parsed when the run is first used, its jobs one line at a time: opening a Lab of
100,000 jobs costs what opening a small one does.
"""

from __future__ import annotations

import bisect
import json
import mmap
import os
import stat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from repx.agent.digest import canonical_json, digest_of_text, file_sha256
from repx.agent.files import is_inside
from repx.errors import LabError
from repx.model.lab import FORMAT, JOBS_START, MANIFEST
from repx.model.names import is_job_id, unknown
from repx.store.lab_json import (
    ANOTHER,
    Complaint,
    broken,
    check_format,
    manifest_complaints,
    read_json,
    root_complaints,
)
from repx.store.run_shape import header_complaints, is_job, job_complaints

_JOBS_START = JOBS_START.encode()
_END = b"}}\n"


class LabJob:
    """One job as its line in a run file says it."""

    __slots__ = ("body", "id", "run")

    def __init__(self, identity: str, body: dict[str, Any], run: RunFile) -> None:
        self.id = identity
        self.body = body
        self.run = run

    @property
    def stage(self) -> dict[str, Any]:
        """What all jobs of its stage share."""
        stage: dict[str, Any] = self.run.stages[self.body["stage"]]
        return stage

    @property
    def stage_digest(self) -> str:
        """The digest that names its stage's directory below store/."""
        digest: str = self.body["stage"]
        return digest

    @property
    def recipe(self) -> str:
        """The recipe digest: stage and params, without inputs."""
        recipe: str = self.body["recipe"]
        return recipe

    @property
    def params(self) -> dict[str, Any]:
        """Params by name; a path is its place in the Lab, a package its name."""
        params: dict[str, Any] = self.body["params"]
        return params

    @property
    def references(self) -> dict[str, str]:
        """Which params are not what their text says: "path" or "package" by name."""
        references: dict[str, str] = self.body.get("references", {})
        return references

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Where its inputs come from, one mapping a source; fan-in repeats `target_input`, in order."""
        whole: list[dict[str, Any]] | None = self.body.get("inputs")
        mappings: list[dict[str, Any]] = self.body["executables"]["main"]["inputs"] if whole is None else whole
        return mappings

    @property
    def outputs(self) -> dict[str, str]:
        """Outputs by name: paths below its out directory."""
        outputs: dict[str, str] = self.stage["outputs"]
        return outputs

    @property
    def resource_hints(self) -> dict[str, Any]:
        """Resources as the Lab spells them."""
        hints: dict[str, Any] = self.body.get("resource_hints", {})
        return hints

    @property
    def parts(self) -> dict[str, str]:
        """Of a scatter-gather: recipe digests of its parts, and `scatter_id`."""
        parts: dict[str, str] = self.body.get("parts", {})
        return parts

    def part_hints(self, role: str) -> dict[str, Any]:
        """Resources of a part of a scatter-gather; `role` as in the Lab: `scatter`, `step-<name>`, `gather`."""
        hints: dict[str, Any] = self.body["executables"][role].get("resource_hints", {})
        return hints

    @property
    def stage_type(self) -> str:
        """`simple` or `scatter-gather`."""
        kind: str = self.body["stage_type"]
        return kind

    def upstream_ids(self) -> list[str]:
        """The jobs it takes from, each once, in order."""
        return list(dict.fromkeys(mapping["job_id"] for mapping in self.inputs if "job_id" in mapping))

    def __repr__(self) -> str:
        return f"<job {self.id}>"


class RunFile:
    """One run of a Lab. Its header is read when it is opened, its jobs when they are asked for."""

    def __init__(self, lab: str, place: str) -> None:
        self.place = place
        self.path = f"{lab}/{place}"
        try:
            with open(self.path, "rb") as file:
                self._data: mmap.mmap | bytes = (
                    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if os.fstat(file.fileno()).st_size else b""
                )
        except OSError as error:
            raise LabError(
                f"a run file of the Lab cannot be read: {error.strerror}", facts=[("file", self.path)]
            ) from None
        start = self._data.find(_JOBS_START)
        if start < 0 or self._data[-len(_END) :] != _END:
            raise self._broken("it is truncated or no run file")
        try:
            header = json.loads(self._data[:start].rstrip(b",") + b"}")
        except (ValueError, RecursionError) as error:
            raise self._broken(f"its header is no JSON: {error}") from None
        if header.get("format") != FORMAT:
            raise self._broken(f"its format is {header.get('format')!r}; this repx reads {FORMAT}")
        complaints = list(header_complaints(header))
        if complaints:
            raise self._broken("\n".join(complaints))
        self.name: str = header["name"]
        self.dependencies: dict[str, str] = header["dependencies"]
        self.stages: dict[str, dict[str, Any]] = header["stages"]
        self.count: int = header["count"]
        self.digest: str = header["digest"]
        self._start = start + len(_JOBS_START)
        self._stop = len(self._data) - len(_END)

    def jobs(self) -> Iterator[LabJob]:
        """All jobs, by id. Raises LabError at a line that is none."""
        for identity, start, end in self._lines():
            yield self._job(identity, start, end)

    def ids(self) -> Iterator[str]:
        """The ids of all jobs, sorted."""
        for identity, _, _ in self._lines():
            yield identity

    def job(self, identity: str) -> LabJob | None:
        """The job of an id, found by halving the file; None when it is not of this run."""
        found = self.with_prefix(identity)
        return found[0] if found and found[0].id == identity else None

    def with_prefix(self, prefix: str, limit: int = 20) -> list[LabJob]:
        """Jobs whose id starts so, at most `limit` of them."""
        low, high = self._start, self._stop
        wanted = b'"' + prefix.encode()
        while low < high:
            middle = self._line_start((low + high) // 2, low)
            end = self._data.find(b"\n", middle, self._stop)
            if self._data[middle : middle + len(wanted)] < wanted:
                low = self._stop if end < 0 else end + 1
            else:
                high = middle
        found: list[LabJob] = []
        for identity, start, end in self._lines(low):
            if not identity.startswith(prefix) or len(found) >= limit:
                break
            found.append(self._job(identity, start, end))
        return found

    def _line_start(self, position: int, lowest: int) -> int:
        return max(self._data.rfind(b"\n", lowest, position) + 1, lowest)

    def _lines(self, position: int | None = None) -> Iterator[tuple[str, int, int]]:
        """(id, start of the job's JSON, its end) of every line."""
        data, start, stop = self._data, self._start if position is None else position, self._stop
        while start < stop:
            end = data.find(b"\n", start, stop)
            if end < 0:
                end = stop
            quote = data.find(b'":', start, end)
            if data[start : start + 1] != b'"' or quote < 0:
                raise self._broken(f"the line at byte {start} is not a job")
            yield data[start + 1 : quote].decode("ascii", "replace"), quote + 2, end
            start = end + 1

    def _job(self, identity: str, start: int, end: int) -> LabJob:
        text = self._data[start:end]
        try:
            body = json.loads((text[:-1] if text.endswith(b",") else text).decode("utf-8", "surrogatepass"))
            if not is_job(body):
                reason = "its line has not what a job has"
            elif body["stage"] in self.stages:
                return LabJob(identity, body, self)
            else:
                reason = f"its stage {body['stage']!r} is not in the run file"
        except (ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
        raise self._broken(f"job {identity}: {reason}")

    def _broken(self, reason: str) -> LabError:
        return LabError(
            "a run file of the Lab is broken",
            facts=[("file", self.path), ("because", reason)],
            hint=ANOTHER,
        )


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

    @cached_property
    def runs(self) -> dict[str, RunFile]:
        """Runs by name, each after those it comes after."""
        opened = [RunFile(self.path, self._inside(place)) for place in self._places]
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

    def job(self, identity: str) -> LabJob | None:
        """A job by its whole id, from the first run that has it."""
        for run in self.runs.values():
            job = run.job(identity)
            if job is not None:
                return job
        return None

    def jobs(self) -> Iterator[LabJob]:
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

    def _inside(self, place: str) -> str:
        """A place of the Lab that does not lead out of it, not even through links. Raises LabError."""
        real = os.path.realpath(f"{self.path}/{place}")
        if not is_inside(place) or not (real == self.path or real.startswith(self.path + os.sep)):
            raise self._broken([(place, "it leads outside the Lab")])
        return place

    def state(self) -> str:
        """A digest of what the listed files look like (size, time, inode): equal means nobody has touched them."""
        looks = [self.lab_id]
        for place in self.files:
            status = os.stat(f"{self.path}/{place}")
            looks.append(f"{place} {status.st_size} {status.st_mtime_ns} {status.st_ino}")
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
        for place in (self._manifest["metadata"], *self._places):
            if place not in self.files:
                complaints.append((place, "it is not in the manifest"))
        if not complaints:
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

    def _check_jobs(self) -> Iterator[Complaint]:
        ids = sorted({identity for run in self.runs.values() for identity in run.ids()})
        for run in self.runs.values():
            count = 0
            for job in run.jobs():
                count += 1
                if not is_job_id(job.id):
                    yield run.place, f"{job.id!r} is not a job id"
                    continue
                yield from self._check_job(run, job, ids)
            if count != run.count:
                yield run.place, f"it has {count} jobs instead of {run.count}"

    def _check_groups(self) -> Iterator[Complaint]:
        for group, members in self.groups.items():
            for name in members:
                if name not in self.runs:
                    yield self._manifest["metadata"], f"group {group} has {name!r}, which is no run"

    def _check_job(self, run: RunFile, job: LabJob, ids: list[str]) -> Iterator[Complaint]:
        link = f"jobs/{job.id}"
        try:
            target = os.readlink(f"{self.path}/{link}").rstrip("/")
            if target != f"../store/{job.stage_digest}":
                yield link, f"it leads to {target}"
        except OSError as error:
            yield link, error.strerror or str(error)
        for complaint in job_complaints(job.body, job.inputs):
            yield run.place, f"job {job.id}: {complaint}"
        for upstream in [one.get("job_id") for one in job.inputs if isinstance(one, dict)]:
            if isinstance(upstream, str) and is_job_id(upstream):
                place = bisect.bisect_left(ids, upstream)
                if place == len(ids) or ids[place] != upstream:
                    yield run.place, f"job {job.id} takes from {upstream}, which is not there"

    def _broken(self, complaints: list[Complaint]) -> LabError:
        return broken(self.path, complaints)

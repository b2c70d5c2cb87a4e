"""Read one run of a Lab: mapped, its header parsed when it is opened, its jobs one line at a time; hashes nothing.

Opening a run of 100,000 jobs costs what opening a small one does, and a job is found by halving the file.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator
from typing import Any

from repx.errors import LabError
from repx.lab.manifest import (
    ANOTHER,
)
from repx.lab.shape import header_complaints, is_job
from repx.model.lab import FORMAT, JOBS_START

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
        self.image: str = header.get("image", "")
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

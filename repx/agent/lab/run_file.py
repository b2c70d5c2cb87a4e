"""Read one run of a Lab: mapped, its header parsed when it is opened, its jobs one line at a time; hashes nothing.

Opening a run of 100,000 jobs costs what opening a small one does, and a job is found by halving the file.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from repx.agent.base.names import JOB_ID_LENGTH, JOB_ID_PATTERN, is_digest, is_file_name, is_place, is_variable
from repx.agent.lab.checks import complaints, dict_of, is_count, is_object, is_text, list_of, one_of, short
from repx.agent.lab.format import HEADER_LIMIT, JOBS_END, JOBS_START, LAB_FORMAT, LINE_LIMIT
from repx.agent.lab.identity import Identity, job_identity
from repx.agent.lab.job_line import FromJob, FromRun, JobLine, parse_job
from repx.agent.lab.json_file import decode_quickly, decode_strictly
from repx.agent.lab.origin import Origin
from repx.agent.lab.place import LabRoot
from repx.agent.lab.stage import Stage, parse_stage

_START = JOBS_START.encode()
_END = JOBS_END.encode()
_KEY_LENGTH = JOB_ID_LENGTH + 3
_KEY = re.compile(b'"(%s)":' % JOB_ID_PATTERN.encode())


class Job:
    """One job of a run; what `JobLine` has, its id, the run it was read from, and the byte at which its line begins."""

    __slots__ = (*JobLine._fields, "id", "offset", "run")

    def __init__(self, identity: str, run: RunFile, start: int, line: JobLine) -> None:
        self.id = identity
        self.run = run
        self.offset = start - len(identity) - 3
        (self.stage, self.recipe, self.params, self.references, self.inputs) = line[:5]
        (self.hints, self.parts, self.arguments) = line[5:]

    @property
    def stage_type(self) -> str:
        """`simple` or `scatter-gather`, as people are told."""
        return "simple" if self.parts is None else "scatter-gather"

    @property
    def identity(self) -> Identity:
        """What its id is made of."""
        return job_identity(self)

    def upstream_ids(self) -> list[str]:
        """The jobs it takes from, each once, in order."""
        return list(dict.fromkeys([source.job for source in self.inputs if isinstance(source, FromJob)]))

    def selections(self) -> list[FromJob]:
        """Those of its inputs that take some realizations of another job."""
        return [source for source in self.inputs if isinstance(source, FromJob) and source.selector is not None]

    def runs_taken(self) -> list[str]:
        """The runs whose results it takes, each once, in order."""
        return list(dict.fromkeys([source.run for source in self.inputs if isinstance(source, FromRun)]))

    def __repr__(self) -> str:
        return "<job %s>" % self.id


class RunFile:
    """One run of a Lab. Its header is read when it is opened, its jobs when they are asked for.

    Whatever is wrong is raised as the Lab's root raises it.
    """

    def __init__(self, root: LabRoot, place: str, origin: Origin | None = None) -> None:
        """`origin` is that of a Lab from elsewhere: it is part of what the keys of the jobs are made of."""
        self.place = place
        self.path = "%s/%s" % (root.path, place)
        self._root = root
        self._data = self._map()
        start = self._data.find(_START, 0, HEADER_LIMIT)
        if start < 0 or self._data[-len(_END) :] != _END:
            raise self._broken("it is cut short, or not a run file")
        header = self._header(self._data[:start])
        self.name: str = header["name"]
        self.dependencies: Mapping[str, Literal["hard", "soft"]] = header["dependencies"]
        """Places of run files that it comes after."""
        self.stages: Mapping[str, Stage] = header["stages"]
        self.count: int = header["count"]
        self.digest: str = header["digest"]
        self.image: str = header.get("image", "")
        self.arguments: Sequence[str] = header.get("arguments", ())
        """The names of what its pipelines take and no stage does."""
        self._origin = None if origin is None else origin.of_run(self.image)
        self.origin = "" if self._origin is None else self._origin.digest
        """What its jobs' keys are made of that stands in no run file; empty for a Lab of one's own."""
        self._start = start + len(_START)
        self._stop = len(self._data) - len(_END)

    def jobs(self) -> Iterator[Job]:
        """All jobs, by id. Raises at the first line that is not a job."""
        for identity, start, end in self._lines():
            yield self._job(identity, start, end)

    def checked(self) -> Iterator[tuple[str, Job | None, list[str]]]:
        """Every line as it stands: its id, and the job or all complaints. Raises where there are no lines any more."""
        for identity, start, end in self._lines():
            line, wrong = self._line(start, end)
            yield identity, None if line is None else Job(identity, self, start, line), wrong

    def ids(self) -> Iterator[str]:
        """The ids of all jobs, sorted."""
        for identity, _, _ in self._lines():
            yield identity

    def job(self, identity: str, offset: int = 0) -> Job | None:
        """The job of an id, found by halving the file; None when it is not of this run.

        `offset` is where somebody has found it already; where its line is not there, it is looked for.
        """
        key = b'"%s":' % identity.encode("utf-8", "surrogateescape")
        start = offset + len(key)
        if self._start <= offset and self._data[offset:start] == key:
            end = self._data.find(b"\n", start, self._stop)
            return self._job(identity, start, self._stop if end < 0 else end)
        found = self.with_prefix(identity)
        return found[0] if found and found[0].id == identity else None

    def with_prefix(self, prefix: str, limit: int = 20) -> list[Job]:
        """Jobs whose id starts so, at most `limit` of them."""
        low, high = self._start, self._stop
        wanted = b'"' + prefix.encode("utf-8", "surrogateescape")
        while low < high:
            middle = self._line_start((low + high) // 2, low)
            end = self._data.find(b"\n", middle, self._stop)
            if self._data[middle : middle + len(wanted)] < wanted:
                low = self._stop if end < 0 else end + 1
            else:
                high = middle
        found: list[Job] = []
        for identity, start, end in self._lines(low):
            if not identity.startswith(prefix) or len(found) >= limit:
                break
            found.append(self._job(identity, start, end))
        return found

    def circle(self, identity: str) -> Exception:
        """What to raise when a job is come to again that waits for itself."""
        return self._broken("job %s takes from itself" % identity)

    def _map(self) -> mmap.mmap | bytes:
        descriptor = self._root.file(self.place).open()
        try:
            return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) if os.fstat(descriptor).st_size else b""
        except OSError as error:
            raise self._root.disk_fault(self.place, error) from None
        finally:
            os.close(descriptor)

    def _header(self, text: bytes) -> dict[str, Any]:
        """The header, checked; each of its stages is a Stage."""
        try:
            header = decode_strictly((text.rstrip(b",") + b"}").decode())
        except (ValueError, RecursionError) as error:
            raise self._broken("its header is not JSON: %s" % error) from None
        if not isinstance(header, dict) or header.get("format") != LAB_FORMAT:
            found = header.get("format") if isinstance(header, dict) else None
            raise self._root.other_format(self.place, found, LAB_FORMAT)
        wrong = list(complaints("the header", header, _HEADER))
        if "image" in header and not is_place(header["image"]):
            wrong.append("its image is %r, outside the Lab" % (header["image"],))
        if not _ARGUMENTS(header.get("arguments", [])):
            wrong.append("its arguments are %s" % short(header["arguments"]))
        stages = {}
        for digest, value in header["stages"].items() if is_object(header.get("stages")) else ():
            stage, faults = parse_stage(digest, value)
            wrong += faults
            if stage is not None:
                stages[digest] = stage
        if wrong:
            raise self._broken(*wrong)
        return {**header, "stages": stages}

    def _line_start(self, position: int, lowest: int) -> int:
        return max(self._data.rfind(b"\n", lowest, position) + 1, lowest)

    def _lines(self, position: int | None = None) -> Iterator[tuple[str, int, int]]:
        """(id, start of the job's JSON, its end) of every line."""
        data, start, stop = self._data, self._start if position is None else position, self._stop
        while start < stop:
            end = data.find(b"\n", start, stop)
            if end < 0:
                end = stop
            key = _KEY.match(data, start, min(end, start + _KEY_LENGTH))
            if key is None:
                raise self._broken("the line at byte %d does not begin with a job id" % start)
            yield key[1].decode(), key.end(), end
            start = end + 1

    def _job(self, identity: str, start: int, end: int) -> Job:
        line, wrong = self._line(start, end)
        if line is None:
            raise self._broken(*("job %s: %s" % (identity, one) for one in wrong))
        return Job(identity, self, start, line if self._origin is None else self._origin.recipes_of(line))

    def _line(self, start: int, end: int) -> tuple[JobLine | None, list[str]]:
        if end - start > LINE_LIMIT:
            return None, ["its line has more than %d MiB" % (LINE_LIMIT >> 20)]
        text = self._data[start:end]
        try:
            body = decode_quickly((text[:-1] if text.endswith(b",") else text).decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError) as error:
            return None, ["its line is not JSON: %s" % error]
        return parse_job(body, self.stages)

    def _broken(self, *complaints: str) -> Exception:
        return self._root.fault(*((self.place, one) for one in complaints))


_ARGUMENTS = list_of(is_variable)

_HEADER = {
    "name": is_file_name,
    "dependencies": dict_of(is_place, one_of("hard", "soft")),
    "stages": dict_of(is_digest, is_object),
    "count": is_count,
    "digest": is_text,
}

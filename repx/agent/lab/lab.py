"""A Lab, opened: its manifest and root metadata are read at once, all else when it is asked for; hashes no file."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Callable, Literal, TypeVar

from repx.agent.base.layout import Store
from repx.agent.lab.fault import AsError, as_it_is
from repx.agent.lab.format import HOST_TOOLS, LAB_FORMAT, MANIFEST, MANIFEST_LIMIT, METADATA_LIMIT, SOFTWARE_LIMIT
from repx.agent.lab.json_file import read_object
from repx.agent.lab.metadata import parse_manifest, parse_root
from repx.agent.lab.origin import Origin
from repx.agent.lab.place import LabRoot
from repx.agent.lab.run_file import Job, RunFile

T = TypeVar("T")
L = TypeVar("L", bound="Lab")


class Lab:
    """A Lab on disk. Whatever is wrong with it is raised as what `as_error` makes of a LabFault."""

    def __init__(self, path: str, as_error: AsError = as_it_is) -> None:
        self.root = LabRoot(path, as_error)
        self.path = self.root.path
        if not self.root.has(MANIFEST):
            raise self.root.no_lab(MANIFEST)
        self.manifest = self._read(MANIFEST, MANIFEST_LIMIT, parse_manifest)
        self.lab_id = self.manifest.lab_id
        self.version = self.manifest.version
        self.metadata = self._read(self.manifest.metadata, METADATA_LIMIT, parse_root)
        self.groups = self.metadata.groups
        self.is_own = False

    def seen_from(self: L, store: Store) -> L:
        """The same Lab beside a store: it is the store's own where one of this id was realized into it."""
        return self.owned(is_own=self.is_own or os.path.isdir("%s/%s" % (store.labs, self.lab_id)))

    def owned(self: L, *, is_own: bool) -> L:
        """The same Lab as somebody's own, or as one from elsewhere; see `repx.agent.lab.origin`."""
        other = copy.copy(self)
        for name in ("runs", "run_names", "_run_numbers"):
            other.__dict__.pop(name, None)
        other.is_own = is_own
        return other

    @cached_property
    def runs(self) -> dict[str, RunFile]:
        """Runs by name, each after those it comes after."""
        origin = None if self.is_own else Origin(self.metadata.closure, self.metadata.packages)
        opened: dict[str, RunFile] = {}
        for place in self.metadata.runs:
            run = RunFile(self.root, place, origin)
            if run.name in opened:
                raise self.root.fault((place, "it has the name of another run: %s" % run.name))
            opened[run.name] = run
        return opened

    @cached_property
    def run_names(self) -> dict[str, str]:
        """The name of each run by the place of its file."""
        return {run.place: run.name for run in self.runs.values()}

    @cached_property
    def _run_numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.runs)}

    def run(self, name: str) -> RunFile:
        """A run by its name."""
        if name not in self.runs:
            raise self.root.fault((self.manifest.metadata, "it has no run %r" % name))
        return self.runs[name]

    def dependencies(self, run: RunFile) -> dict[str, Literal["hard", "soft"]]:
        """The runs a run comes after, with the kind of each."""
        found: dict[str, Literal["hard", "soft"]] = {}
        for place, kind in run.dependencies.items():
            name = self.run_names.get(place)
            # In the root metadata's order they stand before it, so that nothing waits for itself.
            if name is None or self._run_numbers[name] >= self._run_numbers[run.name]:
                raise self.root.fault((run.place, "it comes after %s, which is not a run before it" % place))
            found[name] = kind
        return found

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

    def package(self, name: str) -> str:
        """The place of the software manifest of a package that is the value of a param."""
        if name not in self.metadata.packages:
            raise self.root.fault((self.manifest.metadata, "it has no package %r" % name))
        return self.metadata.packages[name]

    def software(self, place: str, parse: Callable[[Mapping[str, Any]], T]) -> T:
        """What `parse` makes of a software manifest of the Lab; it raises what that raises."""
        return parse(read_object(self.root, place, SOFTWARE_LIMIT))

    def host_tool(self, name: str) -> str | None:
        """The path of a program that the Lab carries for its own use; None for one that it has not.

        Such a program runs outside of every sandbox. A Lab from elsewhere lends none, unless this repx is its own too.
        """
        if not self.is_own and not _this_program().startswith("%s/%s/" % (self.path, HOST_TOOLS)):
            return None
        for place in self.manifest.files:
            if place.startswith(HOST_TOOLS + "/") and place.endswith("/bin/" + name):
                return self.root.file(place).path
        return None

    def _read(self, place: str, limit: int, parse: Callable[[Mapping[str, Any]], tuple[T | None, list[str]]]) -> T:
        content = read_object(self.root, place, limit)
        if content.get("format") != LAB_FORMAT:
            raise self.root.other_format(place, content.get("format"), LAB_FORMAT)
        return self._parsed(place, parse(content))

    def _parsed(self, place: str, answer: tuple[T | None, list[str]]) -> T:
        value, wrong = answer
        if value is None:
            raise self.root.fault(*((place, one) for one in wrong))
        return value


def _this_program() -> str:
    """Where the code that runs now stands."""
    return os.path.realpath(__file__)

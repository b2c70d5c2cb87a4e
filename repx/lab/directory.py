"""A Lab for whoever tells people of it: what is wrong is an error of ours, with the nearest names; verifies none."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from repx.agent.lab.format import CLOSURE_LIMIT
from repx.agent.lab.json_file import read_object
from repx.agent.lab.lab import Lab
from repx.agent.lab.run_file import RunFile
from repx.lab.faults import lab_error
from repx.model.closure import Closure, parse_closure
from repx.model.names import unknown


class LabDirectory(Lab):
    """A Lab on disk. Everything raises LabError where the Lab is not as it should be."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(str(path), lab_error)

    def run(self, name: str) -> RunFile:
        """A run by its name. Raises UsageError with the nearest."""
        if name not in self.runs:
            raise unknown("run", name, self.runs)
        return self.runs[name]

    @cached_property
    def closure(self) -> Closure | None:
        """The store paths that the Lab carries; None when its software is that of a machine."""
        place = self.metadata.closure
        if not place:
            return None
        try:
            return parse_closure(read_object(self.root, place, CLOSURE_LIMIT))
        except ValueError as error:
            raise self.root.fault((place, str(error))) from None

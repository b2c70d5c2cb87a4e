"""The traces of one run: which of its assignments call a pipeline alike, so that each call is made once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from repx.dsl.assignments import ABSENT
from repx.dsl.experiment import Run
from repx.dsl.node import Node
from repx.dsl.trace import PipelineArguments, pipeline_arguments, pipeline_name, trace
from repx.errors import DefinitionError, nearest

Codes = tuple[int, ...]
"""An assignment, or a part of one: for each axis the place of its value."""

Trace = tuple[list[Node], list[Codes] | None, tuple[int, ...]]
"""The nodes of one call of a pipeline, the assignments it stands for (None means all), the axes that are arguments."""

KEPT_TRACES = 20_000
"""Traces kept between the two passes over a run; beyond that a pipeline is traced again, to bound memory."""


class Tracer:
    """The traces of one run's pipelines: one for each combination of the values its arguments take."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.axes = {axis.name: number for number, axis in enumerate(run.sweep.axes)}
        self.used: set[str] = set()
        self.taken: set[str] = set()
        """Of those, what a param or an input of a stage takes."""
        self.arguments: list[tuple[Callable[..., Any], PipelineArguments, tuple[int, ...]]] = []
        for pipeline in run.pipelines:
            arguments = pipeline_arguments(pipeline, run.name, run.location)
            missing = sorted(arguments.required - set(self.axes))
            if missing:
                raise DefinitionError(
                    f"pipeline {pipeline_name(pipeline)!r} needs {', '.join(missing)}, "
                    f"which run {run.name!r} does not give",
                    location=run.location,
                    hint=f"add it to params, or give the argument a default; {nearest(missing[0], self.axes)}",
                )
            numbers = tuple(self.axes[name] for name in arguments.names if name in self.axes)
            self.used.update(name for name in arguments.names if name in self.axes)
            self.arguments.append((pipeline, arguments, numbers))
        self._kept: dict[tuple[int, Codes], list[Node]] = {}

    def take(self, name: str) -> None:
        """Note that a param or an input of a stage takes an axis."""
        self.used.add(name)
        self.taken.add(name)

    def sample_nodes(self) -> Iterator[Node]:
        """All nodes of all traces."""
        for nodes, _, _ in self.traces():
            yield from nodes

    def traces(self) -> Iterator[Trace]:
        """Each trace with the rows of the sweep it stands for; None means all rows."""
        for number, (pipeline, _, axes) in enumerate(self.arguments):
            if not axes:
                yield self._trace(number, pipeline, axes, ()), None, axes
                continue
            groups: dict[Codes, list[Codes]] = {}
            for row in self.run.sweep.rows():
                groups.setdefault(tuple(row[axis] for axis in axes), []).append(row)
            for codes, rows in groups.items():
                yield self._trace(number, pipeline, axes, codes), rows, axes

    def _trace(self, number: int, pipeline: Callable[..., Any], axes: tuple[int, ...], codes: Codes) -> list[Node]:
        nodes = self._kept.get((number, codes))
        if nodes is None:
            sweep = self.run.sweep.axes
            arguments = {
                # A list or a dict is the pipeline's own, to change as it likes.
                sweep[axis].name: None if (value := sweep[axis].values[code]) is ABSENT else copy.deepcopy(value)
                for axis, code in zip(axes, codes, strict=True)
                # What a part of a concat does not have means the default, for an argument as for a stage's param.
                if sweep[axis].values[code] is not ABSENT or sweep[axis].name in self.arguments[number][1].required
            }
            nodes = trace(pipeline, arguments, self.run.name, self.run.location)
            if len(self._kept) < KEPT_TRACES:
                self._kept[number, codes] = nodes
        return nodes

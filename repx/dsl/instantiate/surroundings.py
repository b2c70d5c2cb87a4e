"""What a node of a pipeline may take beside outputs of other nodes: stored paths, axes of paths, results of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from repx.agent.base.wire import InputSpec
from repx.dsl.node import Node, WholeRun
from repx.errors import DefinitionError
from repx.model.derivation import RunResults
from repx.model.values import StoredPath


class FromAxis(NamedTuple):
    """The stored path that the assignment has on this axis."""

    axis: int


PipelineSource = FromAxis | StoredPath | RunResults


@dataclass(frozen=True, slots=True)
class PipelineSurroundings:
    """The axes of a run that hold paths, and the results of the runs that it comes after."""

    path_axes: Mapping[str, int]
    results: Mapping[str, RunResults]
    run: str
    name: str = "pipeline"

    def given(self, node: Node, spec: InputSpec, value: Any) -> PipelineSource | None:
        """A stored path is its own source, a run stands for its results."""
        if isinstance(value, WholeRun):
            return self._results_of(value.name, node)
        if isinstance(value, StoredPath) and spec.kind in ("path", "paths"):
            return value
        return None

    def unwired(self, node: Node, spec: InputSpec) -> tuple[PipelineSource, ...]:
        """An axis of that name, else the stage's default, else the results of the run of that name."""
        stage = node._stage
        axis = self.axis_of(stage.name, spec.name)
        if axis is not None:
            return (FromAxis(self.path_axes[axis]),)
        for name, default in stage.interface.defaults:
            if name == spec.name:
                return (default,)
        if spec.is_optional:
            return ()
        if spec.kind == "results":
            return (self._results_of(spec.name, node),)
        raise DefinitionError(
            f"input {spec.name!r} of stage {stage.name!r} is not wired",
            location=node._location,
            hint=f"pass it: {stage.name}({spec.name}=…), or sweep over paths called {spec.name!r}"
            if spec.kind != "item"
            else "a work item exists only inside a scatter-gather",
        )

    def axis_of(self, stage: str, input_name: str) -> str | None:
        """The axis of paths that reaches an input: the one with the stage's name before it comes first."""
        return next((name for name in (f"{stage}.{input_name}", input_name) if name in self.path_axes), None)

    def _results_of(self, name: str, node: Node) -> RunResults:
        """The results of the upstream run of that name, in which `-` and `.` are read as `_`."""
        for run, results in self.results.items():
            if run == name or run.replace("-", "_").replace(".", "_") == name:
                return results
        others = ", ".join(self.results)
        raise DefinitionError(
            f"stage {node._stage.name!r} takes the results of run {name!r}, "
            f"and run {self.run!r} comes after no such run",
            location=node._location,
            facts=[("it comes after", others or "no run"), ("declared at", node._stage.location)],
            hint=f"call the parameter like the run ({others}; '-' as '_'), or add the run to after=[…]"
            if others
            else f"write Run({self.run!r}, …, after=[…]), with the run whose results it takes",
        )

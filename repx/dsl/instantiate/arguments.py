"""Arguments of pipelines that no stage takes as a param: which jobs have one value of each; makes no job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from repx.dsl.assignments import ABSENT, OnAxis
from repx.dsl.instantiate.tracer import Codes, Tracer
from repx.model.derivation import Derivation
from repx.model.graph import Arguments
from repx.model.names import JobId

_SEVERAL = -1
"""In place of the place of a value: the job is made for several."""


class ArgumentsOfJobs:
    """What the jobs of one run were made for. A job of several traces keeps what these agree on."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._axes = tuple(sorted({axis for _, _, axes in tracer.arguments for axis in axes}))
        self._found: dict[JobId, Codes] = {}

    def note(self, row: Codes, pipeline: Iterable[int], jobs: Iterable[Derivation]) -> None:
        """Note the jobs that a pipeline with these axes has made for a row, and for others with the same arguments."""
        own = set(pipeline)
        codes = tuple(row[axis] if axis in own else _SEVERAL for axis in self._axes)
        for job in jobs:
            before = self._found.setdefault(job.id, codes)
            if before is not codes and before != codes:
                pairs = zip(before, codes, strict=True)
                self._found[job.id] = tuple(one if one == other else _SEVERAL for one, other in pairs)

    def by_job(self) -> dict[JobId, Arguments]:
        """The arguments that each job has, but for those that are the param or the input of a stage in this run."""
        axes = self._tracer.run.sweep.axes
        alone = [(n, axes[axis]) for n, axis in enumerate(self._axes) if axes[axis].name not in self._tracer.taken]

        def said(codes: Codes) -> Iterator[tuple[str, OnAxis]]:
            for number, axis in alone:
                if codes[number] != _SEVERAL and axis.values[codes[number]] is not ABSENT:
                    yield axis.name, axis.values[codes[number]]

        known: dict[Codes, Arguments] = {}
        for codes in self._found.values() if alone else ():
            if codes not in known:
                known[codes] = tuple(said(codes))
        return {job: known[codes] for job, codes in self._found.items() if known.get(codes)}

"""The inside of a scatter-gather at run time: its work items, the steps of each, what gather takes; starts nothing.

A step's id is made of its recipe and the contents of its inputs, the item among them: not of its place in the list, nor
of the scatter. So one new item runs one branch, and equal items share theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from repx.agent.base.digest import canonical_json, digest_of_text
from repx.agent.base.layout import Store
from repx.agent.base.record import resolved_key
from repx.agent.lab.job_line import Hints
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Stage, Step
from repx.store.outcomes import Outcome, OutcomeOf, Resolved, ResultsOf, hashed_inputs, job_inputs, look_up, unfilled


@dataclass(frozen=True, slots=True)
class PartJob:
    """A part of a scatter-gather as a job: what `Job` says of a whole one."""

    id: str
    stage: Stage
    recipe: str
    params: Mapping[str, Any]
    references: Mapping[str, str]
    hints: Hints
    whole: str
    """The id of the scatter-gather it is a part of."""


class ItemsError(Exception):
    """A scatter did not write a JSON list."""


class ScatterGatherJob:
    """One scatter-gather job and its parts. `inputs` are its own inputs by name, each as a worker takes it."""

    def __init__(self, job: Job, inputs: Mapping[str, Any]) -> None:
        self.job = job
        self._inputs = inputs
        assert job.stage.parts is not None and job.parts is not None
        self._parts = job.stage.parts
        self._recipes = job.parts

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps, each after those it takes from."""
        return self._parts.steps

    def scatter(self) -> tuple[PartJob, Resolved]:
        """The scatter, which is a job like any other."""
        recipes = self._recipes
        part = self._part(self._parts.scatter, recipes.scatter, {}, recipes.scatter_id, recipes.scatter_hints)
        inputs = {name: self._inputs.get(name) for name in part.stage.inputs}
        return part, Resolved(inputs, resolved_key(part.recipe, 0, hashed_inputs(inputs)))

    def items(self, scatter: Outcome) -> list[str]:
        """The work items, each as canonical JSON. Raises ItemsError."""
        path = scatter.path(self._parts.items)
        try:
            with open(path, encoding="utf-8") as file:
                items = json.load(file)
        except (ValueError, RecursionError) as error:
            raise ItemsError(f"output {self._parts.items} of the scatter is no JSON: {error}") from None
        if not isinstance(items, list):
            raise ItemsError(f"output {self._parts.items} of the scatter is no JSON list but {type(items).__name__}")
        try:
            texts = [canonical_json(item) for item in items]
            "".join(texts).encode()
        except (ValueError, RecursionError) as error:
            raise ItemsError(f"output {self._parts.items} of the scatter cannot be items: {error}") from None
        return texts

    def step(self, step: Step, item: str, before: Mapping[str, Outcome], scatter: Outcome) -> tuple[PartJob, Resolved]:
        """A step for one item; `before` are the outcomes of this item's earlier steps by name."""
        inputs = unfilled(step.stage)
        for wire in step.wires:
            if wire.source == "item":
                digest = hashlib.sha256(b"repx-item 1\n" + item.encode("utf-8", "surrogatepass")).hexdigest()
                inputs[wire.input] = {"text": item, "file": "item.json", "digest": digest}
            elif wire.source == "input":
                inputs[wire.input] = self._inputs.get(wire.name)
            else:
                inputs[wire.input] = _output_value(before[wire.step], wire.name)
        recipe = self._recipes.steps[step.name]
        key = resolved_key(recipe, 0, hashed_inputs(inputs))
        stage = step.stage
        identity = f"{digest_of_text(f'repx-step 1 {key}')}-{stage.name}-{stage.version}"
        part = self._part(stage, recipe, step.fixed, identity, self._recipes.step_hints[step.name], step.references)
        return part, Resolved(inputs, key)

    def gather(self, sinks: Sequence[Outcome], scatter: Outcome) -> tuple[PartJob, Resolved]:
        """The gather, which stands for the whole: it has the id of the job."""
        stage = self._parts.gather
        inputs: dict[str, Any] = dict.fromkeys(stage.inputs)
        inputs[self._parts.results] = [_output_value(sink, self._parts.sink_output) for sink in sinks]
        for wire in self._parts.gather_wires:
            is_made = wire.source == "scatter"
            inputs[wire.input] = _output_value(scatter, wire.name) if is_made else self._inputs.get(wire.name)
        hashed = hashed_inputs(inputs)
        part = self._part(stage, self.job.recipe, {}, self.job.id, self._recipes.gather_hints)
        return part, Resolved(inputs, resolved_key(self.job.recipe, 0, hashed))

    @property
    def sink(self) -> str:
        """The name of the step on which no other depends."""
        return self._parts.sink

    def _part(
        self,
        stage: Stage,
        recipe: str,
        fixed: Mapping[str, Any],
        identity: str,
        hints: Hints,
        fixed_references: Mapping[str, str] = MappingProxyType({}),
    ) -> PartJob:
        values = {**self.job.params, **fixed}
        own = set(stage.params).difference(fixed)
        return PartJob(
            id=identity,
            stage=stage,
            recipe=recipe,
            params={name: values[name] for name in stage.params},
            references={
                **{name: kind for name, kind in self.job.references.items() if name in own},
                **fixed_references,
            },
            hints=hints,
            whole=self.job.id,
        )


class ScatterResults:
    """What is already there of a scatter-gather, without running anything."""

    def __init__(self, job: Job, lab: str, store: Store, outcome_of: OutcomeOf, results_of: ResultsOf) -> None:
        self._store = store
        self._whole = ScatterGatherJob(job, job_inputs(job, lab, outcome_of, results_of))

    def gather(self) -> Resolved | None:
        """The inputs of gather and its key; None while a part has no result."""
        part, resolved = self._whole.scatter()
        scatter = look_up(self._store, part.id, 0, resolved.key)
        if scatter is None:
            return None
        sinks = []
        try:
            items = self._whole.items(scatter)
        except (ItemsError, OSError):
            return None
        for item in items:
            done: dict[str, Outcome] = {}
            for _, outcome, name in self.branch(item, scatter, done):
                if outcome is None:
                    return None
                done[name] = outcome
            sinks.append(done[self._whole.sink])
        return self._whole.gather(sinks, scatter)[1]

    def branch(
        self, item: str, scatter: Outcome, done: Mapping[str, Outcome]
    ) -> Iterator[tuple[PartJob, Outcome | None, str]]:
        """The steps of one item in order, each with its outcome; `done` must grow as they come."""
        for step in self._whole.steps:
            part, resolved = self._whole.step(step, item, done, scatter)
            yield part, look_up(self._store, part.id, 0, resolved.key), step.name


def _output_value(outcome: Outcome, output: str) -> dict[str, str]:
    path = outcome.path(output)
    return {"path": path, "file": path.rpartition("/")[2], "digest": outcome.outputs[output].digest}

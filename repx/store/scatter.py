"""The inside of a scatter-gather at run time: its work items, the steps of each, what gather takes; starts nothing.

A step's id is made of its recipe and the contents of its inputs, the item among them: not of its place in the list, nor
of the scatter. So one new item runs one branch, and equal items share theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from repx.agent.base.digest import canonical_json, digest_of_text
from repx.agent.base.layout import Store
from repx.agent.base.record import resolved_key
from repx.lab.run_file import LabJob
from repx.store.outcomes import Outcome, OutcomeOf, Resolved, ResultsOf, hashed_inputs, job_inputs, look_up


@dataclass(frozen=True, slots=True)
class PartJob:
    """A part of a scatter-gather as a job: what `LabJob` says of a whole one."""

    id: str
    stage: dict[str, Any]
    recipe: str
    params: dict[str, Any]
    references: dict[str, str]
    resource_hints: dict[str, Any]
    whole: str
    """The id of the scatter-gather it is a part of."""


class ItemsError(Exception):
    """A scatter did not write a JSON list."""


class ScatterGatherJob:
    """One scatter-gather job and its parts. `inputs` are its own inputs by name, each as a worker takes it."""

    def __init__(self, job: LabJob, inputs: Mapping[str, Any]) -> None:
        self.job = job
        self._inputs = inputs
        self._parts: dict[str, Any] = job.stage["parts"]

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        """The steps, each after those it takes from."""
        steps: list[dict[str, Any]] = self._parts["steps"]
        return steps

    def scatter(self) -> tuple[PartJob, Resolved]:
        """The scatter, which is a job like any other."""
        part = self._part(
            "scatter", self._parts["scatter"], self.job.parts["scatter"], {}, self.job.parts["scatter_id"]
        )
        inputs = {name: self._inputs.get(name) for name, _, _ in part.stage["inputs"]}
        return part, Resolved(inputs, resolved_key(part.recipe, 0, hashed_inputs(inputs)))

    def items(self, scatter: Outcome) -> list[str]:
        """The work items, each as canonical JSON. Raises ItemsError."""
        path = scatter.path(self._parts["items"])
        try:
            with open(path, encoding="utf-8") as file:
                items = json.load(file)
        except (ValueError, RecursionError) as error:
            raise ItemsError(f"output {self._parts['items']} of the scatter is no JSON: {error}") from None
        if not isinstance(items, list):
            raise ItemsError(f"output {self._parts['items']} of the scatter is no JSON list but {type(items).__name__}")
        try:
            texts = [canonical_json(item) for item in items]
            "".join(texts).encode()
        except (ValueError, RecursionError) as error:
            raise ItemsError(f"output {self._parts['items']} of the scatter cannot be items: {error}") from None
        return texts

    def step(
        self, step: Mapping[str, Any], item: str, before: Mapping[str, Outcome], scatter: Outcome
    ) -> tuple[PartJob, Resolved]:
        """A step for one item; `before` are the outcomes of this item's earlier steps by name."""
        inputs: dict[str, Any] = {name: [] if kind == "paths" else None for name, kind, _ in step["stage"]["inputs"]}
        for name, source, output in step["wiring"]:
            if source == "item":
                digest = hashlib.sha256(b"repx-item 1\n" + item.encode("utf-8", "surrogatepass")).hexdigest()
                inputs[name] = {"text": item, "file": "item.json", "digest": digest}
            elif source == "input":
                inputs[name] = self._inputs.get(output)
            else:
                outcome = before[source.removeprefix("step:")]
                inputs[name] = _output_value(outcome, output)
        recipe = self.job.parts[f"step-{step['step']}"]
        key = resolved_key(recipe, 0, hashed_inputs(inputs))
        stage = step["stage"]
        identity = f"{digest_of_text(f'repx-step 1 {key}')}-{stage['name']}-{stage['version']}"
        part = self._part(f"step-{step['step']}", stage, recipe, step["fixed"], identity)
        return part, Resolved(inputs, key)

    def gather(self, sinks: Sequence[Outcome], scatter: Outcome) -> tuple[PartJob, Resolved]:
        """The gather, which stands for the whole: it has the id of the job."""
        stage = self._parts["gather"]
        inputs: dict[str, Any] = {name: None for name, _, _ in stage["inputs"]}
        inputs[self._parts["results"]] = [_output_value(sink, self._parts["sink_output"]) for sink in sinks]
        for name, source, output in self._parts["gather_wiring"]:
            inputs[name] = _output_value(scatter, output) if source == "scatter" else self._inputs.get(output)
        hashed = hashed_inputs(inputs)
        part = self._part("gather", stage, self.job.recipe, {}, self.job.id)
        return part, Resolved(inputs, resolved_key(self.job.recipe, 0, hashed))

    @property
    def sink(self) -> str:
        """The name of the step nothing depends on: the last."""
        name: str = self.steps[-1]["step"]
        used = {source for step in self.steps for _, source, _ in step["wiring"]}
        sinks = [step["step"] for step in self.steps if f"step:{step['step']}" not in used]
        return sinks[0] if sinks else name

    def _part(self, role: str, stage: dict[str, Any], recipe: str, fixed: Mapping[str, Any], identity: str) -> PartJob:
        values = {**self.job.params, **fixed}
        return PartJob(
            id=identity,
            stage=stage,
            recipe=recipe,
            params={name: values[name] for name in stage["params"]},
            references={
                name: kind
                for name, kind in self.job.references.items()
                if name in stage["params"] and name not in fixed
            },
            resource_hints=self.job.part_hints(role),
            whole=self.job.id,
        )


class ScatterResults:
    """What is already there of a scatter-gather, without running anything."""

    def __init__(self, job: LabJob, lab: str, store: Store, outcome_of: OutcomeOf, results_of: ResultsOf) -> None:
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
            yield part, look_up(self._store, part.id, 0, resolved.key), step["step"]


def _output_value(outcome: Outcome, output: str) -> dict[str, str]:
    path = outcome.path(output)
    return {"path": path, "file": path.rpartition("/")[2], "digest": outcome.outputs[output]["digest"]}

"""The inside of a scatter-gather at run time: its work items, the steps of each, what gather takes; starts nothing.

A step's id is made of its recipe and the contents of its inputs, the item among them: not of its place in the list, nor
of the scatter. So one new item runs one branch, and equal items share theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Callable, NamedTuple

from repx.agent.base.digest import canonical_json
from repx.agent.base.fingerprint import encode, job_digest
from repx.agent.base.layout import ITEMS
from repx.agent.base.wire import Wire
from repx.agent.lab.format import ITEMS_BYTES_LIMIT, ITEMS_LIMIT
from repx.agent.lab.identity import Identity, scatter_identity
from repx.agent.lab.job_line import Hints
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Stage, Step
from repx.agent.resolve import (
    Given,
    Inputs,
    ItemInput,
    Realized,
    Resolved,
    content_lines,
    filled_inputs,
    key_of,
    output_input,
)

SCATTER = "scatter"


class PartJob(NamedTuple):
    """A part of a scatter-gather as a job, with what `Job` has; `whole` is the id of the scatter-gather.

    `step` is its name there: `SCATTER`, a step's (for one `item`), or empty for the gather, which stands for the whole
    and has the identity of that.
    """

    id: str
    stage: Stage
    recipe: str
    params: Mapping[str, Any]
    references: Mapping[str, str]
    hints: Hints
    whole: str
    identity: Identity
    step: str = ""
    item: str | None = None


class Part(NamedTuple):
    """The scatter or one step of one item, as it stands.

    `job` and `resolved` are None while what makes a step is not known, which means while a step in `after` has no
    result; `outcome` is None while the part has none.
    """

    step: str
    item: str | None
    after: tuple[str, ...]
    stage: Stage
    job: PartJob | None
    resolved: Resolved | None
    outcome: Realized | None


class ItemsError(Exception):
    """A scatter did not write a JSON list."""


def _items_path(scatter: Realized, output: str) -> str:
    """Where the list of a scatter is; of one that was collected the list alone is kept."""
    return scatter.directory + "/" + ITEMS if scatter.is_collected else scatter.path(output)


LookUp = Callable[[PartJob, Resolved], "Realized | None"]


class ScatterGather:
    """A scatter-gather job and its parts; `inputs` are those of the whole."""

    def __init__(self, job: Job, inputs: Inputs) -> None:
        assert job.stage.parts is not None, "it is a scatter-gather"
        assert job.parts is not None, "it is a scatter-gather"
        self.job = job
        self._inputs = inputs
        self._parts = job.stage.parts
        self._recipes = job.parts
        self._identity = job.identity

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps, each after those it takes from."""
        return self._parts.steps

    @property
    def sink(self) -> str:
        """The name of the step that nothing depends on."""
        return self._parts.sink

    @property
    def gather_takes_scatter(self) -> bool:
        """Whether the gather takes an output of the scatter, beside those of the last step."""
        return any(wire.source == "scatter" for wire in self._parts.gather_wires)

    def scatter(self) -> tuple[PartJob, Resolved]:
        """The scatter, which is a job like any other."""
        stage, recipes = self._parts.scatter, self._recipes
        inputs = {name: self._inputs.get(name) for name in stage.inputs}
        part = self._part(stage, recipes.scatter, {}, recipes.scatter_id, recipes.scatter_hints)
        part = part._replace(step=SCATTER, identity=scatter_identity(self.job))
        return part, Resolved(inputs, key_of(recipes.scatter, 0, inputs))

    def items(self, scatter: Realized) -> list[str]:
        """The work items, each as canonical JSON. Raises ItemsError."""
        name = self._parts.items
        try:
            with open(_items_path(scatter, name), "rb") as file:
                data = file.read(ITEMS_BYTES_LIMIT + 1)
            if len(data) > ITEMS_BYTES_LIMIT:
                raise ItemsError("output %s of the scatter has more than %d MiB" % (name, ITEMS_BYTES_LIMIT >> 20))
            items = json.loads(data.decode())
        except OSError as error:
            raise ItemsError("output %s of the scatter cannot be read: %s" % (name, error.strerror)) from None
        except (ValueError, RecursionError) as error:
            raise ItemsError("output %s of the scatter is not JSON: %s" % (name, error)) from None
        if not isinstance(items, list):
            raise ItemsError("output %s of the scatter is not a JSON list but %s" % (name, type(items).__name__))
        if len(items) > ITEMS_LIMIT:
            raise ItemsError("output %s of the scatter lists %d items, more than %d" % (name, len(items), ITEMS_LIMIT))
        try:
            texts = [canonical_json(item) for item in items]
            "".join(texts).encode()
        except (ValueError, RecursionError) as error:
            raise ItemsError("output %s of the scatter cannot be items: %s" % (name, error)) from None
        return texts

    def step(self, step: Step, item: str, before: Mapping[str, Realized]) -> tuple[PartJob, Resolved]:
        """A step for one item; `before` are the outcomes of this item's earlier steps by name."""

        def given(wire: Wire) -> Given:
            if wire.source == "item":
                digest = hashlib.sha256(b"repx-item 1\n" + item.encode("utf-8", "surrogatepass")).hexdigest()
                return ItemInput(item, digest)
            return output_input(before[wire.step], wire.name) if wire.source == "step" else self._inputs.get(wire.name)

        inputs = filled_inputs(step.stage, [(wire.input, given(wire)) for wire in step.wires])
        recipe = self._recipes.steps[step.name]
        stage, lines = step.stage, content_lines(inputs)
        identity = "%s-%s-%s" % (job_digest(recipe, encode(lines)), stage.name, stage.version)
        part = self._part(stage, recipe, step.fixed, identity, self._recipes.step_hints[step.name], step.references)
        own = Identity(stage, part.params, part.references, lines)
        return part._replace(step=step.name, item=item, identity=own), Resolved(inputs, key_of(recipe, 0, inputs))

    def gather_job(self) -> PartJob:
        """The gather without its inputs."""
        return self._part(self._parts.gather, self.job.recipe, {}, self.job.id, self._recipes.gather_hints)

    def gather(self, sinks: Sequence[Realized], scatter: Realized) -> tuple[PartJob, Resolved]:
        """The gather, which stands for the whole: it has the id of the job."""
        parts, recipe = self._parts, self.job.recipe
        inputs: dict[str, Given] = dict.fromkeys(parts.gather.inputs)
        for wire in parts.gather_wires:
            if wire.source == "step":
                inputs[wire.input] = [output_input(sink, wire.name) for sink in sinks]
            else:
                is_made = wire.source == "scatter"
                inputs[wire.input] = output_input(scatter, wire.name) if is_made else self._inputs.get(wire.name)
        return self.gather_job(), Resolved(inputs, key_of(recipe, 0, inputs))

    def walk(self, look_up: LookUp) -> Iterator[Part]:
        """The scatter, then the steps of each item in order, as far as they are known. Raises ItemsError."""
        job, resolved = self.scatter()
        scatter = look_up(job, resolved)
        yield Part(SCATTER, None, (), job.stage, job, resolved, scatter)
        if scatter is None:
            return
        for item in self.items(scatter):
            yield from self.branch(item, look_up)

    def branch(self, item: str, look_up: LookUp) -> Iterator[Part]:
        """The steps of one item in order, as far as they are known."""
        done: dict[str, Realized] = {}
        for step in self.steps:
            if not all(name in done for name in step.before):
                yield Part(step.name, item, step.before, step.stage, None, None, None)
                continue
            job, resolved = self.step(step, item, done)
            outcome = look_up(job, resolved)
            if outcome is not None:
                done[step.name] = outcome
            yield Part(step.name, item, step.before, step.stage, job, resolved, outcome)

    def resolve_gather(self, look_up: LookUp) -> Resolved | None:
        """The gather's inputs and key; None while a part has no result."""
        sinks: list[Realized] = []
        scatter = None
        try:
            for part in self.walk(look_up):
                if part.outcome is None:
                    return None
                if part.item is None:
                    scatter = part.outcome
                elif part.step == self.sink:
                    sinks.append(part.outcome)
        except ItemsError:
            return None
        return None if scatter is None else self.gather(sinks, scatter)[1]

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
            identity=self._identity,
        )

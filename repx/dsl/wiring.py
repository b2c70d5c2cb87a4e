"""Which source each input of a node takes: what was passed by name, then by matching names; makes no job.

A node stands in a pipeline or inside a scatter-gather. What may be taken from there beside outputs of other nodes, and
what an input takes that nothing was passed for, is asked of the surroundings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from repx.agent.base.selector import Selector
from repx.agent.base.wire import InputSpec
from repx.dsl.node import Node, OutputRef, Selected
from repx.errors import DefinitionError, nearest

Special = TypeVar("Special", covariant=True)
"""What the surroundings have beside the outputs of nodes."""


class FromNode(NamedTuple):
    """An output of another node of the same pipeline or scatter-gather; with `selector`, of some realizations."""

    node: Node
    output: str
    selector: Selector | None = None


class Producer(NamedTuple):
    """A node that others may take from: what it is called, and its outputs."""

    name: str
    outputs: tuple[str, ...]


class Surroundings(Protocol[Special]):
    """Where a node stands."""

    @property
    def name(self) -> str:
        """What to call it in a message, such as "pipeline"."""

    def given(self, node: Node, spec: InputSpec, value: Any) -> Special | None:
        """The source that a passed value is here; None when it is nothing special, such as a node."""

    def unwired(self, node: Node, spec: InputSpec) -> tuple[Special, ...]:
        """The sources of an input that nothing was passed for. Raises DefinitionError."""


Wiring = tuple[tuple[str, tuple[FromNode | Special, ...]], ...]
"""Sorted by input name; an input that is absent has no sources, as has an empty list."""


def wire(
    node: Node, inputs: Iterable[InputSpec], producers: Mapping[Node, Producer], around: Surroundings[Special]
) -> Wiring[Special]:
    """The sources of every input of a node. Raises DefinitionError, listing both sides of what does not match."""
    return _Wirer(node, {spec.name: spec for spec in inputs}, producers, around).wiring()


class _Wirer(Generic[Special]):
    def __init__(
        self,
        node: Node,
        specs: Mapping[str, InputSpec],
        producers: Mapping[Node, Producer],
        around: Surroundings[Special],
    ) -> None:
        self.node = node
        self.stage = node._stage.name
        self.specs = specs
        self.producers = producers
        self.around = around
        self.found: dict[str, tuple[FromNode | Special, ...]] = {}

    def wiring(self) -> Wiring[Special]:
        for name, given in self.node._wires.items():
            if name not in self.specs:
                raise self._error(
                    f"stage {self.stage!r} has no input {name!r} with these params", nearest(name, self.specs)
                )
            self.found[name] = self._given(self.specs[name], given)
        for producer in self.node._implicit:
            self._match(producer)
        for name, spec in self.specs.items():
            if name not in self.found:
                self.found[name] = self.around.unwired(self.node, spec)
        return tuple(sorted(self.found.items()))

    def _given(self, spec: InputSpec, given: Any) -> tuple[FromNode | Special, ...]:
        if isinstance(given, list):
            if spec.kind != "paths":
                raise self._error(
                    f"input {spec.name!r} of stage {self.stage!r} takes one path and was given a list of {len(given)}",
                    f"annotate it as {spec.name}: Inputs",
                )
            return tuple(self._single(spec, one) for one in given)
        if given is None:
            if not spec.is_optional:
                raise self._error(
                    f"input {spec.name!r} of stage {self.stage!r} was given None",
                    f"annotate it as {spec.name}: Input | None if it may be missing",
                )
            return ()
        return (self._single(spec, given),)

    def _single(self, spec: InputSpec, given: Any) -> FromNode | Special:
        special = self.around.given(self.node, spec, given)
        if special is not None:
            return special
        if spec.kind in ("results", "item"):
            wants = "a run" if spec.kind == "results" else "a work item"
            raise self._error(f"input {spec.name!r} of stage {self.stage!r} takes {wants}, not {given!r}")
        source = given.node if isinstance(given, OutputRef | Selected) else given
        selector = given.selector if isinstance(given, OutputRef | Selected) else None
        producer = self._producer(source, f"input {spec.name!r} of stage {self.stage!r}")
        self._check_selector(spec, source, selector)
        if isinstance(given, OutputRef):
            if given.name not in producer.outputs:
                raise self._error(
                    f"stage {producer.name!r} has no output {given.name!r}", nearest(given.name, producer.outputs)
                )
            return FromNode(source, given.name, selector)
        if len(producer.outputs) == 1:
            return FromNode(source, producer.outputs[0], selector)
        if spec.name in producer.outputs:
            return FromNode(source, spec.name, selector)
        raise self._error(
            f"input {spec.name!r} was given the result of stage {producer.name!r}, which has several outputs",
            f"pass one of them, such as .{producer.outputs[0]}",
            [("its outputs", ", ".join(producer.outputs))],
        )

    def _check_selector(self, spec: InputSpec, source: Node, selector: Selector | None) -> None:
        """Of several realizations an input says which it takes, and takes a list where it may get several."""
        stage = source._stage
        if selector is None and (stage.realizations or 1) > 1:
            raise self._error(
                f"input {spec.name!r} of stage {self.stage!r} takes from {stage.name!r}, which has "
                f"{stage.realizations} realizations, and does not say which",
                "say latest(…), first(…), first(…, 3), every(…), exact(…, [0, 2]), or "
                'best(…, largest="output") around the result',
                [("declared at", stage.location)],
            )
        if selector is not None and selector.is_list and spec.kind == "path":
            raise self._error(
                f"input {spec.name!r} of stage {self.stage!r} takes one path and was given a list: {selector.text}",
                f"annotate it as {spec.name}: Inputs, or choose one: latest(…), first(…), exact(…, 0), best(…)",
            )

    def _match(self, given: Node | Selected) -> None:
        """Wire by matching names; each name may be matched once."""
        source = given.node if isinstance(given, Selected) else given
        selector = given.selector if isinstance(given, Selected) else None
        producer = self._producer(source, f"stage {self.stage!r}")
        matches = [
            name for name in producer.outputs if name in self.specs and self.specs[name].kind in ("path", "paths")
        ]
        if not matches:
            raise self._error(
                f"no output of {producer.name!r} is called like an input of {self.stage!r}",
                f"name the input: {self.stage}({next(iter(self.specs), 'input')}=….{producer.outputs[0]})",
                [("its outputs", ", ".join(producer.outputs)), ("the inputs", ", ".join(self.specs) or "none")],
            )
        for name in matches:
            if name in self.found:
                raise self._error(
                    f"input {name!r} of stage {self.stage!r} has two sources",
                    f"say which one: {name}=…",
                    [("one is", f"output {name} of {producer.name}")],
                )
            self._check_selector(self.specs[name], source, selector)
            self.found[name] = (FromNode(source, name, selector),)

    def _producer(self, source: Node, consumer: str) -> Producer:
        producer = self.producers.get(source)
        if producer is None:
            raise self._error(
                f"{consumer} takes from a call of {source._stage.name!r} outside this {self.around.name}",
                f"call the stage inside the {self.around.name} function, once for each assignment",
            )
        return producer

    def _error(self, headline: str, hint: str = "", facts: Iterable[tuple[str, object]] = ()) -> DefinitionError:
        return DefinitionError(headline, location=self.node._location, facts=list(facts), hint=hint)

"""Nodes: stage calls while a pipeline is traced, and what can be passed between them; resolves nothing."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

from repx.agent.base.selector import Selector
from repx.dsl.caller import caller
from repx.dsl.interface import Interface
from repx.errors import DefinitionError, SourceLocation, nearest
from repx.model.resources import Resources
from repx.model.values import Value


class Callee(Protocol):
    """What a node is a call of: a stage, or a scatter-gather."""

    name: str
    location: SourceLocation
    interface: Interface
    resources: Resources

    @property
    def realizations(self) -> int | None:
        """How many realizations it says that it has; None where it says nothing, and has one."""

    @property
    def output_names(self) -> frozenset[str] | None:
        """The names of its outputs; None when they depend on params."""

    @property
    def kinds(self) -> frozenset[str]:
        """What its script, or those of its parts, are written in: "bash", "python"."""


class WholeRun:
    """A run as something that can be passed: all its results (`repx.dsl.experiment.Run`)."""

    name: str


class OutputRef:
    """One output of a node: what `node.data` is; of some of its realizations, where `selector` says which."""

    __slots__ = ("name", "node", "selector")

    def __init__(self, node: Node, name: str, selector: Selector | None = None) -> None:
        self.node = node
        self.name = name
        self.selector = selector

    def __repr__(self) -> str:
        return f"<output {self.name} of {self.node._stage.name}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise DefinitionError(
            f"output {self.name!r} of stage {self.node._stage.name!r} was asked for .{name}, and is not made yet",
            location=caller(),
            hint=f"a pipeline only wires: hand it to a stage, and use .{name} in the body of that one",
        )

    def __bool__(self) -> bool:
        _refuse_value(repr(self), "tested")

    def __eq__(self, other: object) -> bool:
        return _is_same(self, other, repr(self))

    __hash__ = object.__hash__


class Selected:
    """Some realizations of a node: what `latest(node)` is. Its attributes are its outputs, like those of a node."""

    __slots__ = ("node", "selector")

    def __init__(self, node: Node, selector: Selector) -> None:
        self.node = node
        self.selector = selector

    def __getattr__(self, name: str) -> OutputRef:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> OutputRef:
        return OutputRef(self.node, self.node[name].name, self.selector)

    def __iter__(self) -> NoReturn:
        raise DefinitionError(
            f"{self!r} cannot be gone through: how many there are is known when they have been made",
            location=caller(),
            hint="pass the whole to a stage, which takes it as Inputs",
        )

    def __bool__(self) -> bool:
        _refuse_value(repr(self), "tested")

    def __eq__(self, other: object) -> bool:
        return _is_same(self, other, repr(self))

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{self.selector.text} of {self.node._stage.name}>"


class ItemRef:
    """The work item inside the function of a scatter-gather."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<the work item>"


class OuterInput:
    """An input of the whole, inside the function of a scatter-gather."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<input {self.name}>"


class Node:
    """A call of a stage. Its attributes are its outputs: `node.data`, or `node["data"]`."""

    __slots__ = ("_call", "_implicit", "_location", "_stage", "_wires")

    def __init__(
        self,
        stage: Callee,
        call: dict[str, Value],
        wires: dict[str, Any],
        implicit: tuple[Node | Selected, ...],
        location: SourceLocation,
    ) -> None:
        self._stage = stage
        self._call = call
        self._wires = wires
        self._implicit = implicit
        self._location = location
        trace = _current.get()
        if trace is not None:
            trace.append(self)

    def __getattr__(self, name: str) -> OutputRef:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> OutputRef:
        known = self._stage.output_names
        if known is not None and name not in known:
            raise DefinitionError(
                f"stage {self._stage.name!r} has no output {name!r}",
                location=caller(),
                hint=nearest(name, known),
            )
        return OutputRef(self, name)

    def __iter__(self) -> Iterator[OutputRef]:
        raise DefinitionError(
            f"the result of stage {self._stage.name!r} cannot be unpacked; it is one node",
            location=caller(),
            hint="take them by name: "
            + ", ".join(f"node.{name}" for name in sorted(self._stage.output_names or ["data"])),
        )

    def __bool__(self) -> bool:
        _refuse_value(f"the result of stage {self._stage.name!r}", "tested")

    def __eq__(self, other: object) -> bool:
        return _is_same(self, other, f"the result of stage {self._stage.name!r}")

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<node {self._stage.name}>"


def _is_same(one: OutputRef | Node | Selected, other: object, shown: str) -> bool:
    if not isinstance(other, OutputRef | Node | Selected):
        _refuse_value(shown, "compared")
    return one is other


def _refuse_value(what: str, how: str) -> NoReturn:
    """Raise DefinitionError: Python would compare quietly, and every job would take the same branch."""
    raise DefinitionError(
        f"{what} is not known yet and cannot be {how}: a pipeline only wires",
        location=caller(),
        hint="branch on the pipeline's own arguments, which are values, or in the body of a stage",
    )


_current: contextvars.ContextVar[list[Node] | None] = contextvars.ContextVar("repx_trace", default=None)


@contextmanager
def tracing() -> Iterator[list[Node]]:
    """Collect the nodes made inside, in the order of their calls."""
    nodes: list[Node] = []
    token = _current.set(nodes)
    try:
        yield nodes
    finally:
        _current.reset(token)


def sources_of(node: Node) -> Iterator[Node]:
    """The nodes that a node takes from."""
    for one in (*node._implicit, *node._wires.values()):
        for source in one if isinstance(one, list) else [one]:
            if isinstance(source, OutputRef | Selected):
                yield source.node
            elif isinstance(source, Node):
                yield source


def replay(nodes: Iterable[Node]) -> None:
    """Put nodes that exist into the trace that is being made."""
    trace = _current.get()
    assert trace is not None, "only inside a pipeline"
    trace.extend(nodes)

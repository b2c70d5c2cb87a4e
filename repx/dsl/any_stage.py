"""What can be called in a pipeline, and what may be passed to it; wires nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from repx.dsl.caller import caller
from repx.dsl.interface import Interface
from repx.dsl.node import ItemRef, Node, OuterInput, OutputRef, Selected, WholeRun
from repx.errors import DefinitionError, SourceLocation, nearest
from repx.model.resources import Resources
from repx.model.values import StoredPath, Value, check_value


class AnyStage:
    """What can be called in a pipeline: a stage, or a scatter-gather."""

    name: str
    location: SourceLocation
    interface: Interface
    resources: Resources

    @property
    def realizations(self) -> int | None:
        """How many realizations it says that it has; None where it says nothing, and has one."""
        return None

    @property
    def output_names(self) -> frozenset[str] | None:
        """The names of its outputs; None when they depend on params."""
        raise NotImplementedError

    @property
    def kinds(self) -> frozenset[str]:
        """What its script, or those of its parts, are written in: "bash", "python"."""
        raise NotImplementedError

    @property
    def has_dynamic_inputs(self) -> bool:
        """Whether the names of its inputs depend on params."""
        return False

    def __call__(self, *nodes: Any, **given: Any) -> Node:
        """Make a node: positional nodes are wired by matching names, keywords are inputs or params."""
        location = caller()
        implicit = []
        for node in nodes:
            if not isinstance(node, Node | Selected):
                raise DefinitionError(
                    f"stage {self.name!r} was given {node!r} by position",
                    location=location,
                    hint=self._instead_of_position(node),
                )
            implicit.append(node)
        params = {param.name for param in self.interface.params}
        inputs = {spec.name for spec in self.interface.inputs}
        call: dict[str, Value] = {}
        wires: dict[str, Any] = {}
        for name, value in given.items():
            if name in params:
                call[name] = self._checked(name, value, location)
            elif name in inputs or (self.has_dynamic_inputs and _is_source(value)):
                wires[name] = _checked_wire(self.name, name, value, location)
            else:
                raise DefinitionError(
                    f"stage {self.name!r} has no input or param {name!r}",
                    location=location,
                    hint=nearest(name, params | inputs),
                )
        for name, wire in wires.items():
            if isinstance(wire, WholeRun) and (spec := self.interface.input(name)) and spec.kind != "results":
                raise DefinitionError(
                    f"input {name!r} of stage {self.name!r} was given the run {wire.name!r}",
                    location=location,
                    hint=f"annotate it as {name}: Results",
                )
        return Node(self, call, wires, tuple(implicit), location)

    def _instead_of_position(self, given: Any) -> str:
        if isinstance(given, AnyStage):
            return f"call it: {self.name}({given.name}(…))"
        if isinstance(given, ItemRef | OuterInput | OutputRef):
            kinds = ("item",) if isinstance(given, ItemRef) else ("path", "paths")
            fitting = [spec.name for spec in self.interface.inputs if spec.kind in kinds]
            same = [name for name in fitting if isinstance(given, OutputRef) and name == given.name]
            name = next(iter(same + fitting), None)
            return f"give it by name: {self.name}({name}=…)" if name else f"{self.name!r} takes no such input"
        return "positions take the results of other stages, wired by name; give everything else by name"

    def _checked(self, name: str, value: Any, location: SourceLocation) -> Value:
        if isinstance(value, Node | OutputRef | Selected):
            raise DefinitionError(
                f"param {name!r} of stage {self.name!r} was given {value!r}",
                location=location,
                hint=f"annotate it as {name}: Input to take the file",
            )
        try:
            return check_value(value)
        except ValueError as error:
            raise DefinitionError(f"param {name!r} of stage {self.name!r}: {error}", location=location) from None


def _is_source(value: Any) -> bool:
    return isinstance(value, Node | OutputRef | Selected | StoredPath | OuterInput | ItemRef)


def _checked_wire(stage_name: str, name: str, value: Any, location: SourceLocation) -> Any:
    if value is None or _is_source(value) or isinstance(value, WholeRun):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str) and all(_is_source(one) for one in value):
        return list(value)
    raise DefinitionError(
        f"input {name!r} of stage {stage_name!r} was given {value!r}",
        location=location,
        hint=f"call it: {name}={value.name}(…)"
        if isinstance(value, AnyStage)
        else 'an input takes the output of another stage, a list of them, or repx.path("…")',
    )

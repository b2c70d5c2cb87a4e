"""What the gather of a scatter-gather takes of each branch: decides its wires; knows no pipeline."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from repx.agent.base.wire import Wire
from repx.dsl.node import Node, OutputRef
from repx.dsl.stage import Stage
from repx.errors import DefinitionError, nearest


class Refusal(Protocol):
    """What makes the error for something that the scatter-gather cannot be."""

    def __call__(self, headline: str, hint: str = "") -> DefinitionError:
        """The error, which names the scatter-gather and its place."""


class Sink(NamedTuple):
    """The step that no other depends on: its node, and its name among the steps."""

    node: Node
    step: str

    @property
    def outputs(self) -> list[str]:
        """The names of its outputs."""
        return sorted(self.node._stage.output_names or ())


def gather_wires(
    gather: Stage, sink: Sink, returned: Any, scattered: Collection[str], outer: Collection[str], refusal: Refusal
) -> tuple[Wire, ...]:
    """The wires of a gather's inputs: its lists take outputs of the sink, one of each branch.

    `returned` is what the function returned, `scattered` are the scatter's other outputs, and `outer` the inputs that
    the scatter and the function declare. Raises DefinitionError.
    """
    lists = [spec.name for spec in gather.interface.inputs if spec.kind == "paths"]
    if not lists:
        raise refusal(f"its gather {gather.name!r} takes 0 lists", "it takes a parameter annotated Inputs")
    taken = dict(_taken(gather, lists, sink, returned, outer, refusal))
    if not taken:
        raise refusal(
            f"its gather {gather.name!r} takes nothing of its sink step {sink.step!r}",
            f"call a parameter annotated Inputs like one of its outputs: {', '.join(sink.outputs)}",
        )
    others = [spec.name for spec in gather.interface.inputs if spec.name not in taken]
    wires = [Wire(name, "step", sink.step, output) for name, output in taken.items()]
    wires += [Wire(name, "scatter" if name in scattered else "input", "", name) for name in others]
    return tuple(sorted(wires))


def _taken(
    gather: Stage, lists: list[str], sink: Sink, returned: Any, outer: Collection[str], refusal: Refusal
) -> Iterator[tuple[str, str]]:
    """Each list that takes of the branches, with the sink's output that it takes."""
    chosen = _chosen(gather, lists, sink, returned, refusal)
    if not isinstance(chosen, Mapping):
        if len(lists) == 1:
            yield lists[0], chosen
            return
        raise refusal(
            f"its function returns output {chosen!r}, but its gather {gather.name!r} takes {len(lists)} lists: "
            f"{', '.join(lists)}",
            "return the sink's node: each list takes the output of its own name",
        )
    for name in lists:
        output = chosen.get(name, name)
        if output in sink.outputs:
            yield name, output
        elif len(lists) == 1 or name not in outer:
            raise refusal(
                f"its gather {gather.name!r} takes the list {name!r}, and its sink step {sink.step!r} has "
                f"{len(sink.outputs)} outputs, none of that name",
                f"{nearest(name, sink.outputs)}; or return one of them, or say which is which: "
                f"return {{{name!r}: {sink.step}.{sink.outputs[0]}}}",
            )


def _chosen(gather: Stage, lists: list[str], sink: Sink, returned: Any, refusal: Refusal) -> str | Mapping[str, str]:
    """The one output that is gathered, or those of lists by name; a list that is left out takes that of its name."""
    if isinstance(returned, Mapping):
        unknown = sorted(set(returned) - set(lists), key=str)
        if unknown:
            raise refusal(f"its gather {gather.name!r} takes no list {unknown[0]!r}", nearest(str(unknown[0]), lists))
        one_each = {name: _output(sink, one, refusal) for name, one in returned.items()}
        return {name: output for name, output in one_each.items() if output is not None}
    output = _output(sink, returned, refusal)
    if output is None and len(lists) == 1 and len(sink.outputs) == 1:
        return sink.outputs[0]
    return {} if output is None else output


def _output(sink: Sink, returned: Any, refusal: Refusal) -> str | None:
    """The name of the output that was returned; None where that is the sink itself, or nothing."""
    node = returned.node if isinstance(returned, OutputRef) else returned
    if node is not None and node is not sink.node:
        raise refusal(f"its function returns {returned!r}, but the sink is step {sink.step!r}", "return the sink")
    return returned.name if isinstance(returned, OutputRef) else None

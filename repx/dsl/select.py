"""Selectors: which realizations of a stage's result a consumer takes; choose nothing, for nothing has run yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from repx.agent.base.selector import MOST_INDEXES, Selector
from repx.dsl.caller import caller
from repx.dsl.node import Node, Selected
from repx.errors import DefinitionError, nearest


def latest(node: Node) -> Selected:
    """The realization with the highest index, of those that succeeded."""
    return _selected("latest", node, Selector("latest"))


def first(node: Node, count: int | None = None) -> Selected:
    """The first realization, or a list of the first `count`: those with the lowest indexes that succeeded."""
    if count is not None and not (type(count) is int and 0 < count <= MOST_INDEXES):
        raise DefinitionError(f"first(…, {count!r}): say how many, as a number ≥ 1", location=caller())
    return _selected("first", node, Selector("first", number=count or 1, as_list=count == 1))


def every(node: Node) -> Selected:
    """All realizations, as a list. A job that takes them is blocked when one of them fails."""
    return _selected("every", node, Selector("every"))


def exact(node: Node, indexes: int | Iterable[int]) -> Selected:
    """The realization of an index, or a list of those of some indexes."""
    listed: list[Any] = list(indexes) if isinstance(indexes, Iterable) else [indexes]
    if not listed or not all(type(one) is int and one >= 0 for one in listed) or len(set(listed)) != len(listed):
        raise DefinitionError(
            f"exact(…, {indexes!r}): say which, as different numbers from 0 on",
            location=caller(),
            hint="such as exact(node, 2) or exact(node, [0, 2])",
        )
    return _selected(
        "exact",
        node,
        Selector("exact", indexes=tuple(listed), as_list=len(listed) == 1 and isinstance(indexes, Iterable)),
    )


def best(node: Node, *, largest: str | None = None, smallest: str | None = None) -> Selected:
    """The realization for which an output holds the largest, or the smallest, number.

    The output is a file with one number, as text or as JSON. A realization that failed, or whose number is NaN, is left
    out; of equal numbers the one with the lowest index counts.
    """
    if (largest is None) == (smallest is None):
        raise DefinitionError(
            "best(…) needs an output to go by", location=caller(), hint='such as best(node, largest="accuracy")'
        )
    kind, output = ("largest", largest) if largest is not None else ("smallest", smallest)
    if isinstance(node, Node):
        known = node._stage.output_names
        if known is not None and output not in known:
            raise DefinitionError(
                f"best(…, {kind}={output!r}): stage {node._stage.name!r} has no such output",
                location=caller(),
                hint=nearest(str(output), known),
            )
    return _selected("best", node, Selector(kind, output=str(output)))


def _selected(name: str, node: Any, selector: Selector) -> Selected:
    if not isinstance(node, Node):
        raise DefinitionError(
            f"{name}(…) was given {node!r}",
            location=caller(),
            hint=f"give it the result of calling a stage, such as {name}(train()), and take outputs of what it gives",
        )
    stage = node._stage
    if stage.realizations is None:
        raise DefinitionError(
            f"{name}(…) was given the result of stage {stage.name!r}, which has one realization",
            location=caller(),
            facts=[("declared at", stage.location)],
            hint=f"pass it as it is, or say how many there are: realizations=… where {stage.name!r} is declared",
        )
    wanted = max(selector.indexes, default=selector.number - 1)
    if wanted >= stage.realizations:
        raise DefinitionError(
            f"{name}(…) asks for realization {wanted} of stage {stage.name!r}, which has {stage.realizations}: "
            f"0 to {stage.realizations - 1}",
            location=caller(),
            facts=[("declared at", stage.location)],
            hint=f"write realizations={wanted + 1}: what is there already is not made again",
        )
    return Selected(node, selector)

"""The Lab that a run, the result of a stage, or a list of these stands for; instantiates nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from repx.dsl.any_stage import AnyStage
from repx.dsl.experiment import Lab, Run
from repx.dsl.node import Node, Selected, replay, sources_of
from repx.errors import DefinitionError

Realizable = Lab | Run | Node | Selected | Iterable["Run | Node | Selected"]
"""What can be instantiated and realized."""


def as_lab(given: Realizable) -> Lab:
    """A Lab as it is; runs, with the runs that they come after, and nodes in a Lab of their own.

    Raises DefinitionError for anything else.
    """
    if isinstance(given, Lab):
        return given
    items = [given] if isinstance(given, Run | Node | Selected | AnyStage) else list(given)
    runs = [item for item in items if isinstance(item, Run)]
    nodes = [item.node if isinstance(item, Selected) else item for item in items if isinstance(item, Node | Selected)]
    if items and len(runs) == len(items):
        return Lab(runs=_with_upstreams(runs))
    if items and len(nodes) == len(items):
        return _lab_of_nodes(nodes)
    uncalled = next((item for item in items if isinstance(item, AnyStage)), None)
    raise DefinitionError(
        f"{given!r} cannot be realized",
        hint=f"call the stage: {uncalled.name}(…)"
        if uncalled is not None
        else "give a Lab, a Run, the result of calling a stage, or a list of one of these",
    )


def _with_upstreams(runs: Sequence[Run]) -> list[Run]:
    found: dict[Run, None] = {}
    waiting = list(runs)
    while waiting:
        run = waiting.pop()
        if run not in found:
            found[run] = None
            waiting.extend(after.run for after in run.after)
    return list(found)


def _lab_of_nodes(nodes: Sequence[Node]) -> Lab:
    """A Lab with one run that holds these nodes and all they take from, producers first."""
    ordered: dict[Node, None] = {}
    # A loop, since a chain of nodes may be longer than Python's stack. A node is placed at its second turn, after its
    # sources.
    waiting = [(node, False) for node in reversed(nodes)]
    while waiting:
        node, has_sources = waiting.pop()
        if node in ordered:
            continue
        if has_sources:
            ordered[node] = None
        else:
            waiting.append((node, True))
            waiting.extend((source, False) for source in reversed(list(sources_of(node))))
    return Lab(runs=[Run("notebook", lambda: replay(ordered))])

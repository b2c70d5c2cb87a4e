"""What of a store is dead: exactly what nothing reaches, for every picture of a store that can be drawn."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from repx.store.gc.picture import Kept, LabPicture, Place, StorePicture, counting_roots, find_dead
from repx.store.roots import Root, RootKind

JOBS = [f"{letter * 32}-{stage}-1" for letter in "abcdef" for stage in ("make", "step")]
ASIDES = ["", "0-aaaaaaaa", "1-bbbbbbbb", "1-cccccccc"]
OBJECTS = ["in", "lib", "layer"]
LABS = ["labs/1", "labs/2", "foreign/3", "/elsewhere"]

places = st.builds(Place, st.sampled_from(JOBS), st.sampled_from(ASIDES))


@st.composite
def stores(draw: st.DrawFn) -> StorePicture:
    """Any store of four Labs at most, whose results may be adopted from each other in any way, circles included."""
    kept = {
        path: draw(
            st.builds(
                LabPicture,
                jobs=st.frozensets(st.sampled_from(JOBS), max_size=5),
                open_stages=st.one_of(st.just(frozenset()), st.just(frozenset({"step-1"}))),
                current=st.dictionaries(st.sampled_from(JOBS), st.frozensets(st.sampled_from(ASIDES[1:])), max_size=4),
                objects=st.frozensets(st.sampled_from(OBJECTS)),
                notes=st.frozensets(st.sampled_from(LABS)),
            )
        )
        for path in draw(st.lists(st.sampled_from(LABS), unique=True))
    }
    found = draw(st.lists(places, unique=True, max_size=14))
    outputs = [
        Kept(
            place,
            draw(st.none() | st.sampled_from(found)),
            draw(st.integers(0, 5)) == 0,
            ("out",),
        )
        for place in found
    ]
    return StorePicture(
        labs=kept,
        stored_labs=draw(st.lists(st.sampled_from(LABS[:3]), unique=True)),
        pinned_jobs=draw(st.frozensets(st.sampled_from(JOBS), max_size=2)),
        outputs=outputs,
        objects=draw(st.frozensets(st.sampled_from(OBJECTS))),
        caches=draw(st.frozensets(st.just("cache"))),
        notes=draw(st.frozensets(st.sampled_from(LABS))),
    )


def reached(store: StorePicture) -> set[object]:
    """All that can be reached from the roots, by walking a graph that is drawn edge by edge."""
    graph: nx.DiGraph[object] = nx.DiGraph()
    graph.add_node("root")
    for path, lab in store.labs.items():
        assert lab is not None
        graph.add_edge("root", ("lab", path))
        graph.add_edges_from((("lab", path), ("object", name)) for name in lab.objects)
        graph.add_edges_from((("lab", path), ("note", name)) for name in lab.notes)
        for one in store.outputs:
            job, aside = one.place
            is_step = job.endswith("-step-1") and "step-1" in lab.open_stages
            in_it = job in lab.jobs and (not aside or job not in lab.current or aside in lab.current[job])
            # A step that nobody can name might be any; of one that is known, only what is valid today is needed.
            if in_it or (is_step and all(job not in other.jobs for other in store.labs.values() if other)):
                graph.add_edge(("lab", path), one.place)
    for one in store.outputs:
        if one.is_held or one.place.job in store.pinned_jobs:
            graph.add_edge("root", one.place)
        if one.adopted_from is not None:
            graph.add_edge(one.place, one.adopted_from)
    return {"root", *nx.descendants(graph, "root")}


@given(stores())
@settings(max_examples=500, deadline=None)
def test_exactly_the_unreachable_goes(store: StorePicture) -> None:
    alive = reached(store)
    dead = find_dead(store)
    assert {("lab", path) for path in store.stored_labs} - alive == {("lab", path) for path in dead.labs}
    assert {one.place for one in store.outputs} - alive == set(dead.outputs)
    assert {("object", name) for name in store.objects} - alive == {("object", one) for one in dead.objects} - {
        ("object", "cache")
    }
    assert {("note", name) for name in store.notes} - alive == {("note", name) for name in dead.notes}
    assert set(store.caches) == {"cache"} & set(dead.objects)


@given(stores(), st.sampled_from(["unreadable", "unclear", "realizing", "working"]))
@settings(max_examples=200, deadline=None)
def test_what_cannot_be_proven_dead_stays(store: StorePicture, what: str) -> None:
    from dataclasses import replace

    unsure = {
        "unreadable": replace(store, labs={**store.labs, "broken": None}),
        "unclear": replace(store, is_unclear=True, is_working=True),
        "realizing": replace(store, is_realizing=True, is_working=True),
        "working": replace(store, is_working=True),
    }[what]
    before, after = find_dead(store), find_dead(unsure)
    for kind in ("labs", "outputs", "objects", "notes"):
        assert set(getattr(after, kind)) <= set(getattr(before, kind))
    assert "cache" not in after.objects
    if what in ("unreadable", "unclear"):
        assert not after.outputs
        assert not after.objects
    if what in ("realizing", "unclear"):
        assert not after.labs
        assert not after.objects


_MADE: tuple[RootKind, ...] = ("lab", "call")
_ALL: tuple[RootKind, ...] = (*_MADE, "pin", "link")


def root(kind: RootKind, number: int, made_at: float = 0.0, project: str = "p") -> Root:
    return Root(
        kind, f"{kind}{number}", f"/{kind}-{project}-{number}", "", lab=str(number), project=project, made_at=made_at
    )


def names(roots: Sequence[Root]) -> set[str]:
    return {one.name for one in roots}


def test_of_each_project_the_last_five_labs_count_and_all_that_notebooks_made() -> None:
    labs = [root("lab", number, made_at=number) for number in range(8)]
    others = [root("lab", number, made_at=number, project="q") for number in range(10, 12)]
    calls = [root("call", number, made_at=number) for number in range(8)]
    counting = counting_roots(
        [*labs, *others, *calls, root("pin", 1), root("link", 1)], keep_last=None, younger_than=None
    )
    assert names(counting) == names([*labs[3:], *others, *calls, root("pin", 1), root("link", 1)])


def test_how_many_labs_count_can_be_said() -> None:
    roots = [root(kind, number, made_at=number) for kind in _MADE for number in range(4)]
    assert names(counting_roots(roots, keep_last=1, younger_than=None)) == {"lab3", "call3"}
    assert names(counting_roots(roots, keep_last=0, younger_than=None)) == set()


def test_labs_older_than_an_age_do_not_count_links_and_pins_do() -> None:
    roots = [root(kind, number, made_at=number) for kind in _ALL for number in range(3)]
    old = counting_roots(roots, keep_last=None, younger_than=2)
    assert names(old) == {"lab2", "call2", "pin0", "pin1", "pin2", "link0", "link1", "link2"}
    assert "lab1" in names(counting_roots(roots, keep_last=2, younger_than=2))


def test_only_what_is_pinned_counts_when_that_is_said() -> None:
    roots = [root(kind, 1) for kind in _ALL]
    assert names(counting_roots(roots, keep_last=5, younger_than=None, pinned_only=True)) == {"pin1"}

"""The Lab that a run or a node stands for: all it takes from, in order, however much that is."""

from __future__ import annotations

import sys

import repx
from repx import Input, Output, Run, bash, out
from repx.dsl.as_lab import as_lab
from repx.dsl.instantiate.graph import instantiate
from tests.fakes.software import FakeSoftware


@bash
def first(data: Output = out("a.txt")) -> str:
    return 'echo 1 > "$data"'


@bash
def following(data: Input, more: Output = out("b.txt")) -> str:
    return 'cp "$data" "$more"'


def names_of(lab: repx.Lab) -> list[str]:
    return [job.stage.name for job in instantiate(lab, FakeSoftware()).jobs()]


def test_a_node_brings_what_it_takes_from() -> None:
    start = first()
    assert names_of(as_lab(following(data=start))) == ["first", "following"]
    assert names_of(as_lab([following(data=following(data=start)), start])) == ["first", "following", "following"]


def test_a_chain_of_nodes_may_be_longer_than_pythons_stack() -> None:
    node = first()
    for _ in range(2 * sys.getrecursionlimit()):
        node = following(data=node)
    assert len(names_of(as_lab(node))) == 2 * sys.getrecursionlimit() + 1


def test_a_run_brings_what_it_comes_after() -> None:
    one = Run("one", first)
    two = Run("two", first, after=[one])
    assert [run.name for run in as_lab(Run("three", first, after=[two])).ordered_runs] == ["one", "two", "three"]
    assert as_lab(lab := repx.Lab([one])) is lab

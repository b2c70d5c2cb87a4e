"""`repx why` as somebody meets it who edits an experiment: params, helpers, upstreams, failures."""

from __future__ import annotations

import re

import pytest

from tests.golden_texts import Golden, golden_fixture
from tests.runtime.world import World, a_world

__all__ = ["a_world", "golden_fixture"]

CHAIN = """
from repx import stage, host

def helper(x):
    return x * 2

@stage
def train(model: Output = out("m.txt"), *, lr: float = 0.1, seed: int):
    model.write_text(str(helper(lr) + seed))

@bash
def evaluate(model: Input, acc: Output = out("acc.txt")):
    return 'cat "$model" > "$acc"'

def work():
    evaluate(model=train().model)

lab = Lab(runs=[Run("work", work, params={"seed": [1, 2, 3]})], packages=host())
"""


def said(world: World, *argv: str) -> str:
    done = world.repx("why", *argv)
    assert done.status == 0, done.stderr
    return re.sub(r"Lab [0-9a-z]{8}", "Lab ........", done.stdout)


def test_what_an_edit_changes_is_told_with_the_lines_of_the_script(world: World, golden: Golden) -> None:
    world.realize(CHAIN)
    texts = [said(world)]
    assert world.run().status == 0
    texts.append(said(world))
    world.write(CHAIN.replace("x * 2", "x * 3"))
    texts.append(said(world, "experiment.py"))
    world.write(CHAIN.replace("= 0.1", "= 0.2"))
    texts.append(said(world, "experiment.py", "train"))
    world.write(CHAIN.replace("[1, 2, 3]", "[1, 2, 3, 4]"))
    texts.append(said(world, "experiment.py"))
    golden("why/edits.txt", "\n".join(texts))


def test_of_a_job_that_ran_it_says_what_was_new(world: World) -> None:
    world.realize(CHAIN)
    assert world.run().status == 0
    world.realize(CHAIN.replace("x * 2", "x * 3"))
    assert world.run().status == 0
    answer = world.repx("why", "--json").answer
    assert (answer["jobs"], answer["done"], answer["is_past"]) == (6, 6, True)
    assert [one["stage"] for one in answer["changes"]] == ["train", "evaluate"]
    assert answer["changes"][0]["definitions"] == [{"name": "helper()", "how": "changed", "place": "experiment.py:5"}]
    assert "+    return x * 3" in answer["changes"][0]["diff"]


def test_what_failed_and_what_it_blocks_is_told_by_its_state(world: World) -> None:
    world.realize(CHAIN.replace("cat ", "false; cat "))
    assert world.run("-k").status == 1
    answer = world.repx("why", "--json").answer
    assert [(one["stage"], one["jobs"], one["reason"]) for one in answer["standing"]] == [
        ("evaluate", 3, "failed before")
    ]


@pytest.mark.parametrize("argv", [["nothing"], ["experiment.py", "--lab", "result"], ["--lab", "nowhere"]])
def test_a_name_that_names_nothing_is_an_error_of_the_user(world: World, argv: list[str]) -> None:
    world.realize(CHAIN)
    done = world.repx("why", *argv)
    assert done.status == 2
    assert done.stderr.startswith("error: ")
    assert not done.stdout

"""Mistakes in an experiment file: what is wrong, where, what to do next; exit status 2, and nothing is written."""

from __future__ import annotations

import re

import pytest

from tests.cli.bad_experiments import FILES, PRELUDE
from tests.golden_texts import Golden, golden_fixture
from tests.runtime.world import World, a_world, tree

__all__ = ["a_world", "golden_fixture"]


@pytest.mark.parametrize("case", FILES)
def test_a_mistake_is_told_with_its_place_and_nothing_is_written(case: str, world: World, golden: Golden) -> None:
    (world.root / "experiment.py").write_text(PRELUDE + FILES[case].removeprefix("\n"))
    before = tree(world.root)
    done = world.repx("realize", "experiment.py")
    assert done.status == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    golden(f"errors/{case}.txt", shown(done.stderr, world))
    assert _without_answers(tree(world.root)) == _without_answers(before)


def shown(text: str, world: World) -> str:
    """A message without what differs from machine to machine."""
    text = text.replace(f"{world.root}/", "").replace(str(world.root), ".")
    text = re.sub(r"\b[0-9a-df-np-sv-z]{32}-", "<digest>-", text)
    return re.sub(r" at 0x[0-9a-f]+", " at 0x…", text)


def _without_answers(entries: dict[str, tuple[int, int, float]]) -> dict[str, tuple[int, int, float]]:
    return {path: looks for path, looks in entries.items() if not path.startswith("answers")}

"""What is named is what runs, with all it needs: runs, groups, stages, the start of a job's id."""

from __future__ import annotations

import pytest

from tests.runtime.world import World, a_world

__all__ = ["a_world"]

RUNS = """
@bash
def first(result: Output = out("r.txt"), *, n: int = 0):
    return 'echo "$n" > "$result"'

@bash
def second(before: Input, result: Output = out("r.txt")):
    return 'cat "$before" > "$result"'

@bash
def alone(result: Output = out("r.txt")):
    return 'echo > "$result"'

@bash
def late(one: Results, result: Output = out("r.txt")):
    return 'wc -l < "$one" > "$result"'

one = Run("one", lambda: second(before=first()), params={"n": [1, 2, 3]})
two = Run("two", alone)
three = Run("three", late, after=[one])
lab = Lab(runs=[one, two, three], groups={"most": [one, two]})
"""


@pytest.mark.parametrize(
    ("names", "would_run"),
    [
        ([], {"first": 3, "second": 3, "alone": 1, "late": 1}),
        (["one"], {"first": 3, "second": 3}),
        (["three"], {"first": 3, "second": 3, "late": 1}),
        (["late"], {"first": 3, "second": 3, "late": 1}),
        (["@most"], {"first": 3, "second": 3, "alone": 1}),
        (["first", "alone"], {"first": 3, "alone": 1}),
        (["second"], {"first": 3, "second": 3}),
    ],
)
def test_names(world: World, names: list[str], would_run: dict[str, int]) -> None:
    world.realize(RUNS)
    said = world.run("--dry-run", *names)
    assert said.status == 0, said.stderr
    assert said.answer["run"] == would_run


def test_the_start_of_an_id(world: World) -> None:
    world.realize(RUNS)
    assert world.run("one").status == 0
    directory = world.job_directories("second")[0]
    world.forget()
    assert world.run(directory.name[:12]).answer["succeeded"] == 2
    assert world.job_directories("second") == [directory]
    assert len(world.job_directories("first")) == 1


@pytest.mark.parametrize(("name", "hint"), [("oen", "one"), ("@mots", "most"), ("secnd", "second"), ("zzzz", "")])
def test_what_names_nothing(world: World, name: str, hint: str) -> None:
    world.realize(RUNS)
    done = world.run(name)
    assert done.status == 2
    assert hint in done.stderr
    assert "Traceback" not in done.stderr

"""A failed job's traceback has the user's files and lines, and nothing of what only its script has."""

from __future__ import annotations

import pytest

from tests.runtime.world import World, a_world

__all__ = ["a_world"]

FAILING = '''
from helper import divide

LIMIT = 3

class Bad(Exception):
    pass

def check(
    value,
    limit=LIMIT,
):
    # why
    if value < limit:
        raise Bad(  # HERE check
            value
        )

@stage
def caught(
    result: Output = out("r.txt"),
    *,
    n: int = 0,
):
    # A comment before the body.

    try:
        check(n)  # HERE call
    except Bad as error:
        raise ValueError("no good") from error  # HERE again

@stage
def inside(result: Output = out("r.txt")): divide(1, 0)  # HERE inside

@bash
def shell(result: Output = out("r.txt")):
    return """
        true
        ${nothing:?is not set}  # HERE shell
    """

@stage
def made(result: Output = out("r.txt")):
    result.write_text("x")

@stage
def misspelt(making: Results, result: Output = out("r.txt")):
    making.jobs("mede")  # HERE misspelt

making = Run("making", made)
lab = Lab(runs=[making, Run("work", pipelines=[caught, inside, shell]), Run("late", misspelt, after=[making])])
'''


@pytest.fixture(name="failed")
def a_failed_run(world: World) -> World:
    (world.root / "helper.py").write_text("def divide(a, b):\n    return a / b\n")
    world.realize(FAILING)
    return world


def test_tracebacks_point_at_the_users_files(failed: World) -> None:
    done = failed.repx("run", "--continue-on-failure")
    assert done.status == 1
    text = (failed.root / "experiment.py").read_text().split("\n")
    lines = {line.rpartition("# HERE ")[2]: number for number, line in enumerate(text, 1) if "# HERE " in line}
    for name, function in (
        ("check", "check"),
        ("call", "caught"),
        ("again", "caught"),
        ("inside", "inside"),
        ("misspelt", "misspelt"),
    ):
        assert f'File "experiment.py", line {lines[name]}, in {function}\n' in done.stderr, name
    assert 'File "helper.py", line 2, in divide\n' in done.stderr
    assert f"experiment.py:{lines['shell']}: nothing: is not set" in done.stderr
    assert "did you mean made?" in done.stderr
    assert "_repx" not in done.stderr
    assert "/bin/" not in done.stderr

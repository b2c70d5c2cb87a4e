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

@bash
def split(items: Output = out("items.json")):
    return 'echo "[1]" > "$items"'

@bash
def step(item: WorkItem, one: Output = out("r.txt")):
    return """
        cat "$item" > "$one"
        "$one"  # HERE step
    """

@stage
def gathered(ones: Inputs, result: Output = out("r.txt")):
    pass

@scatter_gather(scatter=split, gather=gathered)
def each(item: WorkItem):
    return step(item=item)

making = Run("making", made)
lab = Lab(runs=[making, Run("work", pipelines=[caught, inside, shell, each]), Run("late", misspelt, after=[making])])
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


def test_bash_lines_are_the_users_wherever_a_log_is_shown(failed: World) -> None:
    done = failed.repx("run", "--continue-on-failure", "work")
    text = (failed.root / "experiment.py").read_text().split("\n")
    lines = {line.rpartition("# HERE ")[2]: number for number, line in enumerate(text, 1) if "# HERE " in line}
    shell, step = (f"experiment.py:{lines[name]}:" for name in ("shell", "step"))
    assert f"exit status 1: {shell} nothing: is not set" in done.stdout
    assert f"{shell} nothing: is not set" in failed.repx("status").stdout
    assert failed.repx("log", "shell", "--stderr").stdout == f"{shell} nothing: is not set\n"
    assert "/bin/shell: line" in failed.repx("log", "shell", "--stderr", "--raw").stdout
    steps = [path.name for path in (failed.root / "store" / "outputs").iterdir() if "-step-" in path.name]
    assert failed.repx("log", steps[0], "--stderr").stdout.startswith(step)

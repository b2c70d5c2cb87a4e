"""`repx diff` and `repx list labs`: two versions of an experiment side by side, and the history of a store."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from tests.golden_texts import Golden, golden_fixture
from tests.machine import needs
from tests.runtime.world import World, a_world

__all__ = ["a_world", "golden_fixture"]

CHAIN = """
@bash
def make(data: Output = out("d.txt"), *, n: int = 0):
    return 'echo "$n" > "$data"'

@bash
def double(data: Input, result: Output = out("r.txt")):
    return 'echo "$(( 2 * $(< "$data") ))" > "$result"'

def work():
    double(data=make().data)

lab = Lab(runs=[Run("work", work, params={"n": [1, 2]})])
"""
TRIPLE = CHAIN.replace("2 *", "3 *")


def git(folder: Path, *argv: str) -> None:
    names = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", "-C", folder, *argv], check=True, capture_output=True, env={**os.environ, **names})


def test_two_labs_of_a_store_are_compared_by_the_start_of_their_ids(world: World, golden: Golden) -> None:
    world.realize(CHAIN)
    first = (world.root / "result").resolve().name
    world.realize(TRIPLE.replace("[1, 2]", "[2, 3]"))
    done = world.repx("diff", first[:8])
    assert done.status == 0, done.stderr
    golden("why/diff.txt", re.sub(r"Lab [0-9a-z]{8}", "Lab ........", done.stdout))
    assert world.repx("diff", first[:8], "result", "--json").answer["same"] == 1
    assert world.repx("diff", "result", "result").stdout == "the same 4 jobs\n"
    assert world.repx("diff", first[:8], "experiment.py").stdout == done.stdout


def test_a_commit_of_an_experiment_is_compared_without_touching_the_repository(world: World) -> None:
    needs(shutil.which("git") is not None, "git makes commits")
    world.write(CHAIN)
    (world.root / "helper.py").write_text("")
    git(world.root, "init", "-q")
    git(world.root, "add", "experiment.py", "helper.py")
    git(world.root, "commit", "-qm", "first")
    world.write(TRIPLE)
    (world.root / "helper.py").unlink()
    before = sorted(path.name for path in (world.root / ".git").iterdir())
    answer = world.repx("diff", "experiment.py@HEAD", "experiment.py", "--json").answer
    assert [(one["stage"], one["jobs"]) for one in answer["changes"]] == [("double", 2)]
    assert any(line.startswith("+") and "3 *" in line for line in answer["changes"][0]["diff"])
    assert sorted(path.name for path in (world.root / ".git").iterdir()) == before
    assert not (world.root / "helper.py").exists()
    for side, said in (("experiment.py@nope", "no commit"), ("other.py@HEAD", "has no other.py")):
        done = world.repx("diff", side, "experiment.py")
        assert (done.status, said in done.stderr) == (2, True)


@pytest.mark.parametrize("side", ["nothing", "experiment.py@HEAD", "", "nothing.py"])
def test_a_side_that_names_nothing_is_an_error_of_the_user(world: World, side: str) -> None:
    world.realize(CHAIN)
    done = world.repx("diff", side, "result")
    assert done.status == 2
    assert done.stderr.startswith("error: ")


def test_the_history_says_of_each_lab_what_it_was_made_from_and_how_far_it_is(world: World) -> None:
    assert world.repx("list", "labs").status == 0
    world.realize(CHAIN)
    assert world.run().status == 0
    first = (world.root / "result").resolve().name
    world.realize(TRIPLE)
    second = (world.root / "result").resolve().name
    for argv in ([], ["--all"]):
        rows = world.repx("list", "labs", "--json", *argv).answer
        assert [(row["id"], row["jobs"], row["done"]) for row in rows] == [(second, 4, 2), (first, 4, 4)]
        assert {row["experiment"] for row in rows} == {str(world.root / "experiment.py")}
    assert world.repx("list", "labs", "-q").stdout.split() == [second, first]
    assert world.repx("pin", "--name", "paper").status == 0
    table = world.repx("list", "labs").stdout.splitlines()
    assert "pinned: paper" in table[1]
    remove_tree(str(world.store / "labs" / first))
    assert "collected" in world.repx("list", "labs").stdout

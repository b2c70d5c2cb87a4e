"""Realizations that are added with `--again`: the old ones stay, selectors see the new one, plain consumers do not."""

from __future__ import annotations

import pytest

from tests.runtime.world import World, a_world

__all__ = ["a_world"]

TRAIN = """
import repx

@bash{given}
def train(result: Output = out("r.txt")):
    return 'echo train >> DIARY; wc -l < DIARY > "$result"'

@bash
def use(one: Input, result: Output = out("u.txt")):
    return 'cat "$one" > "$result"'

def work():
    use(one={taken})

lab = Lab(runs=[Run("work", work)])
"""
CHOOSING = TRAIN.format(given="(realizations=2)", taken="repx.latest(train()).result")
PLAIN = TRAIN.format(given="", taken="train().result")


def used(world: World) -> int:
    """Which turn of the training the consumer has."""
    return int(world.output("use", "u.txt"))


def trained(world: World) -> list[int]:
    """The turns of training that are kept."""
    (directory,) = world.job_directories("train")
    return sorted(int(path.read_text()) for path in directory.rglob("out/r.txt"))


def test_a_realization_is_added_and_seen_by_a_selector_in_the_same_run(world: World) -> None:
    world.realize(CHOOSING)
    assert world.run("-j", "1").status == 0
    assert used(world) == 2
    for turn in (3, 4):
        done = world.run("--again", "train")
        assert done.status == 0, done.stderr
        assert [name.rpartition("#")[2] for name in done.answer["added"]] == [str(turn - 1)]
        assert used(world) == turn
        assert trained(world) == list(range(1, turn + 1))
        assert "nothing to run" in world.repx("run").stdout
    shown = world.repx("show", "job", "train")
    assert "2, and 2-3 added" in shown.stdout
    assert "latest of" in world.repx("show", "job", "use").stdout
    assert ": realization 3" in world.repx("show", "job", "use").stdout
    assert world.repx("show", "output", "train", "result", "--index", "3").stdout == "4\n"
    assert world.repx("log", "train", "--index", "4").stderr.startswith("error: ")
    listed = world.repx("list", "jobs", "--json").answer
    assert [one["added"] for one in listed if one["stage"] == "train"] == [[2, 3]]
    assert "added" in world.repx("list", "jobs").stdout.splitlines()[0]


def test_what_was_added_without_its_consumers_is_seen_by_them_later(world: World) -> None:
    world.realize(CHOOSING)
    assert world.run("-j", "1").status == 0
    assert world.run().answer["found"] == 3, "all is known to be done"
    assert world.run("train", "--again", "train").status == 0
    assert used(world) == 2
    assert world.run().answer["succeeded"] == 3
    assert used(world) == 3


def test_a_plain_consumer_keeps_the_first_one_and_the_command_says_so(world: World) -> None:
    world.realize(PLAIN)
    assert world.run().status == 0
    done = world.repx("run", "--again", "train")
    assert done.status == 0, done.stderr
    assert "added: realization 1 of train; what takes it without a selector keeps realization 0" in done.stdout
    assert (used(world), trained(world)) == (1, [1, 2])
    assert "nothing to run" in world.repx("run").stdout
    assert world.entries() == {"train": 2}


def test_force_replaces_and_says_so(world: World) -> None:
    world.realize(PLAIN)
    assert world.run().status == 0
    done = world.repx("run", "--force", "train")
    assert "--force makes results anew in place of those that are there" in done.stderr
    assert trained(world) == [2]
    assert world.run("--again", "train").status == 0
    assert trained(world) == [2, 3]
    assert len(world.attempts("train")) == 2


def test_one_that_failed_is_tried_again_at_its_index_and_keeps_its_attempts(world: World) -> None:
    world.realize(CHOOSING.replace("wc -l < DIARY", '[ "$(wc -l < DIARY)" != 3 ] && wc -l < DIARY'))
    assert world.run("-j", "1").status == 0
    assert world.run("--again", "train").status == 1
    assert used(world) == 2, "a selector takes what has succeeded"
    done = world.run("--again", "train")
    assert [name.rpartition("#")[2] for name in done.answer["added"]] == ["2"]
    assert used(world) == 4
    assert "earlier attempts" not in world.repx("show", "job", "train").stdout
    assert world.repx("log", "train", "--index", "2", "--attempt", "1").status == 0


def test_a_dry_run_says_what_would_be_added_and_adds_nothing(world: World) -> None:
    world.realize(CHOOSING)
    assert world.run("-j", "1").status == 0
    for argv in ((), ("experiment.py",)):
        plan = world.repx("run", *argv, "--again", "train", "--dry-run", "--json").answer
        assert plan["run"] == {"train": 1, "use": 1}
    assert world.entries() == {"train": 2}


def test_results_of_a_run_have_what_was_added(world: World) -> None:
    world.realize(
        """
@bash(realizations=2)
def train(result: Output = out("r.txt")):
    return 'echo train >> DIARY; wc -l < DIARY > "$result"'

@stage(packages=["python3"])
def count(fits: Results, result: Output = out("c.txt")):
    result.write_text(" ".join(str(job.index) for job in fits.jobs("train")))

fits = Run("fits", train)
lab = Lab(runs=[fits, Run("report", count, after=[fits])])
"""
    )
    assert world.run().status == 0
    assert world.output("count", "c.txt") == "0 1"
    assert world.run("--again", "train").status == 0
    assert world.output("count", "c.txt") == "0 1 2"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("--again", "train", "--force"), "one of --force and --again can be given"),
        (("--again", "trian"), "there is no run, group, stage or job 'trian'"),
    ],
)
def test_mistakes_are_told(world: World, argv: tuple[str, ...], told: str) -> None:
    world.realize(CHOOSING)
    done = world.repx("run", *argv)
    assert done.status == 2
    assert told in done.stderr
    assert world.entries() == {}

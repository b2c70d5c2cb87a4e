"""Jobs that are tried again: after which ends, how often, with how much more, and what is kept of each attempt."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest

from tests.runtime.world import World, a_world

__all__ = ["a_world"]


def stages(retries: str, body: str, more: str = "") -> str:
    """An experiment of one stage."""
    return f"""
@bash(retries={retries}{more})
def work(result: Output = out("r.txt")):
    return {body!r}

lab = Lab(runs=[Run("run", work)])
"""


ONCE_MORE = 'echo try >> DIARY; n=$(wc -l < DIARY); echo "number $n"; '
"""What counts attempts in the diary."""


def test_an_exit_status_that_is_named_is_tried_again_and_every_attempt_kept(world: World) -> None:
    world.realize(stages("Retry(times=3, on=75)", ONCE_MORE + '[ "$n" -ge 3 ] || exit 75; echo "$n" > "$result"'))
    done = world.run()
    assert (done.status, done.answer["succeeded"], done.answer["retried"]) == (0, 1, 1), done.stderr
    assert world.output("work", "r.txt") == "3\n"
    assert [(one.exit, one.stdout) for one in world.attempts("work")] == [
        (75, "number 1\n"),
        (75, "number 2\n"),
        (0, "number 3\n"),
    ]
    assert world.repx("log", "work", "--attempt", "2").stdout == "number 2\n"
    shown = world.repx("show", "job", "work", "--json").answer
    assert [one["exit"] for one in shown["earlier"]] == [75, 75]
    told = world.repx("show", "job", "work").stdout
    assert "attempt 3" in told
    assert "exit status 75" in told


def test_a_job_fails_when_its_retries_are_spent(world: World) -> None:
    world.realize(stages("2", ONCE_MORE + "exit 4"))
    done = world.run()
    assert (done.status, done.answer["failures"][0]["exit"]) == (1, 4)
    assert len(world.attempts("work", "failure.jsonl")) == 3
    assert "(attempt 3): exit status 4\n" in world.repx("run").stdout
    assert world.entries() == {"try": 6}, "another run tries it as often again, and keeps what was before"
    assert len(world.attempts("work", "failure.jsonl")) == 6


@pytest.mark.parametrize(
    ("retries", "ending"),
    [
        ("Retry(times=3, on=75)", "exit 1"),
        ('Retry(times=3, on=("oom", "timeout", "lost"))', "exit 75"),
        ("3", ": no output"),
        ("0", "exit 75"),
    ],
)
def test_an_end_that_is_not_named_is_tried_once(world: World, retries: str, ending: str) -> None:
    world.realize(stages(retries, ONCE_MORE + ending))
    done = world.run()
    assert (done.status, done.answer["retried"]) == (1, 0)
    assert world.entries() == {"try": 1}


def test_a_signal_counts_as_the_status_that_a_shell_would_give_it(world: World) -> None:
    world.realize(
        stages("Retry(times=1, on=128 + 9)", ONCE_MORE + '[ "$n" -ge 2 ] || kill -9 $$; echo "$n" > "$result"')
    )
    assert world.run().status == 0
    assert [one.signal for one in world.attempts("work")] == [9, None]


def test_a_timeout_is_tried_again_with_twice_the_time(world: World) -> None:
    body = 'sleep 1.5; echo > "$result"'
    world.realize(stages('Retry(times=1, on="timeout")', body, ', resources=Resources(time="1s")'))
    done = world.run()
    assert done.status == 0, done.stderr
    first, second = world.attempts("work")
    assert (first.cause, first.detail, second.cause) == ("timeout", "stopped after its time limit of 1 s", "")
    assert second.end - second.start > 1


def test_time_does_not_grow_for_another_cause(world: World) -> None:
    body = ONCE_MORE + '[ "$n" -ge 2 ] || exit 75; sleep 60'
    world.realize(stages("Retry(times=1, on=75)", body, ', resources=Resources(time="1s")'))
    assert world.run().status == 1
    _, second = world.attempts("work", "failure.jsonl")
    assert second.detail == "stopped after its time limit of 1 s"


def test_a_lost_worker_costs_a_retry_and_leaves_an_attempt(world: World) -> None:
    body = 'echo "$$" >> DIARY; n=$(wc -l < DIARY); [ "$n" -ge 4 ] || sleep 60; echo "$n" > "$result"'
    world.realize(stages('Retry(times=3, on="lost")', body))
    command = world.start("run", "--json", "-j", "1")
    for number in (1, 2, 3):
        world.wait_until(partial(_has_entries, world, number))
        (worker,) = world.workers()
        os.kill(worker, signal.SIGKILL)
    done = command.end()
    assert done.status == 0, done.stderr
    assert [one.cause for one in world.attempts("work")] == ["worker", "worker", "worker", ""]
    assert all(one.end >= one.start > 0 and one.host for one in world.attempts("work"))


def _has_entries(world: World, number: int) -> bool:
    return sum(world.entries().values()) == number


def test_an_interrupt_ends_a_job_that_would_be_tried_again(world: World) -> None:
    world.realize(stages("100", "echo try >> DIARY; sleep 0.1; exit 1"))
    command = world.start("run")
    world.wait_until(lambda: world.entries()["try"] >= 2)
    command.send(signal.SIGINT)
    assert command.end().status == 130
    assert world.entries()["try"] < 50
    assert world.processes() == {}


def test_many_short_jobs_are_tried_again_while_others_are_given_ahead(world: World) -> None:
    world.realize(
        """
@bash(retries=Retry(times=1, on=75))
def work(result: Output = out("r.txt"), *, n: int):
    return 'echo "$n" >> DIARY; [ "$(grep -cx "$n" DIARY)" -ge 2 ] || [ $((n % 3)) = 0 ] || exit 75; echo > "$result"'

lab = Lab(runs=[Run("run", work, params={"n": list(range(40))})])
"""
    )
    done = world.run("-j", "2")
    assert (done.status, done.answer["succeeded"], done.answer["retried"]) == (0, 40, 26), done.stderr
    assert world.entries() == {str(n): 2 if n % 3 else 1 for n in range(40)}


def test_another_run_that_waits_for_a_job_gets_what_its_retries_make(world: World) -> None:
    world.realize(stages("3", ONCE_MORE + 'sleep 0.3; [ "$n" -ge 3 ] || exit 75; echo "$n" > "$result"'))
    first = world.start("run", "--json")
    world.wait_for_entry("try")
    second = world.start("run", "--json")
    assert (first.end().status, second.end().status) == (0, 0)
    assert world.entries() == {"try": 3}


def test_retries_are_no_part_of_what_a_job_is(world: World) -> None:
    body = 'echo try >> DIARY; echo > "$result"'
    for retries in ("0", "2", "Retry(times=5, on=75)"):
        world.realize(stages(retries, body))
        assert world.run().status == 0
    assert world.entries() == {"try": 1}


def test_the_parts_of_a_scatter_gather_have_retries_of_their_own(world: World) -> None:
    flaky = 'echo {0} >> DIARY; [ "$(grep -cx {0} DIARY)" -ge 2 ] || exit 75; '
    world.realize(
        f"""
@bash(retries=1)
def split(items: Output = out("items.json")):
    return {flaky.format("split") + "echo '[1]' > " + '"$items"'!r}

@bash(retries=1)
def step(item: WorkItem, one: Output = out("one.txt")):
    return {flaky.format("step") + 'echo > "$one"'!r}

@bash(retries=1)
def join(one: Inputs, all: Output = out("all.txt")):
    return {flaky.format("join") + 'echo > "$all"'!r}

@scatter_gather(scatter=split, gather=join)
def whole(item: WorkItem):
    return step(item=item)

lab = Lab(runs=[Run("run", whole)])
"""
    )
    done = world.run()
    assert done.status == 0, done.stderr
    assert world.entries() == {"split": 2, "step": 2, "join": 2}


@pytest.mark.parametrize(
    ("retries", "headline"),
    [
        ("-1", "retries: -1 is not a number from 1 to 100"),
        ("True", "retries of stage 'work' is True"),
        ("'oom'", "retries of stage 'work' is 'oom'"),
        ("Retry(times=0)", "retries: 0 is not a number from 1 to 100"),
        ("Retry(times=1, on=())", "retries: on is ()"),
        ("Retry(times=1, on=0)", "retries: 0 is not an end after which a job can be tried again"),
        ("Retry(times=1, on='oomm')", "retries: 'oomm' is not an end after which a job can be tried again"),
        ("Retry(times=1, on=(True,))", "retries: True is not an end after which a job can be tried again"),
    ],
)
def test_what_cannot_be_retries_is_refused(world: World, retries: str, headline: str) -> None:
    world.write(stages(retries, "true"))
    done = world.repx("realize", "experiment.py")
    assert done.status != 0
    assert headline in done.stderr
    assert "Traceback" not in done.stderr

"""Two commands on one store at once: each job runs exactly once, and both see all of it."""

from __future__ import annotations

import os
import re
import signal

from tests.runtime.test_crash import MIXED
from tests.runtime.world import World, a_world

__all__ = ["a_world"]


def test_each_job_runs_once(world: World) -> None:
    world.realize(MIXED)
    commands = [world.start("run", "--json", "-j", "2") for _ in range(2)]
    first, second = (command.end() for command in commands)
    assert first.status == 0, first.stderr
    assert second.status == 0, second.stderr
    assert set(world.entries().values()) == {1}
    jobs = len(world.job_directories())
    assert jobs == len(world.entries())
    # Two units of equal steps would be counted twice; here all differ.
    assert first.answer["jobs"] == second.answer["jobs"] == jobs
    assert 2 * jobs - first.answer["found"] - second.answer["found"] == jobs
    assert list((world.store / "tmp").iterdir()) == []


def test_a_failure_in_one_is_a_failure_in_the_other(world: World) -> None:
    world.realize(
        """
@bash
def fails(result: Output = out("r.txt")):
    return 'echo fails >> DIARY; sleep 1; exit 7'

lab = Lab(runs=[Run("work", fails)])
"""
    )
    first = world.start("run", "--json")
    world.wait_for_entry("fails")
    second = world.run()
    assert first.end().status == 1
    assert second.status == 1
    assert second.answer["failures"][0]["cause"] == "it failed in another run on this store"
    assert world.entries() == {"fails": 1}


def test_so_it_is_for_a_further_realization(world: World) -> None:
    world.realize(
        """
@bash(realizations=2)
def fails(result: Output = out("r.txt"), *, index: int = 0):
    return 'echo "fails $index" >> DIARY; echo > "$result"; [ "$index" = 0 ] || { sleep 1; exit 7; }'

lab = Lab(runs=[Run("work", fails)])
"""
    )
    first = world.start("run", "--json")
    world.wait_for_entry("fails 1")
    second = world.run()
    assert first.end().status == 1
    assert second.answer["failures"][0]["cause"] == "it failed in another run on this store"
    assert world.entries() == {"fails 0": 1, "fails 1": 1}


def test_who_waits_says_for_what_and_for_whom(world: World) -> None:
    world.realize(
        """
@bash
def slow(result: Output = out("r.txt"), *, n: int):
    return 'echo "$n" >> DIARY; sleep 4; echo > "$result"'

lab = Lab(runs=[Run("work", slow, params={"n": [1, 2]})])
"""
    )
    first = world.start("run", "-j", "2")
    world.wait_for_entry("1")
    world.wait_for_entry("2")
    second = world.start("run", "-j", "2").end()
    assert (first.end().status, second.status, second.stdout) == (0, 0, "all 2 jobs are done; nothing to run\n")
    told = sorted(second.stderr.splitlines())
    pattern = rf"waiting for slow\[n=%d\] [0-9a-z]{{12}}, run by {re.escape(os.uname().nodename)}/{first.pid} for \d+ s"
    assert len(told) == 2, told
    for n, line in enumerate(told, 1):
        assert re.fullmatch(pattern % n, line)
    assert world.entries() == {"1": 1, "2": 1}


def test_who_waits_takes_over_from_the_dead(world: World) -> None:
    world.realize(
        """
@bash
def slow(result: Output = out("r.txt")):
    return '''echo slow >> DIARY; trap '' TERM; for _ in $(seq 30); do sleep 0.1; done; echo > "$result" '''

lab = Lab(runs=[Run("work", slow)])
"""
    )
    first = world.start("run", "--json")
    world.wait_for_entry("slow")
    (worker,) = world.workers()
    second = world.start("run", "--json")
    first.send(signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    world.wait_until(lambda: world.entries()["slow"] == 2)
    first.send(signal.SIGKILL)
    first.end()
    done = second.end()
    assert done.status == 0, done.stderr
    assert world.entries() == {"slow": 2}
    assert world.processes() == {}

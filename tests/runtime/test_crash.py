"""`repx run` killed at any moment: what had finished is kept, and the same command goes on to the same end."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from repx.agent.processes import start_time
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

MIXED = '''
@bash
def leaf(result: Output = out("r.txt"), *, n: int = 0):
    return """echo "leaf $n" >> DIARY; sleep "0.$((n % 3))5"; echo "leaf $n" > "$result" """

@bash
def link(before: Input, result: Output = out("r.txt")):
    return """text="$(<"$before")+"; echo "$text" >> DIARY; sleep 0.01; echo "$text" > "$result" """

@bash
def fan_in(parts: Inputs, result: Output = out("r.txt")):
    return """echo fan_in >> DIARY; cat "${parts[@]}" | tr '\\n' ' ' > "$result" """

@bash
def split(first: Input, items: Output = out("items.json")):
    return """echo split >> DIARY; echo '[1, 2, 3, 4, 5, 6]' > "$items" """

@bash
def double(item: WorkItem, twice: Output = out("r.txt")):
    return """echo "double $(<"$item")" >> DIARY; sleep 0.02; echo $((2 * $(<"$item"))) > "$twice" """

@bash
def square(twice: Input, result: Output = out("r.txt")):
    return """n="$(<"$twice")"; echo "square $n" >> DIARY; echo $((n * n)) > "$result" """

@bash
def collect(results: Inputs, total: Output = out("total.txt")):
    return """echo collect >> DIARY; sleep 0.02; cat "${results[@]}" > "$total" """

@scatter_gather(scatter=split, gather=collect)
def squares(item: WorkItem):
    return square(double(item=item))

def leaves():
    leaf()

def work():
    made = [leaf(n=n) for n in range(14)]
    total = fan_in(parts=[one.result for one in made])
    end = link(before=total.result)
    for _ in range(6):
        end = link(before=end.result)
    squares(first=made[0].result)

lab = Lab(runs=[Run("work", work), Run("leaves", leaves, params={"leaf.n": list(range(10, 20))})])
'''

SLOTS = 3


def finish(world: World) -> None:
    """The same command to its end: everything is done, and nothing of the dead is left."""
    done = world.run("-j", str(SLOTS))
    assert done.status == 0, done.stderr
    # A worker of a dead runner may still be ending its job.
    world.wait_until(lambda: not list((world.store / "tmp").iterdir()))
    left = [
        path for job in world.job_directories() for path in job.iterdir() if path.name not in ("out", "record.jsonl")
    ]
    assert left == []
    again = world.run("-j", str(SLOTS))
    assert again.answer["found"] == again.answer["jobs"] == len(world.job_directories())
    assert world.processes() == {}


@pytest.mark.slow
def test_ten_kills_at_random_moments_five_times(world: World) -> None:
    world.realize(MIXED)
    finish(world)
    expected, jobs = world.outputs(), set(world.entries())
    assert set(world.entries().values()) == {1}
    for seed in range(5):
        world.forget()
        chance = random.Random(seed)
        kills = 0
        for _ in range(10):
            command = world.start("run", "-j", str(SLOTS))
            time.sleep(chance.uniform(0.0, 0.3))
            kills += command.poll() is None
            command.send(signal.SIGKILL)
            command.end()
        assert kills > 5
        finish(world)
        assert world.outputs() == expected
        assert set(world.entries()) == jobs
        assert sum(world.entries().values()) - len(jobs) <= kills * SLOTS
        assert max(world.entries().values()) <= 1 + kills


def test_a_killed_group(world: World) -> None:
    world.realize(MIXED)
    command = world.start("run", group=True)
    world.wait_for_entry("fan_in")
    workers = world.workers()
    assert workers
    os.killpg(command.pid, signal.SIGKILL)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    command.end()
    finish(world)
    assert sum(world.entries().values()) <= len(world.entries()) + len(workers)


def test_what_hides_from_a_killed_run_does_not_survive_the_next(world: World) -> None:
    """A session of its own, no environment, no parent: it can be told by its control group, or by a supervisor."""
    world.realize(
        """
@stage(packages=["python3"])
def hides(result: Output = out("r.txt")):
    import os, subprocess, time
    if os.path.exists("TOLD"):
        result.write_text("")
        return
    code = "import os, time; os.setsid(); os.fork() and os._exit(0); os.chdir('/'); "
    code += "open('TOLD', 'w').write(str(os.getpid())); time.sleep(300)"
    subprocess.Popen([os.path.realpath("/proc/self/exe"), "-S", "-c", code], env={}).wait()
    while not os.path.exists("TOLD") or not os.path.getsize("TOLD"):
        time.sleep(0.01)
    with open("DIARY", "a") as diary:
        diary.write("hidden\\n")
    time.sleep(300)

lab = Lab(runs=[Run("work", hides)])
""".replace("TOLD", str(world.root / "told"))
    )
    command = world.start("run")
    world.wait_for_entry("hidden")
    hidden = int((world.root / "told").read_text())
    (worker,) = world.workers()
    command.send(signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    command.end()
    done = world.run()
    assert done.status == 0, done.stderr
    world.wait_until(lambda: start_time(hidden) == 0)


@pytest.mark.parametrize("moment", ["leaf 3", "fan_in", "double 5", "collect"])
def test_a_killed_worker(world: World, moment: str) -> None:
    world.realize(MIXED)
    command = world.start("run", "--json", "-j", "2")
    world.wait_for_entry(moment)
    os.kill(world.workers()[-1], signal.SIGKILL)
    done = command.end()
    assert done.status == 0, done.stderr
    assert sum(world.entries().values()) <= len(world.entries()) + 1
    again = world.run()
    assert again.answer["found"] == again.answer["jobs"]
    finish(world)


def test_a_job_that_kills_its_worker_fails(world: World) -> None:
    world.realize(
        """
@bash
def killer(result: Output = out("r.txt")):
    return 'echo killer >> DIARY; kill -9 $PPID; sleep 60'

@bash
def other(result: Output = out("r.txt")):
    return 'echo > "$result"'

def work():
    killer()
    other()

lab = Lab(runs=[Run("work", work)])
"""
    )
    done = world.run("--continue-on-failure")
    assert done.status == 1
    assert done.answer["failures"][0]["cause"] == "its worker was killed"
    assert done.answer["succeeded"] == 1
    assert world.entries() == {"killer": 2}
    assert world.processes() == {}
    assert list((world.store / "tmp").iterdir()) == []


def test_of_quick_jobs_the_one_that_kills_its_worker_fails_and_no_other(world: World) -> None:
    world.realize(
        """
@bash
def quick(result: Output = out("r.txt"), *, number: int):
    return 'if ((number == 20)); then echo killer >> DIARY; kill -9 $PPID; sleep 60; fi; echo > "$result"'

lab = Lab(runs=[Run("work", quick, params={"number": range(40)})])
"""
    )
    done = world.run("--continue-on-failure", "-j", "1")
    assert [failure["cause"] for failure in done.answer["failures"]] == ["its worker was killed"]
    assert done.answer["succeeded"] == 39
    # Once with others, and then as often as any that has cost a worker its life.
    assert world.entries()["killer"] in (2, 3)


def test_no_job_waits_behind_one_that_lasts_while_a_worker_is_free(world: World) -> None:
    world.realize(
        """
@bash
def job(result: Output = out("r.txt"), *, number: int):
    return 'if ((number == 20)); then until [[ -e GO ]]; do sleep 0.02; done; fi; echo ran >> DIARY; echo > "$result"'

lab = Lab(runs=[Run("work", job, params={"number": range(60)})])
""".replace("GO", str(world.root / "go"))
    )
    command = world.start("run", "-j", "2")
    world.wait_until(lambda: world.entries()["ran"] == 59)
    (world.root / "go").touch()
    assert command.end().status == 0

"""Ctrl-C and SIGTERM: nothing of a job is left, what had finished is kept, the exit status says so."""

from __future__ import annotations

import os
import signal

import pytest

from tests.runtime.world import World, a_world

__all__ = ["a_world"]

STUBBORN = """
@bash
def quick(result: Output = out("r.txt")):
    return 'echo quick >> DIARY; echo quickly > "$result"'

@bash
def stubborn(before: Input, result: Output = out("r.txt")):
    return '''trap '' TERM INT
(trap '' TERM; sleep 300) &
echo stubborn >> DIARY
while true; do sleep 0.1; done'''

@bash(packages=["setsid"])
def daemon(before: Input, result: Output = out("r.txt")):
    return '''setsid sleep 300 > /dev/null 2>&1 &
echo daemon >> DIARY
sleep 300'''

def work():
    made = quick()
    stubborn(before=made.result)
    daemon(before=made.result)

lab = Lab(runs=[Run("work", work)])
"""


def test_stopped_by_a_signal(world: World) -> None:
    world.realize(STUBBORN)
    command = world.start("run", "-j", "2")
    world.wait_for_entry("stubborn")
    world.wait_for_entry("daemon")
    command.send(signal.SIGINT)
    done = command.end()
    assert done.status == 130
    assert "interrupted" in done.stderr
    assert world.processes() == {}
    assert list((world.store / "tmp").iterdir()) == []
    assert world.output("quick", "r.txt") == "quickly\n"
    assert world.outcome("quick").state == "succeeded"
    for stage in ("stubborn", "daemon"):
        (directory,) = world.job_directories(stage)
        assert sorted(place.name for place in directory.iterdir()) == ["failed", "failure.jsonl"]
    assert world.run("quick").answer["found"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group(world: World, number: signal.Signals) -> None:
    world.realize(STUBBORN)
    command = world.start("run", "daemon", group=True)
    world.wait_for_entry("daemon")
    os.killpg(command.pid, number)
    assert command.end().status == 130
    assert world.processes() == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_lab_is_made(world: World, number: signal.Signals) -> None:
    world.write(
        "import time\n(here / 'loading').touch()\ntime.sleep(60)\n".replace(
            "here", f"__import__('pathlib').Path({str(world.root)!r})"
        )
    )
    command = world.start("run", "experiment.py")
    world.wait_until((world.root / "loading").exists)
    command.send(number)
    assert command.end().status == 130
    assert world.processes() == {}


def test_a_failure_lets_what_runs_finish(world: World) -> None:
    world.realize(
        """
@bash
def fails(result: Output = out("r.txt")):
    return 'sleep 0.1; exit 3'

@bash
def slow(result: Output = out("r.txt")):
    return 'sleep 0.4; echo slow >> DIARY; echo > "$result"'

@bash
def never(before: Input, result: Output = out("r.txt")):
    return 'echo never >> DIARY'

def work():
    fails()
    never(before=slow())

lab = Lab(runs=[Run("work", work)])
"""
    )
    done = world.run("-j", "2")
    assert done.status == 1
    assert world.entries() == {"slow": 1}
    assert (done.answer["succeeded"], done.answer["failed"], done.answer["cancelled"]) == (1, 1, 1)
    assert done.answer["failures"][0]["exit"] == 3
    assert world.processes() == {}

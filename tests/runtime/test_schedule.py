"""The schedule: never more than there is, in order, and nobody starves; first by itself, then with real jobs."""

from __future__ import annotations

import os
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from repx.agent.base.record import decode_attempts
from repx.runtime.executors.schedule import Schedule
from repx.runtime.needs import Needs
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

units = st.lists(st.tuples(st.integers(0, 2), st.builds(Needs, st.integers(1, 6), st.integers(1, 12))), max_size=12)


@settings(max_examples=30)
@given(units, st.integers(1, 5), st.integers(1, 4), st.integers(1, 8), st.data())
def test_never_more_than_there_is_and_everybody_once(
    given_units: list[tuple[int, Needs]], slots: int, cpus: int, mem: int, data: st.DataObject
) -> None:
    schedule = Schedule(slots, cpus, mem)
    waiting = list(enumerate(given_units))
    running: dict[int, Needs] = {}
    started: list[int] = []
    while waiting or running or len(schedule):
        # Where nothing runs, only an arrival goes on.
        arrive = bool(waiting) and (not running or data.draw(st.booleans()))
        if arrive:
            number, (run, needs) = waiting.pop(0)
            schedule.add(number, run, needs)
        while (unit := schedule.next()) is not None:
            running[unit] = given_units[unit][1]
            started.append(unit)
            assert len(running) <= slots
            if len(running) > 1:
                assert sum(needs.cpus for needs in running.values()) <= cpus
                assert sum(needs.mem for needs in running.values()) <= mem
        assert schedule.running == len(running)
        # Whatever waits does so for a reason: something runs.
        assert running or not len(schedule)
        if running and not arrive:
            ended = data.draw(st.sampled_from(sorted(running)))
            schedule.release(running.pop(ended))
    assert sorted(started) == list(range(len(given_units)))


@given(st.lists(st.integers(0, 3), max_size=20))
def test_by_run_and_then_as_they_became_ready(runs: list[int]) -> None:
    schedule = Schedule(1, 4, 100)
    for number, run in enumerate(runs):
        schedule.add(number, run, Needs(1 + number % 2, 1))
    order = []
    while (unit := schedule.next()) is not None:
        order.append((runs[unit], unit))
        schedule.release(Needs(1 + unit % 2, 1))
    assert order == sorted(order)


def test_a_large_unit_is_not_overtaken_for_ever() -> None:
    schedule = Schedule(2, 2, 10)
    small, large = Needs(1, 1), Needs(2, 1)
    schedule.add(0, 0, small)
    assert schedule.next() == 0
    schedule.add(1, 0, large)
    started = []
    running = [small]
    # Small ones keep coming, each as another one ends.
    for number in range(2, 60):
        schedule.add(number, 0, small)
        while (unit := schedule.next()) is not None:
            started.append(unit)
            running.append(large if unit == 1 else small)
        if 1 in started:
            break
        schedule.release(running.pop(0))
    assert 1 in started


def test_ahead_goes_only_what_takes_the_place_of_its_like() -> None:
    schedule = Schedule(1, 2, 10)
    for number in range(3):
        schedule.add(number, 0, Needs(1, 5))
    assert schedule.next() == 0
    assert schedule.ahead(Needs(2, 5)) is None
    assert schedule.ahead(Needs(1, 5)) == 1
    assert schedule.running == 1, "what goes ahead is counted when it begins"
    schedule.release(Needs(1, 5))
    schedule.take(Needs(1, 5))
    assert (schedule.running, schedule.next()) == (1, None)
    schedule.add(3, 0, Needs(2, 5))
    assert schedule.ahead(Needs(1, 5)) is None, "whose turn it is will be seen when there is room"


def test_what_waits_can_be_taken_out() -> None:
    schedule = Schedule(1, 1, 1)
    for number in range(3):
        schedule.add(number, 0, Needs(1, number + 1))
    assert schedule.next() == 0
    assert sorted(schedule.drain()) == [1, 2]
    assert (len(schedule), schedule.next()) == (0, None)


def spans(world: World, stage: str) -> list[tuple[float, float]]:
    """When the jobs of a stage ran."""
    found: list[tuple[float, float]] = []
    for directory in world.job_directories(stage):
        attempt = decode_attempts((directory / "record.jsonl").read_bytes())[-1]
        found.append((attempt.start, attempt.end))
    return sorted(found)


def overlap(spans: list[tuple[float, float]]) -> bool:
    return any(first[1] > second[0] for first, second in pairwise(spans))


SHARES = """
@bash(resources=Resources(RESOURCES))
def share(result: Output = out("r.txt"), *, n: int = 0):
    return 'sleep 0.2; echo "$n $OMP_NUM_THREADS" > "$result"'

lab = Lab(runs=[Run("work", share, params={"n": [1, 2, 3]})])
"""


def test_two_jobs_do_not_get_more_memory_than_there_is(world: World) -> None:
    world.realize(SHARES.replace("RESOURCES", 'mem="600M"'))
    assert world.run("-j", "3", "--mem", "1000M").status == 0
    assert not overlap(spans(world, "share"))
    world.forget()
    assert world.run("-j", "3", "--mem", "2000M").status == 0
    assert overlap(spans(world, "share"))


def test_a_job_that_asks_for_more_than_there_is_runs_alone(world: World) -> None:
    world.realize(SHARES.replace("RESOURCES", 'mem="6T", cpus=3'))
    assert world.run("-j", "3", "--mem", "1000M").status == 0
    assert not overlap(spans(world, "share"))
    texts = sorted(text for text in world.outputs().values())
    assert texts == ["1 3\n", "2 3\n", "3 3\n"]


def test_two_jobs_do_not_get_more_cpus_than_there_are(world: World) -> None:
    world.realize(SHARES.replace("RESOURCES", 'cpus=2, mem="1M"'))
    # As many cpus as the machine has, or as jobs were asked for at once, if that is more.
    assert world.run("-j", "3").status == 0
    assert overlap(spans(world, "share")) is (len(os.sched_getaffinity(0)) >= 4)

"""The bill of a dry run: estimates from earlier attempts, and what is adopted, as the run that follows does it."""

from __future__ import annotations

import math

import pytest

from repx.runtime.bill import Bill, Sample, StageEstimate, estimate
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

CHAIN = """
@bash
def make(data: Output = out("d.txt"), *, n: int = 0):
    return 'echo "$((n % 2))" > "$data"'

@bash
def double(data: Input, result: Output = out("r.txt")):
    return 'echo "$(( 2 * $(< "$data") ))" > "$result"'

def work():
    double(data=make().data)

lab = Lab(runs=[Run("work", work, params={"n": [1, 2]})])
"""


def test_a_stage_is_estimated_by_the_mean_of_its_attempts_with_their_spread() -> None:
    found = estimate("train", 10, [Sample(1.0, 100, 4), Sample(3.0, 300, 6), Sample(None, 200, 5)])
    assert found == StageEstimate("train", 10, 2, 2.0, math.sqrt(2), 2000, 50)
    bill = Bill(0, 0, 10, (found,))
    assert (bill.work_s, bill.bytes, bill.inodes, bill.unknown) == (20.0, 2000, 50, {})
    # Ten jobs vary by 10 s², and the mean of two attempts by 100 s² / 2.
    assert bill.work_spread_s == pytest.approx((2 * 10 + 2 * 100 / 2) ** 0.5)


def test_nothing_is_claimed_of_a_stage_that_never_ran_nor_of_the_spread_of_one_attempt() -> None:
    new, once = estimate("new", 3, []), estimate("once", 2, [Sample(1.0, 10, 4)])
    assert (new.mean_s, new.spread_s, new.bytes) == (None, None, None)
    bill = Bill(1, 0, 5, (new, once))
    assert (bill.work_s, bill.work_spread_s, bill.unknown) == (2.0, None, {"new": 3})
    assert Bill(1, 0, 3, (new,)).work_s is None


def test_the_bill_of_an_edited_experiment_is_what_the_run_does(world: World) -> None:
    world.realize(CHAIN)
    before = world.repx("run", "--dry-run").stdout
    assert "not known: no earlier attempt" in before
    assert world.run().status == 0
    world.realize(CHAIN.replace("[1, 2]", "[1, 2, 3, 4]").replace("n % 2", "(n) % 2"))
    plan = world.repx("run", "--dry-run", "--json").answer
    assert (plan["bill"]["reused"], plan["bill"]["adopted"], plan["bill"]["run"]) == (0, 0, 8)
    assert [one["attempts"] for one in plan["bill"]["stages"]] == [2, 2]
    assert plan["bill"]["work_s"] > 0
    assert plan["bill"]["inodes"] == 8 * 4
    assert any("its script changed" in line for line in plan["changes"])
    assert world.run("make").status == 0
    plan = world.repx("run", "--dry-run", "--json").answer
    assert (plan["bill"]["reused"], plan["bill"]["adopted"], plan["bill"]["run"]) == (4, 4, 0)
    done = world.run().answer
    assert (done["found"], done["adopted"]) == (4, 4)
    assert world.repx("run", "--dry-run").stdout == "all 8 jobs are done; nothing to run\n"


def test_forced_jobs_adopt_nothing(world: World) -> None:
    world.realize(CHAIN)
    assert world.run().status == 0
    bill = world.repx("run", "--dry-run", "--force", "--json").answer["bill"]
    assert (bill["adopted"], bill["run"]) == (0, 4)

"""A job that several runs share stands as `run` would treat it, whichever of them it is asked through."""

from __future__ import annotations

from tests.runtime.world import World, a_world

__all__ = ["a_world"]

SHARED = """
@bash
def fails(result: Output = out("r.txt")):
    return 'echo fails >> DIARY; exit 3'

@bash
def shared(result: Output = out("r.txt")):
    return 'echo shared >> DIARY; echo > "$result"'

first = Run("first", fails)
lab = Lab(runs=[first, Run("late", shared, after=[first]), Run("open", shared)])
"""


def test_what_one_run_holds_up_and_another_lets_go_is_pending(world: World) -> None:
    world.realize(SHARED)
    assert world.run("first").status == 1
    for names in ([], ["late"], ["open"]):
        (job,) = world.repx("list", "jobs", "--json", "--stage", "shared", *names).answer
        assert job["status"] == "pending"
    total = world.repx("status", "--json").answer["total"]
    assert (total["failed"], total["pending"], total["blocked"]) == (1, 1, 0)
    assert world.run("--continue-on-failure").answer["succeeded"] == 1
    assert world.entries() == {"fails": 2, "shared": 1}

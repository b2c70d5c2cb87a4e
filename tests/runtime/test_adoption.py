"""Early cut-off: a job whose inputs have the bytes of another's takes its result; what may not be taken is not."""

from __future__ import annotations

from repx.agent.base.files import remove_tree
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

CHAIN = """
from repx import *
@bash
def make(data: Output = out("data.txt"), *, n: int = 1):
    return 'echo "make $n" >> DIARY; MADE > "$data"'
@bash(OPTIONS)
def use(data: Input, text: Output = out("text.txt")):
    return 'echo use >> DIARY; date +%s%N | cat "$data" - > "$text"'
@bash
def end(text: Input, last: Output = out("last.txt")):
    return 'echo end >> DIARY; cat "$text" > "$last"'
lab = Lab([Run("r", lambda: end(use(make())))])
"""


OTHERWISE = "seq 7 7"


def chain(made: str, options: str = "") -> str:
    return CHAIN.replace("MADE", made).replace("OPTIONS", options)


def shown(world: World, stage: str, output: str) -> str:
    """What an output holds of the one job of a stage that the Lab has."""
    done = world.repx("show", "output", stage, output)
    assert done.status == 0, done.stderr
    return done.stdout


def test_a_rewritten_job_with_the_same_output_runs_alone(world: World) -> None:
    world.realize(chain("echo 7"))
    assert world.run().status == 0
    first = shown(world, "end", "last")
    world.realize(chain(OTHERWISE))
    done = world.run()
    assert done.answer["adopted"] == 2
    assert world.entries() == {"make 1": 2, "use": 1, "end": 1}
    assert shown(world, "end", "last") == first
    # Again, and as ever: what was adopted is done.
    done = world.run()
    assert done.answer["found"] == done.answer["jobs"]
    assert "which had the same inputs" in world.repx("show", "job", "end").stdout
    assert "its log: repx log" in world.repx("log", "end").stderr


def test_what_takes_more_than_its_key_says_is_run(world: World) -> None:
    world.realize(chain("echo 7", "impure=True"))
    assert world.run().status == 0
    world.realize(chain(OTHERWISE, "impure=True"))
    world.run()
    # What it makes differs each time, so that its consumer runs as well.
    assert world.entries() == {"make 1": 2, "use": 2, "end": 2}


def test_what_was_forced_neither_adopts_nor_serves(world: World) -> None:
    world.realize(chain("echo 7"))
    assert world.run("--force").status == 0
    world.realize(chain(OTHERWISE))
    assert world.run().answer["adopted"] == 0
    assert world.entries() == {"make 1": 2, "use": 2, "end": 2}


def test_an_adopted_result_stays_when_the_other_is_made_anew_or_removed(world: World) -> None:
    world.realize(chain("echo 7"))
    assert world.run().status == 0
    old = {path.name for path in (world.store / "outputs").iterdir()}
    world.realize(chain(OTHERWISE))
    assert world.run().status == 0
    kept = shown(world, "use", "text")
    for name in old:
        remove_tree(str(world.store / "outputs" / name))
    assert shown(world, "use", "text") == kept
    done = world.run()
    assert done.answer["found"] == done.answer["jobs"]


def test_a_key_whose_result_is_gone_is_served_by_the_next(world: World) -> None:
    world.realize(chain("echo 7"))
    assert world.run().status == 0
    for path in (world.store / "outputs").iterdir():
        remove_tree(str(path))
    world.realize(chain(OTHERWISE))
    assert world.run().answer["adopted"] == 0
    world.realize(chain("seq 7 1 7"))
    assert world.run().answer["adopted"] == 2


def test_a_damaged_key_adopts_nothing(world: World) -> None:
    world.realize(chain("echo 7"))
    assert world.run().status == 0
    for place in (world.store / "keys").iterdir():
        # A copy first: it is one file with the record.
        data = place.read_bytes()
        place.unlink()
        place.write_bytes(data[: len(data) // 3])
    world.realize(chain(OTHERWISE))
    done = world.run()
    assert (done.status, done.answer["adopted"]) == (0, 0)

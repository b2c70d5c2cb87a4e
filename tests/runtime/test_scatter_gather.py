"""Scatter-gather at run time: items decide what runs; each step of each item is kept by itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from repx.agent.base.layout import Store
from repx.agent.base.record import decode_fingerprint
from repx.agent.lab.format import ITEMS_BYTES_LIMIT, ITEMS_LIMIT
from repx.agent.stage_lines import read_stage_lines
from tests.runtime.world import World, a_world, tree

__all__ = ["a_world"]

SCATTER = """
@bash
def split(seed: Output = out("seed.txt"), items: Output = out("items.json")):
    return 'echo split >> DIARY; echo sown > "$seed"; cat ITEMS > "$items"'

@bash
def extract(item: WorkItem, text: Output = out("t.txt")):
    return 'echo "extract $(cat "$item")" >> DIARY; cat "$item" > "$text"'

@bash
def check(text: Input, result: Output = out("r.txt")):
    return 'echo "check $(cat "$text")" >> DIARY; [ ! -e "BAD$(cat "$text")" ]; cat "$text" > "$result"'

@bash
def gather(results: Inputs, seed: Input, total: Output = out("total.txt")):
    return 'echo gather >> DIARY; { cat "$seed"; cat /dev/null "${results[@]}"; } > "$total"'

@scatter_gather(scatter=split, gather=gather)
def checked(item: WorkItem):
    return check(extract(item=item))

@bash
def use(total: Input, lines: Output = out("n.txt")):
    return 'echo use >> DIARY; cat "$total" > "$lines"'

lab = Lab(runs=[Run("work", lambda: use(checked()))])
"""


def items(world: World, listed: Any) -> None:
    (world.root / "items").write_text(listed if isinstance(listed, str) else json.dumps(listed))


def realize(world: World, listed: Any) -> None:
    items(world, listed)
    world.realize(SCATTER.replace("ITEMS", str(world.root / "items")).replace("BAD", str(world.root / "bad-")))


def again(world: World, listed: Any) -> None:
    """Another list of items; forcing the whole starts with its scatter."""
    items(world, listed)
    world.diary.write_text("")
    (directory,) = world.job_directories("split")
    (directory / "out").chmod(0o755)
    (directory / "out" / "items.json").unlink()


def test_items_steps_and_a_second_output_of_the_scatter(world: World) -> None:
    realize(world, [3, "x", {"b": 1, "a": 2}])
    done = world.run("-j", "3")
    assert done.status == 0, done.stderr
    assert world.output("use", "n.txt") == 'sown\n3"x"{"a":2,"b":1}'
    assert set(world.entries().values()) == {1}
    assert len(world.entries()) == 1 + 3 + 3 + 1 + 1
    before = tree(world.store / "outputs")
    second = world.run()
    assert second.answer["found"] == second.answer["jobs"] == 9
    assert tree(world.store / "outputs") == before


def test_no_items(world: World) -> None:
    realize(world, [])
    assert world.run().status == 0
    assert world.output("use", "n.txt") == "sown\n"
    assert world.entries() == {"split": 1, "gather": 1, "use": 1}


def test_equal_items_share_a_branch(world: World) -> None:
    realize(world, [1, 2, 1, 1])
    assert world.run("-j", "4").status == 0
    assert world.output("use", "n.txt") == "sown\n1211"
    assert set(world.entries().values()) == {1}


def test_one_new_item_runs_one_branch(world: World) -> None:
    realize(world, [1, 2, 3])
    assert world.run().status == 0
    again(world, [3, 4, 1, 2])
    assert world.run().status == 0
    assert world.entries() == {"split": 1, "extract 4": 1, "check 4": 1, "gather": 1, "use": 1}
    assert world.output("use", "n.txt") == "sown\n3412"


def test_a_failing_step_fails_the_whole_and_only_its_branch_runs_again(world: World) -> None:
    realize(world, [1, 2, 3, 4])
    bad = world.root / "bad-3"
    bad.touch()
    done = world.run("--continue-on-failure", "-j", "2")
    assert done.status == 1
    assert [failure["job"].split("-")[1] for failure in done.answer["failures"]] == ["check"]
    assert world.entries()["check 4"] == 1
    assert "gather" not in world.entries()
    assert "use" not in world.entries()
    bad.unlink()
    world.diary.write_text("")
    assert world.run().status == 0
    assert world.entries() == {"check 3": 1, "gather": 1, "use": 1}
    assert world.output("use", "n.txt") == "sown\n1234"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1}', "output items of the scatter is not a JSON list but dict"),
        ("[1, 2", "output items of the scatter is not JSON"),
        ("[1e999]", "output items of the scatter"),
        ("", "output items of the scatter is not JSON"),
        (f"[{'0,' * ITEMS_LIMIT}0]", f"output items of the scatter lists {ITEMS_LIMIT + 1} items"),
        (f"[{' ' * ITEMS_BYTES_LIMIT}]", "output items of the scatter has more than 64 MiB"),
    ],
    ids=["an object", "half a list", "beyond all numbers", "nothing", "too many", "too much"],
)
def test_items_that_are_no_list(world: World, text: str, complaint: str) -> None:
    realize(world, text)
    done = world.run()
    assert done.status == 1, done.stderr
    assert complaint in done.answer["failures"][0]["cause"]
    assert world.entries() == {"split": 1}


def test_forcing_the_whole_runs_all_of_it(world: World) -> None:
    realize(world, [1, 2])
    world.run()
    world.diary.write_text("")
    done = world.run("--force", "checked")
    assert done.status == 0, done.stderr
    assert world.entries() == {"split": 1, "extract 1": 1, "check 1": 1, "extract 2": 1, "check 2": 1, "gather": 1}
    # All of it gave the same bytes.
    assert world.run().answer["found"] == world.run().answer["jobs"]


def test_a_step_is_given_a_path_where_it_is_called(world: World) -> None:
    (world.root / "table.csv").write_text("1,2\n")
    world.realize(
        """
from pathlib import Path
import repx

@bash
def split(items: Output = out("items.json")):
    return 'echo "[1]" > "$items"'

@bash
def step(item: WorkItem, result: Output = out("r.txt"), *, table: Path):
    return 'cat "$table" > "$result"'

@bash
def gather(results: Inputs, total: Output = out("total.txt")):
    return 'cat "${results[@]}" > "$total"'

@scatter_gather(scatter=split, gather=gather)
def whole(item: WorkItem):
    return step(item=item, table=repx.path("table.csv"))

@bash
def use(total: Input, lines: Output = out("n.txt")):
    return 'cat "$total" > "$lines"'

lab = Lab(runs=[Run("work", lambda: use(whole()))])
"""
    )
    done = world.run()
    assert done.status == 0, done.stderr
    assert world.output("use", "n.txt") == "1,2\n"


def test_a_step_takes_a_list_of_what_other_steps_made(world: World) -> None:
    world.realize(
        """
@bash
def split(items: Output = out("items.json")):
    return 'echo "[1, 2]" > "$items"'

@bash
def say(item: WorkItem, said: Output = out("s.txt"), *, word: str):
    return 'echo "$word $(cat "$item")" > "$said"'

@bash
def join(parts: Inputs, joined: Output = out("j.txt")):
    return 'cat "${parts[@]}" > "$joined"'

@bash
def gather(results: Inputs, total: Output = out("total.txt")):
    return 'cat "${results[@]}" > "$total"'

@scatter_gather(scatter=split, gather=gather)
def whole(item: WorkItem):
    return join(parts=[say(item=item, word="b"), say(item=item, word="a")])

@bash
def use(total: Input, lines: Output = out("n.txt")):
    return 'cat "$total" > "$lines"'

lab = Lab(runs=[Run("work", lambda: use(whole()))])
"""
    )
    done = world.run()
    assert done.status == 0, done.stderr
    assert world.output("use", "n.txt") == "b 1\na 1\nb 2\na 2\n"


def test_every_record_explains_its_id_without_the_lab(world: World) -> None:
    realize(world, [1, {"b": 1}])
    assert world.run().status == 0
    store = Store(str(world.store))
    stages = []
    for directory in (world.store / "outputs").iterdir():
        data = (directory / "record.jsonl").read_bytes()
        own = decode_fingerprint(data)
        assert own is not None
        lines = dict(read_stage_lines(store, own.stage) or ())
        assert directory.name == f"{own.digest}-{lines['stage.name']}-{lines['stage.version']}"
        stages.append(lines["stage.name"])
    assert sorted(stages) == ["check", "check", "checked", "extract", "extract", "split", "use"]
    assert len(list((world.store / "stages").iterdir())) == 5


def test_gather_takes_every_output_of_the_sink_in_the_order_of_the_items(world: World) -> None:
    world.realize(
        """
@bash
def split(items: Output = out("items.json")):
    return 'echo "[1, 2]" > "$items"'

@stage
def fit(item: WorkItem, model: Output = out("m.txt"), score: Output = out("s.txt")):
    model.write_text(f"model {item}")
    score.write_text(f"score {item}")

@stage
def gather(model: Inputs, score: Inputs, total: Output = out("total.txt")):
    total.write_text("".join(f"{one.read_text()} {other.read_text()}\\n" for one, other in zip(model, score)))

@scatter_gather(scatter=split, gather=gather)
def whole(item: WorkItem):
    return fit(item=item)

lab = Lab(runs=[Run("work", whole)])
"""
    )
    done = world.run("-j", "2")
    assert done.status == 0, done.stderr
    assert world.output("whole", "total.txt") == "model 1 score 1\nmodel 2 score 2\n"

"""Selections of realizations: every selector against its meaning, over many outcomes; adoption of equal results."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from repx import Input, Inputs, Lab, Output, Run, best, every, exact, first, latest, out, stage
from repx.agent.base.layout import Store
from repx.agent.base.record import read_outcome
from repx.dsl.instantiate.graph import instantiate
from repx.lab.directory import LabDirectory
from repx.lab.selection import select
from repx.realizer.lab import write_lab
from repx.runtime.engine import Engine
from repx.runtime.report import Options, Report
from repx.store.writer import open_writer
from tests.fakes.executor import MemoryExecutor, NoPrograms
from tests.fakes.software import FakeSoftware
from tests.runtime.test_engine_in_memory import IN_MEMORY, Watched
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

COUNT = 4


@stage(realizations=COUNT)  # type: ignore[untyped-decorator]  # with options it takes any function
def draw(score: Output = out("score.txt"), *, index: int = 0) -> None: ...


@stage
def one(score: Input, result: Output = out("r.txt")) -> None: ...


@stage
def several(scores: Inputs, result: Output = out("r.txt")) -> None: ...


Meaning = Callable[[Mapping[int, str]], Sequence[int]]
"""Which indexes a selector takes of those that succeeded, each with its text; LookupError where it can take none."""


def lowest(made: Mapping[int, str], count: int) -> Sequence[int]:
    if len(made) < count:
        raise LookupError
    return sorted(made)[:count]


def these(*indexes: int) -> Meaning:
    def meaning(made: Mapping[int, str]) -> Sequence[int]:
        return [index for index in indexes if made[index]]

    return meaning


def by_number(sign: int) -> Meaning:
    def meaning(made: Mapping[int, str]) -> Sequence[int]:
        numbers = {index: float(text) for index, text in made.items() if not math.isnan(float(text))}
        if not numbers:
            raise LookupError
        top = max(sign * number for number in numbers.values())
        return [min(index for index, number in numbers.items() if sign * number == top)]

    return meaning


SELECTORS: Mapping[str, tuple[Callable[[Any], Any], Meaning]] = {
    "latest": (latest, lambda made: [max(made)]),
    "first": (first, lambda made: lowest(made, 1)),
    "first two": (lambda node: first(node, 2), lambda made: lowest(made, 2)),
    "every": (every, these(*range(COUNT))),
    "exact": (lambda node: exact(node, 1), these(1)),
    "exact ones": (lambda node: exact(node, [2, 0]), these(2, 0)),
    "largest": (lambda node: best(node, largest="score"), by_number(1)),
    "smallest": (lambda node: best(node, smallest="score"), by_number(-1)),
}


class Bench:
    """A store, and runs of a Lab with one job of several realizations and a consumer of some."""

    def __init__(self, root: str, selector: Callable[[Any], Any], takes_list: bool) -> None:
        self.root = root
        self.store = Store(f"{root}/store")
        self.store.create()
        self.texts: Mapping[int, str | None] = {}
        consumer = several if takes_list else one
        lab = Lab([Run("r", lambda: consumer(**{consumer.interface.inputs[0].name: selector(draw()).score}))])
        graph = instantiate(lab, FakeSoftware())
        self.lab = LabDirectory(write_lab(graph, open_writer(self.store, root), root).path)
        self.consumer = next(job.id for job in self.lab.jobs() if job.stage.name != "draw")

    def run(self) -> tuple[Report, MemoryExecutor]:
        executor = MemoryExecutor(self.lab, self.store, self.script, random.Random(0))
        options = Options(continue_on_failure=True)
        engine = Engine(self.lab, self.store, select(self.lab, ()), options, Watched(), NoPrograms(), lambda: executor)
        return engine.execute(), executor

    def script(self, name: str, params: Mapping[str, Any], inputs: Mapping[str, Any]) -> str | None:
        if name == "draw":
            return self.texts[params["index"]]
        (given,) = inputs.values()
        return "|".join(given) if isinstance(given, list) else str(given)

    @property
    def result(self) -> str:
        return Path(self.store.job(self.consumer), "out", "r.txt").read_text()

    @property
    def chosen(self) -> list[int]:
        outcome = read_outcome(f"{self.store.job(self.consumer)}/record.jsonl")
        assert outcome is not None
        return list(next(iter(outcome.chosen.values())))


TEXTS = st.sampled_from(["1", "2.5", "2.5", "-3", "nan", "inf"])


@settings(max_examples=60)
@given(data=st.data(), name=st.sampled_from(sorted(SELECTORS)))
def test_a_consumer_gets_what_its_selector_means(data: st.DataObject, name: str) -> None:
    selector, meaning = SELECTORS[name]
    takes_list = name in ("first two", "every", "exact ones") or data.draw(st.booleans())
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as root:
        bench = Bench(root, selector, takes_list)
        for _ in range(2):
            # The second time, what failed before may succeed: the choice is made anew.
            made = {**bench.texts}
            bench.texts = {
                index: made.get(index) or data.draw(st.none() | TEXTS, label=f"text {index}") for index in range(COUNT)
            }
            succeeded = {index: text for index, text in bench.texts.items() if text is not None}
            report, _ = bench.run()
            try:
                expected = meaning(succeeded)
                assert bool(expected)
            except (LookupError, ValueError):
                states = {unit.job.id: str(unit.state) for unit in report.units if unit.job is not None}
                has_bad = len(succeeded) < COUNT
                assert states[bench.consumer] == ("blocked" if has_bad else "failed")
                continue
            assert bench.result == "|".join(succeeded[index] for index in expected)
            # A choice of equal content is as good: nothing runs again for it.
            assert [succeeded[index] for index in bench.chosen] == [succeeded[index] for index in expected]
        again, executor = bench.run()
        if again.succeeded:
            assert not executor.ran


def test_best_of_what_holds_no_number_fails_and_says_where(tmp_path: Path) -> None:
    bench = Bench(str(tmp_path), lambda node: best(node, largest="score"), takes_list=False)
    bench.texts = {0: "1", 1: "2", 2: "high", 3: "4"}
    report, _ = bench.run()
    (failed,) = report.failed
    assert failed.attempt is not None
    assert "output score of realization 2 is not a number: 'high'" in failed.attempt.detail


REAL = """
from repx import *
@bash(realizations=COUNT)
def train(model: Output = out("m.txt"), acc: Output = out("acc.txt"), *, index: int = 0):
    return 'echo "train $index" >> DIARY; echo "model $index" > "$model"; echo "0.$((index % 3))" > "$acc"'
@bash
def use(model: Input, result: Output = out("r.txt")):
    return 'echo use >> DIARY; cat "$model" > "$result"'
@stage
def count(sweep: Results, result: Output = out("r.txt")):
    found = sweep.jobs("train")
    result.write_text(" ".join(f"{job.index}:{job.outputs['model'].read_text().strip()}" for job in found))
sweep = Run("sweep", lambda: use(model=SELECTED.model))
lab = Lab([sweep, Run("post", count, after=[sweep])])
"""


BEST, LATEST = 'best(train(), largest="acc")', "latest(train())"


def real(selected: str, count: int) -> str:
    return REAL.replace("SELECTED", selected).replace("COUNT", str(count))


def test_more_realizations_make_only_the_missing_ones_and_switching_back_costs_nothing(world: World) -> None:
    world.realize(real(BEST, 3))
    assert world.run().status == 0
    assert world.entries() == {"train 0": 1, "train 1": 1, "train 2": 1, "use": 1}
    world.realize(real(BEST, 5))
    assert world.run().status == 0
    # Of equal numbers the lowest index: the same model, so the consumer has nothing to do.
    assert world.entries() == {**{f"train {index}": 1 for index in range(5)}, "use": 1}
    world.realize(real(LATEST, 5))
    assert world.run().status == 0
    assert world.entries()["use"] == 2
    world.realize(real(BEST, 5))
    done = world.run()
    assert done.answer["found"] == done.answer["jobs"]

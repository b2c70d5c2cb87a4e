"""The engine against the reference, by an executor without processes: hundreds of graphs of every kind.

Jobs fail, are lost and asked for again, are shared by runs, scatter; runs are stopped, interrupted, repeated, mended,
and declared in another order.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from repx import Input, Inputs, Lab, Output, WorkItem, hard, out, scatter_gather, soft, stage
from repx import Run as DeclaredRun
from repx.agent.base.layout import Store
from repx.agent.base.state import ENDED, State
from repx.dsl.instantiate.graph import instantiate
from repx.lab.directory import LabDirectory
from repx.lab.selection import select
from repx.realizer.lab import write_lab
from repx.runtime.engine import Engine
from repx.runtime.report import Options, Report
from repx.runtime.units import Unit
from repx.store.writer import open_writer
from tests import reference
from tests.fakes.executor import MemoryExecutor, NoPrograms
from tests.fakes.software import FakeSoftware
from tests.reference import Job, Run

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where the store stands, so that its files cost little."""


@stage
def work(parts: Inputs, result: Output = out("r.txt"), *, n: int = 0) -> None: ...


@stage
def spread(parts: Inputs, items: Output = out("items.json"), *, n: int = 0) -> None: ...


@stage
def copied(item: WorkItem, text: Output = out("t.txt")) -> None: ...


@stage
def framed(text: Input, result: Output = out("r.txt")) -> None: ...


@stage
def collect(results: Inputs, result: Output = out("r.txt")) -> None: ...


@scatter_gather(scatter=spread, gather=collect)  # type: ignore[arg-type]
def fan(item: WorkItem) -> Any:
    return framed(copied(item=item))


@st.composite
def any_runs(draw: st.DrawFn) -> list[Run]:
    """One to three runs of up to six jobs each. A run may have jobs of earlier ones, with all that those take from."""
    runs: list[Run] = []
    known: dict[int, Job] = {}
    for name in "abc"[: draw(st.integers(1, 3))]:
        jobs: dict[int, Job] = {}
        for number in sorted(draw(st.sets(st.sampled_from(sorted(known)), max_size=2)) if known else set()):
            jobs.update(_with_upstreams(known[number], known))
        for _ in range(draw(st.integers(0 if jobs else 1, 4))):
            upstreams = draw(st.lists(st.sampled_from(sorted(jobs)), max_size=3)) if jobs else []
            items = draw(st.none() | st.none() | st.lists(st.integers(0, 3), max_size=3).map(tuple))
            job = Job(len(known), tuple(upstreams), items)
            known[job.number] = jobs[job.number] = job
        after = {run.name: draw(st.sampled_from(["hard", "soft"])) for run in runs if draw(st.booleans())}
        runs.append(Run(name, tuple(jobs.values()), after))  # type: ignore[arg-type]
    return runs


def _with_upstreams(job: Job, known: Mapping[int, Job]) -> dict[int, Job]:
    jobs: dict[int, Job] = {}
    for number in job.upstreams:
        jobs.update(_with_upstreams(known[number], known))
    return {**jobs, job.number: job}


def declared(runs: Sequence[Run], order: Sequence[int]) -> Lab:
    """The runs as an experiment declares them; `order` is the order of their declaration."""
    made: dict[str, DeclaredRun] = {}
    for run in runs:
        after = [(hard if kind == "hard" else soft)(made[name]) for name, kind in run.after.items()]
        made[run.name] = DeclaredRun(run.name, _pipeline(run), after=after)
    return Lab(runs=[made[runs[place].name] for place in order])


def _pipeline(run: Run) -> Callable[[], None]:
    def pipeline() -> None:
        made: dict[int, Any] = {}
        for job in run.jobs:
            call = work if job.items is None else fan
            made[job.number] = call(parts=[made[number].result for number in job.upstreams], n=job.number)

    return pipeline


@dataclass
class Watched:
    """A watcher that interrupts when so many units have ended."""

    engine: Engine | None = None
    after: int | None = None
    ended_units: list[Unit] = field(default_factory=list)

    def planned(self, total: int, found: int) -> None:
        assert found <= total

    def started(self, unit: Unit) -> None:
        assert unit.state is State.RUNNING

    def ended(self, unit: Unit) -> None:
        self.ended_units.append(unit)
        if len(self.ended_units) == self.after:
            assert self.engine is not None
            self.engine.interrupt()

    def notice(self, text: str) -> None:
        raise AssertionError(text)


class Bench:
    """A store, an experiment in it, and runs of it."""

    def __init__(self, root: str, runs: Sequence[Run], chance: random.Random) -> None:
        self.root = root
        self.store = Store(f"{root}/store")
        self.store.create()
        self.runs = runs
        self.chance = chance
        self.failing: Collection[int] = ()
        self.failing_items: Collection[int] = ()
        self.realize(range(len(runs)))

    def realize(self, order: Sequence[int]) -> None:
        graph = instantiate(declared(self.runs, order), FakeSoftware())
        self.lab = LabDirectory(write_lab(graph, open_writer(self.store, self.root), self.root).path)
        self.numbers = {job.id: int(job.params["n"]) for job in self.lab.jobs()}

    def run(self, *, goes_on: bool = True, interrupt_after: int | None = None) -> tuple[Report, MemoryExecutor]:
        """One run to its end; every unit has ended then, and the watcher was told so once."""
        executor = MemoryExecutor(self.lab, self.store, self.script, self.chance)
        watched = Watched(after=interrupt_after)
        options = Options(continue_on_failure=goes_on)
        engine = Engine(self.lab, self.store, select(self.lab, ()), options, watched, NoPrograms(), lambda: executor)
        watched.engine = engine
        report = engine.execute()
        assert report.watching_failed is None
        assert all(unit.state in ENDED for unit in report.units)
        assert sorted(unit.number for unit in watched.ended_units) == list(range(len(report.units)))
        assert all(count == 1 for (name, _), count in executor.ran.items() if name == "work")
        return report, executor

    def script(self, name: str, params: Mapping[str, Any], inputs: Mapping[str, Any]) -> str | None:
        """What the jobs do."""
        jobs = {job.number: job for run in self.runs for job in run.jobs}
        if params.get("n") in self.failing:
            return None
        if name == "work":
            return f"{params['n']}({''.join(inputs['parts'])})"
        if name == "spread":
            return json.dumps(jobs[params["n"]].items)
        if name == "copied":
            return None if int(inputs["item"]) in self.failing_items else str(inputs["item"])
        if name == "framed":
            return f"<{inputs['text']}>"
        return f"[{''.join(inputs['results'])}]"

    def states(self, report: Report) -> dict[int, str]:
        """How each job ended, by number."""
        found = {}
        for unit in report.units:
            if unit.job is not None and unit.job.id in self.numbers:
                found[self.numbers[unit.job.id]] = str(unit.state)
        return found

    def texts(self) -> dict[int, str]:
        """What each job has made, by number."""
        return {
            number: path.read_text()
            for identity, number in self.numbers.items()
            if (path := Path(self.store.job(identity), "out", "r.txt")).exists()
        }


@settings(max_examples=100)
@given(data=st.data())
def test_the_engine_agrees_with_the_reference(data: st.DataObject) -> None:
    runs = data.draw(any_runs())
    numbers = sorted({job.number for run in runs for job in run.jobs})
    failing = data.draw(st.sets(st.sampled_from(numbers), max_size=3))
    failing_items = data.draw(st.sets(st.integers(0, 3), max_size=1))
    chance = random.Random(data.draw(st.integers(0, 1000)))
    stops = data.draw(st.none() | st.integers(1, 8))
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as root:
        bench = Bench(root, runs, chance)
        bench.failing, bench.failing_items = failing, failing_items
        expected = reference.states(runs, failing, failing_items)
        texts = reference.texts(runs, expected)

        # Interrupted, or stopped by the first failure: nothing is wrong, and nothing begins that needs a failed job.
        stopped, _ = bench.run(goes_on=False, interrupt_after=stops)
        assert bench.texts().items() <= texts.items()
        if stopped.interrupted:
            assert not stopped.succeeded
        else:
            assert bool(stopped.failed) == ("failed" in expected.values() or _is_scatter_bad(runs, expected))
        kept = bench.texts()

        # Whatever can run runs, but for what is done.
        first, executor = bench.run()
        assert bench.states(first) == expected
        assert bench.texts() == texts
        assert not any(executor.ran["work", number] for number in kept)

        # Again: nothing that succeeded runs; what failed is tried.
        again, executor = bench.run()
        assert bench.states(again) == expected
        ran = {number for name, number in executor.ran if name == "work"}
        assert ran == {number for number, state in expected.items() if state == "failed"}

        # Mended, and declared in another order: what is missing runs, and only that.
        bench.failing, bench.failing_items = (), ()
        bench.realize(data.draw(st.permutations(range(len(runs)))))
        mended, executor = bench.run()
        assert mended.succeeded
        assert bench.texts() == reference.texts(runs, reference.states(runs, ()))
        assert not any(executor.ran["work", number] for number in texts)
        done, executor = bench.run()
        assert done.found == len(done.units)
        assert not executor.ran


def _is_scatter_bad(runs: Sequence[Run], expected: Mapping[int, str]) -> bool:
    """Whether a scatter-gather is blocked by a part of its own, which is what has failed."""
    jobs = {job.number: job for run in runs for job in run.jobs}
    return any(
        job.items is not None
        and expected[number] == "blocked"
        and all(expected[upstream] == "succeeded" for upstream in job.upstreams)
        for number, job in jobs.items()
    )


class Broken(Watched):
    """A watcher with nobody at the other end."""

    def started(self, unit: Unit) -> None:
        raise BrokenPipeError

    def ended(self, unit: Unit) -> None:
        raise AssertionError("it is told more after it has failed")


def test_a_watcher_that_fails_hears_no_more_and_the_jobs_go_on(tmp_path: Path) -> None:
    runs = [Run("a", tuple(Job(number) for number in range(10)))]
    bench = Bench(str(tmp_path), runs, random.Random(0))
    executor = MemoryExecutor(bench.lab, bench.store, bench.script, bench.chance)
    engine = Engine(bench.lab, bench.store, select(bench.lab, ()), Options(), Broken(), NoPrograms(), lambda: executor)
    report = engine.execute()
    assert report.succeeded
    assert isinstance(report.watching_failed, BrokenPipeError)
    assert sum(executor.ran.values()) == 10

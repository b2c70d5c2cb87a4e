"""The engine against the reference, with real processes: started, repeated, mended, declared otherwise.

Other graphs, by the hundred, are those of `test_engine_in_memory`.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference
from tests.reference import Job, Run
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

STAGE = """
@bash
def work(parts: Inputs, result: Output = out("r.txt"), *, n: int = 0):
    return 'echo "$n" >> DIARY; [ ! -e "FAIL$n" ]; echo -n "$n($(cat /dev/null "${parts[@]}"))" > "$result"'

"""


def experiment(runs: Sequence[Run], order: Sequence[int], root: Path) -> str:
    """The runs as an experiment; `order` is the order of their declaration."""
    text = STAGE.replace("FAIL", str(root / "fail-"))
    declared = []
    for run in runs:
        text += f"def pipeline_{run.name}():\n    made = {{}}\n"
        for job in run.jobs:
            parts = ", ".join(f"made[{number}].result" for number in job.upstreams)
            text += f"    made[{job.number}] = work(parts=[{parts}], n={job.number})\n"
        after = ", ".join(f"{kind}({name})" for name, kind in run.after.items())
        text += f"{run.name} = Run({run.name!r}, pipeline_{run.name}, after=[{after}])\n"
        declared.append(run.name)
    return text + f"lab = Lab(runs=[{', '.join(declared[place] for place in order)}])\n"


@st.composite
def any_runs(draw: st.DrawFn) -> list[Run]:
    """One to three runs of up to five jobs each."""
    runs: list[Run] = []
    number = 0
    for name in "abc"[: draw(st.integers(1, 3))]:
        jobs: list[Job] = []
        for _ in range(draw(st.integers(1, 5))):
            upstreams = draw(st.lists(st.sampled_from([job.number for job in jobs]), max_size=3)) if jobs else []
            jobs.append(Job(number, tuple(upstreams)))
            number += 1
        after = {run.name: draw(st.sampled_from(["hard", "soft"])) for run in runs if draw(st.booleans())}
        runs.append(Run(name, tuple(jobs), after))  # type: ignore[arg-type]
    return runs


@settings(max_examples=2)
@given(data=st.data())
def test_the_engine_agrees_with_the_reference(data: st.DataObject) -> None:
    runs = data.draw(any_runs())
    numbers = [job.number for run in runs for job in run.jobs]
    failing = data.draw(st.sets(st.sampled_from(numbers), max_size=3))
    order = data.draw(st.permutations(range(len(runs))))
    with tempfile.TemporaryDirectory() as root:
        world = World(Path(root))
        try:
            check(world, runs, numbers, failing, order)
        finally:
            world.tidy()


def check(world: World, runs: Sequence[Run], numbers: Sequence[int], failing: set[int], order: Sequence[int]) -> None:
    world.realize(experiment(runs, range(len(runs)), world.root))
    fail(world, failing)
    expected = reference.states(runs, failing)
    ended = Counter(expected.values())
    first = world.run("-j", "3", "--continue-on-failure")
    assert first.status == (1 if failing else 0), first.stderr
    assert {state: first.answer.get(state, 0) for state in ended} == ended
    assert made(world) == sorted(reference.texts(runs, expected).values())
    ran = {number for number, state in expected.items() if state != "blocked"}
    failed = {number for number, state in expected.items() if state == "failed"}
    assert world.entries() == {str(number): 1 for number in ran}

    # Again: nothing that succeeded runs; what failed is tried.
    second = world.run("-j", "3", "--continue-on-failure")
    assert second.status == first.status
    assert world.entries() == {str(number): 1 + (number in failed) for number in ran}
    assert second.answer["found"] == ended["succeeded"]

    # Stopping at the first failure runs no more than that, and nothing that needs a failed job.
    world.forget()
    stopped = world.run("-j", "3")
    assert stopped.status == first.status
    assert {int(number) for number in world.entries()} <= ran
    assert set(made(world)) <= set(reference.texts(runs, expected).values())
    assert bool(stopped.answer["failures"]) == bool(failed)

    # Mended, and declared in another order: what is missing runs, and only that.
    fail(world, set())
    before = world.entries()
    world.realize(experiment(runs, order, world.root))
    succeeded = len(made(world))
    mended = world.run("-j", "3")
    assert mended.status == 0, mended.stderr
    assert mended.answer["found"] == succeeded
    assert sum((world.entries() - before).values()) == len(numbers) - succeeded
    assert made(world) == sorted(reference.texts(runs, reference.states(runs, ())).values())
    assert world.run().answer["found"] == len(numbers)


def fail(world: World, failing: Collection[int]) -> None:
    """Let exactly these jobs fail from now on."""
    for old in world.root.glob("fail-*"):
        old.unlink()
    for number in failing:
        (world.root / f"fail-{number}").touch()


def made(world: World) -> list[str]:
    """The outputs of all jobs that have one."""
    return sorted(text for place, text in world.outputs().items() if place.endswith("/out/r.txt"))


RESULTS = """
@bash
def maybe(result: Output = out("r.txt"), *, n: int = 0):
    return 'echo "maybe $n" >> DIARY; [ "$n" != 2 ] || [ -e MENDED ]; echo "$n" > "$result"'

@stage(packages=["python3"])
def report(first: Results, result: Output = out("r.txt")):
    with open("DIARY", "a") as diary:
        diary.write("report\\n")
    done = sorted(job.params["n"] for job in first.jobs("maybe"))
    failed = sorted(job.params["n"] for job in first.failed())
    texts = sorted(job.outputs["result"].read_text().strip() for job in first.jobs())
    result.write_text(f"{done} {failed} {texts}")

first = Run("first", maybe, params={"n": [1, 2, 3]})
lab = Lab(runs=[first, Run("second", report, after=[KIND(first)])])
"""


def test_soft_results_hold_the_failed(world: World) -> None:
    mended = world.root / "mended"
    world.realize(RESULTS.replace("KIND", "soft").replace("MENDED", str(mended)))
    done = world.run("--continue-on-failure")
    assert done.status == 1
    assert world.output("report", "r.txt") == "[1, 3] [2] ['1', '3']"
    # A failed upstream is tried once more; what takes its results runs again only when they are others.
    assert world.run("--continue-on-failure", "second").status == 1
    assert world.entries() == {"maybe 1": 1, "maybe 2": 2, "maybe 3": 1, "report": 1}
    mended.touch()
    assert world.run("second").status == 0
    assert world.output("report", "r.txt") == "[1, 2, 3] [] ['1', '2', '3']"
    assert world.entries()["report"] == 2


def test_hard_results_wait_for_success(world: World) -> None:
    mended = world.root / "mended"
    world.realize(RESULTS.replace("KIND", "hard").replace("MENDED", str(mended)))
    done = world.run("--continue-on-failure")
    assert (done.status, done.answer["blocked"]) == (1, 1)
    assert "report" not in world.entries()
    mended.touch()
    assert world.run("second").status == 0
    assert world.output("report", "r.txt") == "[1, 2, 3] [] ['1', '2', '3']"


def test_equal_results_of_other_jobs_are_those_of_today(world: World) -> None:
    text = RESULTS.replace("KIND", "hard").replace("MENDED", "DIARY")
    world.realize(text)
    assert world.run().status == 0
    world.forget()
    # The same bytes from jobs of other ids; those of before are gone.
    world.realize(text.replace('> "$result"\'', '> "$result"; true\''))
    done = world.run()
    assert done.status == 0, done.stderr
    assert world.output("report", "r.txt") == "[1, 2, 3] [] ['1', '2', '3']"

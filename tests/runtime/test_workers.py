"""Workers of a run: how their interpreters start, and that none keeps the others waiting."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.layout import Store
from repx.agent.base.state import State
from repx.agent.held import read_claim
from repx.agent.messages import Answer, JobAnswer, JobOrder, UseLab, UsePackage, UseStage
from repx.agent.stage_start import StageStart
from repx.runtime.executors.workers import Worker, WorkerPool
from tests.agent.mini_lab import EXECUTABLE, RUN, MiniJob, job_id, write_mini_lab
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

PATIENCE_S = 30.0


@pytest.fixture(name="pool")
def a_pool(tmp_path: Path) -> Iterator[WorkerPool]:
    pool = WorkerPool(Store(str(tmp_path / "store")), 2)
    yield pool
    pool.close()


def test_a_worker_that_stands_still_keeps_no_other_from_working(pool: WorkerPool, tmp_path: Path) -> None:
    lab = write_mini_lab(tmp_path / "lab", MiniJob(job_id("job"), {"r": "r.txt"}))
    start = StageStart(("/bin/bash", "-c", "echo > r.txt"), os.environ["PATH"], {}, None)
    first, second = pool.idle(), pool.idle()
    assert first is not None
    assert second is not None
    worker = worker_process(pool, first)
    os.kill(worker, signal.SIGSTOP)
    try:
        # More than a pipe takes.
        pool.tell(first, UsePackage("large", "x" * (1 << 20)))
        for message in (UseLab(str(lab)), UseStage(EXECUTABLE, "", start), JobOrder(RUN, job_id("job"))):
            pool.tell(second, message)
        assert next_answer(pool) == (second, State.SUCCEEDED, False)
    finally:
        os.kill(worker, signal.SIGCONT)
    # Told to go on, it gets the rest.
    for message in (UseLab(str(lab)), UseStage(EXECUTABLE, "", start), JobOrder(RUN, job_id("job"), again=True)):
        pool.tell(first, message)
    who, state, _ = next_answer(pool)
    assert who is first
    assert state in (State.SUCCEEDED, State.RUNNING)


def worker_process(pool: WorkerPool, worker: Worker) -> int:
    """The process that takes orders: the one that was started, or its child."""
    deadline = time.monotonic() + PATIENCE_S
    # A claim file that was just made says nothing yet, and process 0 would be all of this process group.
    while (held := read_claim(pool.slot_of(worker))) is None or held.claim.process.pid == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return held.claim.process.pid


def next_answer(pool: WorkerPool) -> tuple[Worker, State, bool]:
    """Who has answered first, and what."""
    answers: list[tuple[Worker, Answer | None]] = []
    while not answers:
        answers = pool.wait(PATIENCE_S)
    worker, answer = answers[0]
    assert isinstance(answer, JobAnswer)
    return worker, answer.state, answer.is_found


HOSTILE = """
import os
open(os.environ.get("TRAP", {trap!r}), "a").close()
"""

PYTHON = """
@stage(packages=["python3"])
def greet(result: Output = out("r.txt")):
    import types
    result.write_text(types.__name__)

lab = Lab(runs=[Run("work", greet)])
"""


@pytest.mark.parametrize("module", ["types", "os", "json", "repx", "encodings", "sitecustomize"])
def test_a_module_where_a_command_is_given_is_imported_by_no_worker(world: World, module: str) -> None:
    world.realize(PYTHON)
    trap = world.root / "trap"
    (world.root / f"{module}.py").write_text(HOSTILE.format(trap=str(trap)))
    done = world.run()
    assert done.status == 0, done.stderr
    assert world.output("greet", "r.txt") == "types"
    assert not trap.exists()


FAILING = """
@bash
def fail(result: Output = out("r.txt"), *, n: int = 0):
    return 'echo "$n" >> DIARY; sleep 0.05; exit 1'

lab = Lab(runs=[Run("work", fail, params={"n": [1, 2, 3, 4, 5, 6, 7, 8]})])
"""


def test_a_run_goes_on_when_nobody_reads_what_it_says(world: World) -> None:
    world.realize(FAILING)
    repx = f"{sys.executable} -c 'from repx.cli.main import main; main()'"
    command = f"cd {world.root} && {repx} run -j 1 --continue-on-failure 2>&1 | head -1"
    done = world.start_program("bash", "-c", command).end()
    assert done.stdout.startswith("failed: fail[n=")
    assert world.entries() == {str(number): 1 for number in range(1, 9)}

"""Workers of a run: how their interpreters start, and that none keeps the others waiting."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.layout import Store
from repx.runtime.executors.workers import WorkerPool
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

PATIENCE_S = 30.0


@pytest.fixture(name="pool")
def a_pool(tmp_path: Path) -> Iterator[WorkerPool]:
    pool = WorkerPool(Store(str(tmp_path / "store")), 2)
    yield pool
    pool.close()


def test_a_worker_that_stands_still_keeps_no_other_from_working(pool: WorkerPool) -> None:
    first, second = pool.idle(), pool.idle()
    assert first is not None
    assert second is not None
    os.kill(first.process.pid, signal.SIGSTOP)
    try:
        # More than a pipe takes.
        pool.tell(first, {"stage": {"id": "x" * (1 << 20)}})
        pool.tell(second, {"commit": True})
        answers = pool.wait(PATIENCE_S)
        while not answers:
            answers = pool.wait(PATIENCE_S)
        assert answers == [(second, {"committed": 0})]
    finally:
        os.kill(first.process.pid, signal.SIGCONT)
    # Told to go on, it gets the rest.
    pool.tell(first, {"commit": True})
    answers = []
    while not answers:
        answers = pool.wait(PATIENCE_S)
    assert answers == [(first, {"committed": 0})]


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

"""`log --follow` and `status` beside a job that is running: real processes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import REPX, World

EXPERIMENT = '''
from repx import Lab, Output, Run, bash, out

@bash
def slow(end: Output = out("end.txt"), *, gate: str, lines: int):
    return """
        echo "été begins"
        until [ -e "$gate" ]; do sleep 0.05; done
        for ((n = 0; n < lines; n++)); do echo "line $n of the log"; done
        echo ended > "$end"
    """

def chain():
    slow(gate={gate!r}, lines=3)
    slow(gate={gate!r}, lines=2000)

lab = Lab(runs=[Run("wait", chain)])
'''


def test_a_running_job_is_followed_to_its_end(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    (tmp_path / "experiment.py").write_text(EXPERIMENT.replace("{gate!r}", repr(str(gate))))
    world = World(tmp_path)
    environment = {**os.environ, "REPX_STORE": world.store}
    running = subprocess.Popen([*REPX, "run", "experiment.py", "-j", "2"], cwd=tmp_path, env=environment)
    try:
        _wait(lambda: (tmp_path / "result").exists() and world.see("status", "--json").answer["total"]["running"] == 2)
        _wait(lambda: world.see("log", "slow[lines=3]").stdout == "été begins\n")
        follow = [*REPX, "log", "-f", "--lab", world.lab, "--store", world.store]
        with (
            subprocess.Popen([*follow, "slow[lines=3]"], stdout=subprocess.PIPE, text=True) as few,
            subprocess.Popen([*follow, "slow[lines=2000]"], stdout=subprocess.PIPE, text=True) as many,
        ):
            assert few.stdout is not None
            assert many.stdout is not None
            assert few.stdout.readline() == many.stdout.readline() == "été begins\n"
            gate.touch()
            assert few.stdout.read() == "".join(f"line {number} of the log\n" for number in range(3))
            assert many.stdout.read() == "".join(f"line {number} of the log\n" for number in range(2000))
        assert (few.wait(), many.wait()) == (0, 0)
    finally:
        gate.touch()
        assert running.wait() == 0


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)

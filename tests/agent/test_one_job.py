"""One job by the agent alone, started by hand: it runs, is found again, fails, and waits for what it takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from repx.agent.base.record import decode_outcome
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

EXPERIMENT = """
import repx

@bash(realizations=2)
def make(data: Output = out("data.txt"), *, index: int):
    return 'echo "made $index" > "$data"; echo made >> DIARY'

@bash
def take(data: Input, more: Output = out("more.txt")):
    return 'cat "$data" > "$more"; [ ! -e BAD ]'

@stage(packages=["python3"])
def report(first: Results, text: Output = out("r.txt")):
    text.write_text(first.jobs("take")[0].outputs["more"].read_text())

first = Run("first", lambda: take(repx.exact(make(), 0)))
lab = Lab(runs=[first, Run("second", report, after=[hard(first)])])
"""


class Agent:
    """The agent that a Lab carries, and the jobs of the Lab by their stages."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bad = world.root / "bad"
        world.realize(EXPERIMENT.replace("BAD", str(self.bad)))
        (self.program,) = (world.root / "result").glob("host-tools/*/bin/repx-agent")
        self.jobs = {path.name.split("-")[1]: path.name for path in (world.root / "result" / "jobs").iterdir()}

    def run(self, job: str, *words: str) -> tuple[int, str]:
        """Its exit status and what it says, without the job's id."""
        command = [sys.executable, str(self.program), "run", "--store", str(self.world.store), "--lab", "result"]
        done = subprocess.run([*command, *words, job], cwd=self.world.root, capture_output=True, text=True, check=False)
        return done.returncode, (done.stdout + done.stderr).replace(job, "it").strip()


@pytest.fixture(name="agent")
def an_agent(world: World) -> Agent:
    return Agent(world)


def test_it_runs_then_finds_and_publishes_what_a_run_finds(agent: Agent) -> None:
    world, make, take, report = agent.world, agent.jobs["make"], agent.jobs["take"], agent.jobs["report"]
    assert agent.run(take) == (1, "it cannot run: what it takes has no result")
    assert agent.run(make) == (0, "it succeeded")
    assert agent.run(make) == (0, "it found")
    assert agent.run(f"{make}#1") == (0, "it succeeded")
    assert agent.run(take) == (0, "it succeeded")
    assert agent.run(report) == (0, "it succeeded")
    assert world.output("report", "r.txt") == "made 0\n"
    assert world.entries() == {"made": 2}
    record = decode_outcome((world.store / "outputs" / take / "record.jsonl").read_bytes())
    assert record.state == "succeeded"
    assert list((world.store / "tmp").iterdir()) == []
    done = world.run()
    assert done.answer["found"] == done.answer["jobs"] == 4
    assert agent.run(make, "--force") == (0, "it succeeded")
    assert world.entries() == {"made": 3}


def test_it_says_why_a_job_failed_and_what_is_not_there(agent: Agent) -> None:
    assert agent.run(agent.jobs["make"])[0] == 0
    agent.bad.touch()
    assert agent.run(agent.jobs["take"]) == (1, "it failed: exit")
    assert (agent.world.store / "outputs" / agent.jobs["take"] / "failure.jsonl").exists()
    status, said = agent.run("0" * 32 + "-none-1")
    assert (status, "it has no job" in said) == (2, True)
    assert agent.run(f"{agent.jobs['take']}#1")[0] == 2

"""The Lab of tests/cli as an Experiment, and a long chain that was never run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from repx.analysis.experiment import Experiment
from tests.cli.conftest import World, world

__all__ = ["world"]

CHAIN = 3_000
"""Three times as deep as Python's stack."""

CHAIN_EXPERIMENT = """
from repx import Input, Lab, Output, Run, bash, out

@bash
def first(data: Output = out("data.txt"), *, seed: int):
    return 'echo "$seed" > "$data"'

@bash
def link(data: Input, more: Output = out("data.txt"), *, number: int):
    return 'cat "$data" > "$more"'

def chain():
    last = first(seed=7).data
    for number in range(LENGTH):
        last = link(data=last, number=number).more

lab = Lab(runs=[Run("chain", chain)])
"""


@pytest.fixture
def experiment(world: World) -> Experiment:
    """What a notebook has of the Lab that was run."""
    return Experiment(world.lab, world.store)


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A Lab of one chain of CHAIN links."""
    made = World(tmp_path_factory.mktemp("chain"))
    (made.directory / "experiment.py").write_text(CHAIN_EXPERIMENT.replace("LENGTH", str(CHAIN)))
    done = made.run("realize", "experiment.py")
    assert done.returncode == 0, done.stderr
    yield made
    remove_tree(str(Path(made.directory)))

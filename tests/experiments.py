"""Experiments as users write them, in a file of their own: loaded, instantiated, or refused; runs no job."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from repx.dsl.experiment import Lab
from repx.dsl.instantiate.graph import instantiate
from repx.dsl.load import load_experiment
from repx.errors import RepxError
from repx.model.derivation import Derivation
from repx.model.graph import DerivationGraph
from repx.model.values import Value
from tests.fakes.software import FakeSoftware

PRELUDE = (
    "import repx; from pathlib import Path; from typing import Literal; "
    "from repx import Input, Inputs, Lab, Output, Outputs, Resources, Results, Run, WorkItem, bash, hard, out, "
    "package, scatter_gather, soft, stage\n"
)
"""Line 1 of every experiment, so that line n of a text that starts with an empty line is line n of its file."""


class Experiments:
    """A folder to write experiments in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def lab(self, text: str, files: dict[str, str] | None = None) -> Lab:
        """The Lab of an experiment; `Lab(…)` at its end may be left out when there is a run called `run`."""
        self.write({"experiment.py": PRELUDE + text.removeprefix("\n"), **(files or {})})
        return load_experiment(str(self.folder / "experiment.py"))

    def write(self, files: dict[str, str]) -> None:
        """Files beside the experiment."""
        for name, content in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(content)

    def graph(
        self, text: str, files: dict[str, str] | None = None, software: FakeSoftware | None = None
    ) -> DerivationGraph:
        """The derivation graph of an experiment."""
        return instantiate(self.lab(text, files), software or FakeSoftware())

    def error(self, text: str, files: dict[str, str] | None = None, software: FakeSoftware | None = None) -> str:
        """What the user reads when the experiment is refused, without the folder's path."""
        with pytest.raises(RepxError) as caught:
            self.graph(text, files, software)
        return "\n".join(caught.value.lines()).replace(f"{self.folder}/", "")


@contextmanager
def modules_forgotten(folder: Path) -> Iterator[None]:
    """Forget at the end which modules were loaded from below a folder."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture(name="experiments")
def experiments_fixture(tmp_path: Path) -> Iterator[Experiments]:
    """A folder for experiments, whose modules are forgotten again."""
    with modules_forgotten(tmp_path):
        yield Experiments(tmp_path / "user")


def jobs(graph: DerivationGraph, stage: str = "") -> list[Derivation]:
    """All jobs once, of one stage if given."""
    return [job for job in graph.jobs() if not stage or job.stage.name == stage]


def job(graph: DerivationGraph, stage: str) -> Derivation:
    """The only job of a stage."""
    (only,) = jobs(graph, stage)
    return only


def counts(graph: DerivationGraph) -> dict[str, int]:
    """How many jobs each stage has."""
    return dict(Counter(one.stage.name for one in graph.jobs()))


def ids(graph: DerivationGraph, stage: str = "") -> set[str]:
    """The ids of all jobs, of one stage if given."""
    return {one.id for one in jobs(graph, stage)}


def sources(derivation: Derivation) -> list[tuple[str, str]]:
    """(input, where it comes from): a stage with its output, a path's name, or a run."""
    found = []
    for edge in derivation.edges:
        source = edge.source
        if isinstance(source, Derivation):
            found.append((edge.name, f"{source.stage.name}.{edge.output}"))
        else:
            found.append((edge.name, getattr(source, "name", "") or getattr(source, "run", "")))
    return found


def values(graph: DerivationGraph, stage: str, param: str) -> list[Value]:
    """A param's values, in the order of the jobs."""
    return [one.params_dict()[param] for one in jobs(graph, stage)]

"""Small Labs written in a moment, and results put under today's keys by hand; runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from repx import Input, Inputs, Output, Results, Run, WorkItem, bash, out, scatter_gather
from repx.agent.base.digest import digest_and_size
from repx.agent.base.layout import RECORD, Store, realization
from repx.agent.base.record import Outcome, OutputRecord, encode_record
from repx.agent.base.state import State
from repx.agent.lab.run_file import Job
from repx.agent.resolve import Realized, Resolved, look_up
from repx.agent.scatter import PartJob
from repx.dsl.experiment import Lab
from repx.dsl.instantiate.graph import instantiate
from repx.lab.directory import LabDirectory
from repx.realizer.lab import write_lab
from repx.store.writer import open_writer
from tests.fakes.software import FakeSoftware


@bash
def make(data: Output = out("data.txt"), *, n: int = 0) -> str:
    return 'echo "$n" > "$data"'


@bash(realizations=2)  # type: ignore[untyped-decorator]  # with options it takes any function
def twice(data: Output = out("data.txt")) -> str:
    return 'echo > "$data"'


@bash
def take(data: Input, more: Output = out("more.txt"), *, n: int = 0) -> str:
    return 'cat "$data" > "$more"'


@bash
def report(first: Results, summary: Output = out("summary.txt")) -> str:
    return 'wc -l < "$first" > "$summary"'


@bash
def split(items: Output = out("items.json"), *, count: int = 2) -> str:
    return 'echo "[1, 2]" > "$items"'


@bash
def work(item: WorkItem, one: Output = out("one.txt")) -> str:
    return 'cat "$item" > "$one"'


@bash
def finish(one: Input, end: Output = out("end.txt")) -> str:
    return 'cat "$one" > "$end"'


@bash
def collect(ends: Inputs, whole: Output = out("all.txt")) -> str:
    return 'cat "${ends[@]}" > "$whole"'


def _inside(item: WorkItem) -> Any:
    return finish(one=work(item=item))


# The decorator is typed for what `def` makes, which mypy calls a Callable.
parts: Any = scatter_gather(scatter=split, gather=collect, name="parts")(_inside)  # type: ignore[arg-type]


def small_lab(root: Path, runs: Sequence[Run]) -> LabDirectory:
    """A Lab of these runs, whose programs are never looked at, in the store below `root`."""
    store = Store(str(root / "store"))
    store.create()
    graph = instantiate(Lab(runs=list(runs)), FakeSoftware())
    return LabDirectory(write_lab(graph, open_writer(store, str(root)), str(root), None).path)


def job_of(lab: LabDirectory, stage: str, **params: object) -> Job:
    """The one job of a stage with these params."""
    found = [job for job in lab.jobs() if job.stage.name == stage and params.items() <= dict(job.params).items()]
    assert len(found) == 1, found
    return found[0]


def put_result(
    store: Store, job: Job | PartJob, resolved: Resolved, files: Mapping[str, str], index: int = 0
) -> Realized:
    """A complete result under a key: one file for each output, by name."""
    directory = store.job(job.id) if index == 0 else realization(store.job(job.id), index, resolved.key)
    outputs = {}
    for name, path in job.stage.outputs.items():
        place = Path(directory) / "out" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(files[name])
        digest, size = digest_and_size(str(place))
        outputs[name] = OutputRecord(path, digest, size)
    put_record(Path(directory) / RECORD, resolved.key, index, outputs)
    found = look_up(store, job.id, index, resolved.key)
    assert found is not None
    return found


def put_record(
    path: Path, key: str, index: int = 0, outputs: Mapping[str, OutputRecord] = MappingProxyType({})
) -> None:
    """A record of a success or of a failure, as far as a look at it goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_record(Outcome("", "", "", index, key, State.SUCCEEDED, "", {}, outputs), []))

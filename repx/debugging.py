"""`repx.debug`: a node's job done by hand from Python, with its paths and params; runs only what it takes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repx import api, process
from repx.agent.base.state import State
from repx.agent.bench import Bench
from repx.agent.in_use import using
from repx.dsl.node import Node
from repx.errors import JobsFailedError, UsageError
from repx.lab.directory import LabDirectory
from repx.runtime.bar import Bar
from repx.runtime.by_hand import open_bench
from repx.runtime.local import isolation_on, local_engine
from repx.store.location import open_store


@dataclass(frozen=True, slots=True)
class Debugged:
    """A job that waits to be done by hand: what it is given, and where its outputs are to be."""

    id: str
    inputs: Mapping[str, Path | list[Path] | None]
    params: Mapping[str, Any]
    out: Path
    outputs: Mapping[str, Path]
    _bench: Bench

    @property
    def environment(self) -> Mapping[str, str]:
        """The whole environment of the job."""
        return self._bench.environment

    def run(self, command: str = "run_job") -> int:
        """Run a command of Bash as the job would be, in its isolation; its own script unless said. The exit status."""
        start = self._bench.command(command)
        return process.attached(start.argv, cwd=str(self.out), env=start.env, words=start.words)

    def keep(self, *, replace: bool = False) -> Path:
        """Publish what is in `out` as the job's result, which says that it was made by hand; where it stands.

        Raises JobsFailedError when an output is missing, or the job has a result and that is not to be replaced.
        """
        spoiled = self._bench.spoiled()
        if spoiled:
            raise JobsFailedError(f"nothing is kept: its input {', '.join(spoiled)} was written to")
        answer = self._bench.keep("in Python", replace=replace)
        if answer.is_found:
            raise JobsFailedError("nothing is kept: the job has a result", hint="have this in its place: replace=True")
        if answer.state is not State.SUCCEEDED:
            detail = answer.attempt.detail if answer.attempt is not None else "somebody else works on this job"
            raise JobsFailedError(f"nothing is kept: {detail}")
        return Path(answer.directory) / "out"


@contextmanager
def debug(node: Node, *, store: str | None = None, index: int = 0) -> Iterator[Debugged]:
    """A context in which the job of a node is done by hand: its inputs are there, and its `out` is empty.

    What it takes from is run first. All that is not kept goes at the end. Raises what `realize` does.
    """
    if not isinstance(node, Node):
        raise UsageError(f"debug takes a node, such as train(data=make()), not {type(node).__name__}")
    place = open_store(store)
    lab, identity = api.realize_node(node, place)
    directory = LabDirectory(lab.path).owned(is_own=True)
    job = directory.job(str(identity))
    assert job is not None, "it was realized"
    with using(place, directory.path):
        before = [*job.upstream_ids(), *job.runs_taken()]
        if before:
            with Bar(enabled=None) as watcher:
                report = local_engine(
                    directory, before, store=place, watcher=watcher, wanted=frozenset(job.upstream_ids())
                ).execute()
            if not report.succeeded:
                raise api.failures_error(report, directory)
        seen = directory.seen_from(place)
        with open_bench(seen, place, job, realization=index, isolation=isolation_on(directory)) as bench:
            yield _debugged(bench)


def _debugged(bench: Bench) -> Debugged:
    job = bench.job
    box = job.start.sandbox

    def outside(value: Any) -> Any:
        if value is None or isinstance(value, list):
            return None if value is None else [outside(one) for one in value]
        return Path(value if box is None else bench.outside(value))

    out = Path(bench.scratch.out)
    return Debugged(
        id=job.job.id,
        inputs={name: outside(value) for name, value in bench.inputs.items()},
        params=dict(job.params),
        out=out,
        outputs={name: out / path for name, path in job.job.stage.outputs.items()},
        _bench=bench,
    )

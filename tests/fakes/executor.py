"""An executor without processes: units run one by one in here, by a function, in an order that chance decides.

What they make stands in a real store, so that it is found again like any other result.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from repx.agent.base.files import remove_tree
from repx.agent.base.layout import Store, realization
from repx.agent.base.record import Attempt, Outcome, OutputRecord, encode_record
from repx.agent.base.state import State
from repx.agent.lab.lab import Lab
from repx.agent.lab.stage import Stage
from repx.agent.resolve import Given, ItemInput, Realized, chosen_indexes
from repx.agent.resolved_job import resolve_order
from repx.agent.resolver import Resolver
from repx.agent.stage_start import StageStart
from repx.runtime.executors.executor import Cancelled, Event, Failed, Requeued, Started, Succeeded, Work

Script = Callable[[str, Mapping[str, Any], Mapping[str, Any]], str | None]
"""What a job of a stage makes of its params and of the texts of its inputs: the text of its one output, or None when
it fails."""


class NoPrograms:
    """The `Programs` of a Lab whose scripts are never started."""

    drift: list[str] = []  # noqa: RUF012 - a protocol's attribute, which stays empty

    def start(self, stage: Stage, image: str) -> StageStart:
        return StageStart((), "", {}, None)

    def package(self, name: str) -> str:
        return name


class MemoryExecutor:
    """A `repx.runtime.executors.executor.Executor`. `ran` counts how often each stage and job number began a script."""

    def __init__(self, lab: Lab, store: Store, script: Script, chance: random.Random, slots: int = 3) -> None:
        self.ran: Counter[tuple[str, Any]] = Counter()
        self._lab = lab
        self._store = store
        self._script = script
        self._chance = chance
        self._slots = slots
        self._ready: list[Work] = []
        self._running: list[Work] = []
        self._ends_ready = False
        self._ends_running = False

    def prepare(self, runs: Collection[int], notice: Callable[[str], None]) -> None:
        pass

    def start(self, units: Iterable[Work]) -> None:
        self._ready.extend(units)

    def cancel(self, *, running: bool) -> None:
        self._ends_ready = True
        self._ends_running = self._ends_running or running

    def close(self) -> list[str]:
        assert not self._ready
        assert not self._running
        return []

    def events(self) -> Sequence[Event]:
        ended: list[Work] = []
        if self._ends_ready:
            ended, self._ready = self._ready, []
        if self._ends_running:
            ended, self._running = [*ended, *self._running], []
        if ended:
            return [Cancelled(work.unit, None) for work in ended]
        if self._ready and len(self._running) < self._slots:
            work = self._ready.pop(self._chance.randrange(len(self._ready)))
            self._running.append(work)
            return [Started(work.unit)]
        assert self._running, "asked for events while no unit is left"
        work = self._running.pop(self._chance.randrange(len(self._running)))
        if self._chance.random() < 0.1 and not self._ends_ready:
            self._ready.append(work)
            return [Requeued(work.unit)]
        return [self._run(work)]

    def _run(self, work: Work) -> Event:
        """As a worker does: told which job, it looks by itself for what that takes."""
        order = work.order().job
        found = resolve_order(self._lab, Resolver(self._lab, self._store), order)
        assert found is not None, "it is ready"
        job, resolved = found
        self.ran[job.stage.name, job.params.get("n")] += 1
        index = order.realization
        params = {**job.params, "index": index} if job.stage.takes_index else job.params
        texts = {name: _texts(value) for name, value in resolved.inputs.items()}
        text = self._script(job.stage.name, params, texts)
        if text is None:
            return Failed(work.unit, Attempt(cause="exit", exit=1))
        ((name, path),) = job.stage.outputs.items()
        place = self._store.job(job.id)
        directory = Path(realization(place, index, resolved.key) if index else place)
        remove_tree(str(directory / "out"))
        (directory / "out").mkdir(parents=True)
        (directory / "out" / path).write_text(text)
        outputs = {name: OutputRecord(path, hashlib.sha256(text.encode()).hexdigest(), len(text))}
        version, key, chosen = job.stage.version, resolved.key, chosen_indexes(resolved.inputs)
        outcome = Outcome(job.id, job.stage.name, version, index, key, State.SUCCEEDED, "", {}, outputs, chosen)
        (directory / "record.jsonl").write_bytes(encode_record(outcome, [Attempt()]))
        return Succeeded(work.unit, Realized(str(directory), outputs, resolved.key), found=False)


def _texts(given: Given) -> Any:
    if given is None:
        return None
    if isinstance(given, list):
        return [_texts(one) for one in given]
    return given.text if isinstance(given, ItemInput) else Path(given.path).read_text()

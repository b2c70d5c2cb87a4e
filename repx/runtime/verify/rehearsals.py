"""Jobs executed once more, beside their results, by workers as a run has them; compares and publishes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from repx.agent.base.files import remove_tree
from repx.agent.base.layout import Store
from repx.agent.base.record import Attempt, OutputRecord
from repx.agent.in_use import using
from repx.agent.makers import maker_name
from repx.agent.programs import Isolation, Programs
from repx.agent.resolve import ResultsInput
from repx.agent.resolver import Resolver
from repx.errors import InterruptedRunError
from repx.lab.directory import LabDirectory
from repx.runtime.executors.direct import DirectExecutor
from repx.runtime.executors.executor import Budget, Cancelled, Failed, Notice, Order, Started, Succeeded, Work
from repx.runtime.images import Images
from repx.runtime.needs import asked_for
from repx.runtime.orders import Orders
from repx.runtime.units import Unit
from repx.runtime.verify.subjects import Subject


class Made(NamedTuple):
    """What a job has made this time: where that is, its outputs, of which inputs; or the attempt that failed."""

    directory: str
    outputs: Mapping[str, OutputRecord]
    key: str = ""
    start: float = 0.0
    end: float = 0.0
    failure: Attempt | None = None

    def digests(self) -> dict[str, str]:
        """What the outputs are; nothing of a failure."""
        return {name: output.digest for name, output in self.outputs.items()}


class Rehearsals:
    """Executes jobs of one Lab; `show` hears what goes on. Each `place` has workers of its own, and other paths."""

    def __init__(
        self,
        lab: LabDirectory,
        store: Store,
        resolver: Resolver,
        programs: Programs,
        isolation: Isolation,
        budget: Budget,
        show: Callable[[str], None],
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._orders = Orders(lab, store, resolver, programs)
        self._images = Images(lab, isolation)
        self._budget = budget
        self._show = show
        self._aside = f"{store.tmp}/{maker_name('verify')}"
        self._use = using(store, lab.path)
        self._count = 0
        self._written: set[str] = set()
        self._executors: dict[str, DirectExecutor] = {}

    def __enter__(self) -> Rehearsals:
        self._store.create()
        self._use.__enter__()
        # What a job makes is out of others' reach until it is a result.
        os.mkdir(self._aside, 0o700)
        return self

    def __exit__(self, *_: object) -> None:
        for executor in self._executors.values():
            executor.close()
        remove_tree(self._aside)
        self._use.__exit__(None, None, None)

    def make(
        self, subjects: Iterable[Subject], place: str = "", *, env: Mapping[str, str] | None = None, cpus: int = 0
    ) -> Iterator[tuple[Subject, Made]]:
        """Execute jobs, at the first place several at once; what came of each, as it ends. Delete what was made."""
        executor = self._executor(place)
        waiting: dict[int, Subject] = {}
        works = []
        for subject in subjects:
            unit = self._unit(subject)
            waiting[unit.number] = subject
            works.append(Work(unit.number, unit.run, unit.needs, partial(self._order, unit, env or {}, cpus)))
        executor.prepare({subject.run for subject in waiting.values()}, self._show)
        executor.start(works)
        begun: dict[int, float] = {}
        while waiting:
            for event in executor.events():
                if isinstance(event, Started):
                    begun[event.unit] = time.time()
                elif isinstance(event, Notice):
                    self._show(event.text)
                elif isinstance(event, Succeeded):
                    yield (
                        waiting.pop(event.unit),
                        Made(
                            event.outcome.directory,
                            event.outcome.outputs,
                            event.outcome.key,
                            begun[event.unit],
                            time.time(),
                        ),
                    )
                elif isinstance(event, Failed):
                    yield waiting.pop(event.unit), Made("", {}, failure=event.attempt)
                elif isinstance(event, Cancelled):
                    raise InterruptedRunError("interrupted", hint="results are as they were")

    def one(self, subject: Subject, place: str, *, env: Mapping[str, str] | None = None, cpus: int = 0) -> Made:
        """Execute one job, alone at its place."""
        ((_, made),) = self.make([subject], place, env=env, cpus=cpus)
        return made

    def _executor(self, place: str) -> DirectExecutor:
        if place not in self._executors:
            budget = self._budget._replace(slots=1) if place else self._budget
            self._executors[place] = DirectExecutor(self._store, budget, self._images, stop_on_failure=False)
        return self._executors[place]

    def _unit(self, subject: Subject) -> Unit:
        unit = Unit(self._count, subject.run, subject.job, subject.realization)
        self._count += 1
        unit.needs, unit.time_s, unit.limits = asked_for(subject.job.hints)
        unit.resolved = subject.resolved
        return unit

    def _order(self, unit: Unit, env: Mapping[str, str], cpus: int) -> Order:
        assert unit.resolved is not None, "it has a result"
        for value in unit.resolved.inputs.values():
            if isinstance(value, ResultsInput) and value.run not in self._written:
                self._written.add(value.run)
                results = self._resolver.results(value.run)
                assert results is not None, "it has been resolved"
                results.write(self._store)
        order = self._orders.order(unit, force=False)
        job = order.job._replace(aside=f"{self._aside}/{unit.number}", env=env, cpus=cpus or order.job.cpus)
        return order._replace(job=job)

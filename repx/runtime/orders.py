"""What a worker is told of a unit: which job of the Lab, and first how its stage starts on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from repx.agent.base.files import mark_of_file
from repx.agent.base.layout import FAILURE, Store, realization
from repx.agent.lab.run_file import Job
from repx.agent.lab.stage import Stage
from repx.agent.messages import JobOrder, UseLab, UsePackage, UseStage
from repx.agent.programs import Programs, ProgramsError
from repx.agent.resolver import Resolver
from repx.agent.scatter import PartJob
from repx.errors import SoftwareError
from repx.lab.directory import LabDirectory
from repx.lab.images import image_reference
from repx.runtime.executors.executor import Order
from repx.runtime.units import Unit


class Orders:
    """Makes the orders of a run. `resolver` says which results stand, so that workers need not look for them again."""

    def __init__(self, lab: LabDirectory, store: Store, resolver: Resolver, programs: Programs) -> None:
        self._lab = lab
        self._store = store
        self._resolver = resolver
        self._programs = programs
        self._runs = list(lab.runs.values())
        self._wholes: dict[str, Job] = {}
        self._stages: dict[tuple[str, str], UseStage] = {}

    @property
    def drift(self) -> list[str]:
        """How the software of this machine differs from what was recorded, where that is accepted."""
        return self._programs.drift

    def order(self, unit: Unit, *, force: bool, is_added: bool = False) -> Order:
        """The order of a unit whose inputs are there. One that is added to a job's realizations takes nobody's result.

        Raises SoftwareError when its software is not on this machine.
        """
        job, run = unit.job, self._runs[unit.run]
        assert job is not None
        whole = job if isinstance(job, Job) else self._whole(job)
        before: list[UseLab | UseStage | UsePackage] = [UseLab(self._lab.path), self._stage(job.stage, run.image)]
        for name, kind in job.references.items():
            value = job.params[name]
            if kind != "path" and value is not None:
                before.append(self._package(value))
        order = JobOrder(
            run=run.name,
            job=whole.id,
            realization=unit.index,
            seen={identity: one.key for identity in whole.upstream_ids() if (one := self._resolver.seen(identity))},
            results={name: made.digest for name in whole.runs_taken() if (made := self._resolver.results(name))},
            cpus=unit.needs.cpus,
            time_s=unit.time_s,
            limits=unit.limits,
            force=force,
            unit=unit.number,
            offset=whole.offset,
        )
        if is_added:
            # What another run has made of it meanwhile is found, and what has failed before is not taken for news.
            assert unit.resolved is not None, "it is ready"
            directory = realization(self._store.job(job.id), unit.index, unit.resolved.key)
            order = order._replace(force=True, again=True, failure=mark_of_file(f"{directory}/{FAILURE}"))
        if isinstance(job, PartJob):
            order = order._replace(step=job.step, item=job.item)
        return Order(tuple(before), order)

    def _whole(self, part: PartJob) -> Job:
        """The scatter-gather that a part is of."""
        if part.whole not in self._wholes:
            whole = self._lab.job(part.whole)
            assert whole is not None, "it is of this Lab"
            self._wholes[part.whole] = whole
        return self._wholes[part.whole]

    def _stage(self, stage: Stage, image: str) -> UseStage:
        place = (stage.executable, image)
        if place not in self._stages:
            with _told_to_people():
                self._stages[place] = UseStage(*place, self._programs.start(stage, image_reference(image)))
        return self._stages[place]

    def _package(self, name: str) -> UsePackage:
        with _told_to_people():
            return UsePackage(name, self._programs.package(name))


@contextlib.contextmanager
def _told_to_people() -> Iterator[None]:
    try:
        yield
    except ProgramsError as error:
        raise SoftwareError(error.headline, facts=error.facts, hint=error.hint) from None

"""What a worker is told: a stage once, then one order a job; plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from repx.agent.base.fingerprint import Line
from repx.agent.base.layout import Store
from repx.agent.lab.stage import Stage
from repx.lab.directory import LabDirectory
from repx.runtime.closure import ClosurePrograms
from repx.runtime.executors.executor import Order
from repx.runtime.images import Images
from repx.runtime.isolation import Isolation
from repx.runtime.software import HostPrograms, Programs
from repx.runtime.units import Unit


class Orders:
    """Makes the orders of a run. `drift` is how this machine's software differs, where that is accepted."""

    def __init__(
        self, lab: LabDirectory, store: Store, isolation: Isolation, images: Images, *, allow_drift: bool
    ) -> None:
        self._lab = lab
        self._images = images
        self._software: Programs = (
            HostPrograms(lab, store, allow_drift=allow_drift)
            if lab.closure is None
            else ClosurePrograms(lab, store, isolation)
        )

    @property
    def drift(self) -> list[str]:
        """How the software of this machine differs from what was recorded."""
        return self._software.drift

    def order(self, unit: Unit, *, force: bool) -> Order:
        """The order of a unit whose inputs are resolved. Raises SoftwareError."""
        assert unit.job is not None
        stage, image, lines = unit.job.stage, self._images.reference(unit.run), unit.job.identity.stage.fingerprint
        return Order(
            stage_id(stage, image),
            lambda: stage_order(stage, image, self._software, lines),
            job_order(unit, image, self._lab, self._software, force=force),
        )


def stage_id(stage: Stage, image: str) -> str:
    """What a worker knows a stage by: its script, and the image its jobs run in."""
    return f"{stage.executable} {image}"


def stage_order(stage: Stage, image: str, software: Programs, lines: Sequence[Line]) -> dict[str, Any]:
    """What all jobs of a stage share: how its script starts, PATH, env, outputs. Raises SoftwareError."""
    return {
        "stage": {
            "id": stage_id(stage, image),
            "kind": stage.kind,
            "name": stage.name,
            "version": stage.version,
            "outputs": stage.outputs,
            "lines": list(lines),
            **software.stage(stage, image),
        }
    }


def job_order(unit: Unit, image: str, lab: LabDirectory, software: Programs, *, force: bool) -> dict[str, Any]:
    """One job: its inputs, params with places made absolute, limits, the key its result will stand under."""
    job, resolved = unit.job, unit.resolved
    assert job is not None and resolved is not None
    params = dict(job.params)
    stored = [
        params[name].removeprefix("store/")
        for name, kind in job.references.items()
        if kind == "path" and params[name] is not None
    ]
    for name, kind in job.references.items():
        if params[name] is not None:
            params[name] = software.package(params[name]) if kind != "path" else software.path(params[name])
    if job.stage.takes_index:
        params["index"] = unit.index
    order = {
        "job": job.id,
        "stage": stage_id(job.stage, image),
        "index": unit.index,
        "key": resolved.key,
        "inputs": resolved.encoded_inputs(),
        "params": params,
        "fingerprint": job.identity.fingerprint().json(),
        "cpus": unit.needs.cpus,
        "time_s": unit.time_s,
        "force": force,
        "lab": lab.lab_id,
    }
    if stored:
        order["stored"] = stored
    if unit.limits:
        order["limits"] = unit.limits
    return order

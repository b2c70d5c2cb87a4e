"""What a worker is told: a stage once, then one order a job; plain values in, plain values out."""

from __future__ import annotations

from typing import Any

from repx.runtime.software import HostPrograms
from repx.runtime.units import Unit
from repx.store.lab import LabDirectory


def stage_order(stage: dict[str, Any], software: HostPrograms) -> dict[str, Any]:
    """What all jobs of a stage share: how its script starts, PATH, env, outputs. Raises SoftwareError."""
    return {
        "stage": {
            "id": stage["executable"],
            "kind": stage["kind"],
            "name": stage["name"],
            "version": stage["version"],
            "argv": software.argv(stage),
            "path": software.folder(stage["software"]),
            "env": stage["env"],
            "outputs": stage["outputs"],
        }
    }


def job_order(unit: Unit, lab: LabDirectory, software: HostPrograms, *, force: bool) -> dict[str, Any]:
    """One job: its inputs, params with places made absolute, limits, the key its result will stand under."""
    job, resolved = unit.job, unit.resolved
    assert job is not None and resolved is not None
    params = dict(job.params)
    for name, kind in job.references.items():
        if params[name] is not None:
            params[name] = software.package(params[name]) if kind == "package" else f"{lab.path}/{params[name]}"
    if job.stage.get("takes_index"):
        params["index"] = unit.index
    return {
        "job": job.id,
        "stage": job.stage["executable"],
        "index": unit.index,
        "key": resolved.key,
        "inputs": resolved.inputs,
        "params": params,
        "cpus": unit.needs.cpus,
        "time_s": unit.time_s,
        "force": force,
        "lab": lab.lab_id,
    }

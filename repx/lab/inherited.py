"""Params that a job has from everything upstream; knows no store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from repx.lab.run_file import LabJob


def effective_params(
    job: LabJob, find: Callable[[str], LabJob | None], known: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """A job's params and those it inherits from everything upstream; nearer ones win, its own last.

    A stored path that it takes as an input counts as a param of that name: what is swept tells jobs apart.
    """
    stack = [job]
    while stack:
        top = stack[-1]
        if top.id in known:
            stack.pop()
            continue
        ids = top.upstream_ids()
        waiting = [
            one for identity in ids if identity not in known and (one := top.run.job(identity) or find(identity))
        ]
        if waiting:
            stack.extend(waiting)
            continue
        merged: dict[str, Any] = {}
        for identity in ids:
            merged.update(known.get(identity, {}))
        merged.update(_paths_taken(top))
        known[top.id] = {**merged, **top.params} if merged else top.params
        stack.pop()
    return known[job.id]


def _paths_taken(job: LabJob) -> dict[str, str]:
    return {mapping["target_input"]: mapping["source_value"] for mapping in job.inputs if "source_value" in mapping}

"""Params that a job has from everything upstream; knows no store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from repx.agent.lab.job_line import Stored
from repx.agent.lab.run_file import Job


def effective_params(job: Job, find: Callable[[str], Job | None], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A job's params and those it inherits from everything upstream; nearer ones win, its own last.

    A stored path that it takes as an input counts as a param of that name: what is swept tells jobs apart.
    """
    stack = [job]
    opened: set[str] = set()
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
            if top.id in opened:
                raise top.run.circle(top.id)
            opened.add(top.id)
            stack.extend(waiting)
            continue
        merged: dict[str, Any] = {}
        for identity in ids:
            merged.update(known.get(identity, {}))
        merged.update(_paths_taken(top))
        known[top.id] = {**merged, **top.params}
        stack.pop()
    return known[job.id]


def _paths_taken(job: Job) -> dict[str, str]:
    return {source.input: source.place for source in job.inputs if isinstance(source, Stored)}

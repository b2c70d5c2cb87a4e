"""The results of a run as a file for the jobs that take them: its text, its digest, its place; resolves nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Callable, NamedTuple

from repx.agent.base.digest import canonical_json
from repx.agent.base.files import publish_file, read_if_there
from repx.agent.base.layout import Store
from repx.agent.base.names import shown_name
from repx.agent.lab.inherited import Inherited
from repx.agent.lab.run_file import Job, RunFile
from repx.agent.resolve import Realized


class RunResults(NamedTuple):
    """The results of a run; `digest` covers no ids and no paths."""

    run: str
    digest: str
    text: str

    def path(self, store: Store) -> str:
        """Where the file stands, or will: named by its content, so that equal results share it."""
        return results_path(store, self.run, self.digest)

    def write(self, store: Store) -> None:
        """Have the file there."""
        path = self.path(store)
        data = self.text.encode("utf-8", "surrogatepass")
        # Equal results of other jobs have the same name, and paths that may be gone by now.
        if read_if_there(path) != data:
            publish_file(path, data, 0o444)


RealizationsOf = Callable[[Job], "Iterable[tuple[int, Realized | None]]"]
"""The realizations of a job, each with its index; None is one without a result."""


def results_path(store: Store, run: str, digest: str) -> str:
    """The file of the results of a run that have this digest."""
    return "%s/%s-%s.json" % (store.objects, digest[:32], run)


def results_of_run(run: RunFile, realizations_of: RealizationsOf, inherited: Inherited) -> RunResults:
    """A run's results: one realization a line, inside one JSON document; those without a result have failed.

    Where a stage has several, `index` tells them apart. `several` has all the values of params that a job's upstreams
    do not agree on.
    """
    qualified = _qualified_names(run, inherited)
    lines: list[tuple[str, str]] = []
    for job in run.jobs():
        # A path's name is what the user swept; where it is stored says nothing to them.
        has = inherited.of(job)
        params = {name: _named(value) for name, value in has.one.items()}
        for name in qualified.get(job.stage.name, ()):
            if name not in params and len(values := inherited.values(job, name)) == 1:
                params[name] = _named(values[0])
        several = {name: [_named(value) for value in values.values()] for name, values in has.several.items()}
        about: dict[str, Any] = {"params": params, **({"several": several} if several else {})}
        for index, made in realizations_of(job):
            if job.stage.realizations > 1:
                about["index"] = index
            lines.append(_line(job.stage.name, about, made))
    lines.sort()
    digest = hashlib.sha256(b"repx-results 1\n")
    for identity, _ in lines:
        digest.update(identity.encode("utf-8", "surrogatepass") + b"\n")
    body = ",\n".join(line for _, line in lines)
    return RunResults(run.name, digest.hexdigest(), '{"run":%s,"jobs":[\n%s\n]}\n' % (canonical_json(run.name), body))


def _line(stage: str, about: Mapping[str, Any], made: Realized | None) -> tuple[str, str]:
    """What of a realization counts for the digest, and its line."""
    said = {**about, "state": "failed" if made is None else "succeeded"}
    outputs = {} if made is None else made.outputs
    digests = {name: output.digest for name, output in outputs.items()}
    paths = {} if made is None else {name: made.path(name) for name in outputs}
    # "stage" first: readers tell the lines of jobs from the frame by it.
    body = canonical_json({"outputs": paths, **said})
    return canonical_json([{"stage": stage, **said}, digests]), '{"stage":%s,%s' % (canonical_json(stage), body[1:])


def _qualified_names(run: RunFile, inherited: Inherited) -> dict[str, list[str]]:
    """For each stage the names `input.param` under which one of its jobs has a value: then all of them have one."""
    found: dict[str, dict[str, None]] = {}
    for job in run.jobs():
        names = [name for name in inherited.of(job).one if "." in name]
        if names:
            found.setdefault(job.stage.name, {}).update(dict.fromkeys(names))
    return {stage: list(names) for stage, names in found.items()}


def _named(value: Any) -> Any:
    return shown_name(value) if isinstance(value, str) else value

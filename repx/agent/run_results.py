"""The results of a run as a file for the jobs that take them: its text, its digest, its place; resolves nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from repx.agent.base.digest import canonical_json
from repx.agent.base.files import publish_file, read_if_there
from repx.agent.base.layout import Store
from repx.agent.base.names import shown_name
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


def results_path(store: Store, run: str, digest: str) -> str:
    """The file of the results of a run that have this digest."""
    return "%s/%s-%s.json" % (store.objects, digest[:32], run)


def results_of_run(
    run: RunFile, outcome_of: Callable[[str], Realized | None], params_of: Callable[[Job], Mapping[str, Any]]
) -> RunResults:
    """A run's results: one job a line, inside one JSON document; jobs without an outcome are failed ones."""
    lines: list[tuple[str, str]] = []
    for job in run.jobs():
        outcome = outcome_of(job.id)
        outputs = {} if outcome is None else outcome.outputs
        # A path's name is what the user swept; where it is stored says nothing to them.
        params = {name: _named(value) for name, value in params_of(job).items()}
        state = "failed" if outcome is None else "succeeded"
        seen = {"stage": job.stage.name, "params": params, "state": state}
        digests = {name: output.digest for name, output in outputs.items()}
        paths = {} if outcome is None else {name: outcome.path(name) for name in outputs}
        # "stage" first: readers tell the lines of jobs from the frame by it.
        body = canonical_json({"outputs": paths, "params": params, "state": state})
        lines.append((canonical_json([seen, digests]), '{"stage":%s,%s' % (canonical_json(job.stage.name), body[1:])))
    lines.sort()
    digest = hashlib.sha256(b"repx-results 1\n")
    for identity, _ in lines:
        digest.update(identity.encode("utf-8", "surrogatepass") + b"\n")
    body = ",\n".join(line for _, line in lines)
    return RunResults(run.name, digest.hexdigest(), '{"run":%s,"jobs":[\n%s\n]}\n' % (canonical_json(run.name), body))


def _named(value: Any) -> Any:
    return shown_name(value) if isinstance(value, str) else value

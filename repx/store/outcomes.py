"""What a job's inputs are today, the resolved key they make, and whether a result stands under it; writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from repx.agent.base.digest import canonical_json
from repx.agent.base.layout import Store
from repx.agent.base.record import OutputRecord, find_realization, resolved_key
from repx.agent.lab.job_line import FromJob, FromRun, InputSource
from repx.agent.lab.run_file import Job, RunFile
from repx.agent.lab.stage import Stage
from repx.lab.params import stored_name


class Outcome(NamedTuple):
    """A complete realization: where it stands, its outputs as its record says them, the key it stands under."""

    directory: str
    outputs: Mapping[str, OutputRecord]
    key: str

    def path(self, output: str) -> str:
        """The absolute path of an output."""
        return f"{self.directory}/out/{self.outputs[output].path}"


class RunResultsText(NamedTuple):
    """The results of a run as a file for the jobs that take them; `digest` covers no ids and no paths."""

    digest: str
    text: str


class Resolved(NamedTuple):
    """A job ready to run: its inputs as its worker takes them, and the key of what they make."""

    inputs: dict[str, Any]
    key: str


OutcomeOf = Callable[[str], Outcome]
ResultsOf = Callable[[str], tuple[str, str]]
"""(path of the file, content digest) of a run's results."""


def resolve(job: Job, index: int, lab: str, outcome_of: OutcomeOf, results_of: ResultsOf) -> Resolved:
    """The inputs and the resolved key of a job whose upstreams are all complete. `lab` is the Lab's directory."""
    inputs = job_inputs(job, lab, outcome_of, results_of)
    return Resolved(inputs, resolved_key(job.recipe, index, hashed_inputs(inputs)))


def job_inputs(job: Job, lab: str, outcome_of: OutcomeOf, results_of: ResultsOf) -> dict[str, Any]:
    """A job's inputs by name, each as a worker takes it: one value, a list, or None."""
    inputs = unfilled(job.stage)
    for source in job.inputs:
        value = input_value(source, lab, outcome_of, results_of)
        if isinstance(inputs[source.input], list):
            inputs[source.input].append(value)
        else:
            inputs[source.input] = value
    return inputs


def unfilled(stage: Stage) -> dict[str, Any]:
    """The inputs of a stage by name, before anything is known of them."""
    return {spec.name: [] if spec.kind == "paths" else None for spec in stage.inputs.values()}


def hashed_inputs(inputs: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(name, file name, digest) of every source, by input name, in the order of a list."""
    hashed = []
    for name, value in sorted(inputs.items()):
        for one in value if isinstance(value, list) else [value] if value is not None else []:
            hashed.append((name, one["file"], one["digest"]))
    return hashed


def input_value(source: InputSource, lab: str, outcome_of: OutcomeOf, results_of: ResultsOf) -> dict[str, Any]:
    """One source of an input as a worker takes it: path, file name, content digest, whether it is a run's results."""
    if isinstance(source, FromJob):
        outcome = outcome_of(source.job)
        output = outcome.outputs[source.output]
        path = f"{outcome.directory}/out/{output.path}"
        return {"path": path, "file": path.rpartition("/")[2], "digest": output.digest}
    if isinstance(source, FromRun):
        path, digest = results_of(source.run)
        return {"path": path, "file": f"{source.run}.json", "digest": digest, "results": True}
    return {"path": f"{lab}/{source.place}", "file": source.file_name, "digest": source.digest}


def look_up(store: Store, job: str, index: int, key: str) -> Outcome | None:
    """A complete realization by job, index and resolved key."""
    found = find_realization(store.job(job), index, key)
    return None if found is None else Outcome(found[0], found[1].outputs, key)


def results_text(
    run: RunFile, outcomes: Mapping[str, Outcome | None], params_of: Callable[[Job], dict[str, Any]]
) -> RunResultsText:
    """A run's results: one job a line, inside one JSON document; jobs without an outcome are failed ones."""
    lines: list[tuple[str, str]] = []
    for job in run.jobs():
        outcome = outcomes.get(job.id)
        seen = {
            "stage": job.stage.name,
            # A path's name is what the user swept; where it is stored says nothing to them.
            "params": {name: _named(value) for name, value in params_of(job).items()},
            "state": "failed" if outcome is None else "succeeded",
        }
        digests = {} if outcome is None else {name: output.digest for name, output in outcome.outputs.items()}
        paths = {} if outcome is None else {name: outcome.path(name) for name in outcome.outputs}
        # "stage" first: readers tell the lines of jobs from the frame by it.
        body = canonical_json({"outputs": paths, "params": seen["params"], "state": seen["state"]})
        lines.append((canonical_json([seen, digests]), f'{{"stage":{canonical_json(seen["stage"])},{body[1:]}'))
    lines.sort()
    digest = hashlib.sha256(b"repx-results 1\n")
    for identity, _ in lines:
        digest.update(identity.encode("utf-8", "surrogatepass") + b"\n")
    body = ",\n".join(line for _, line in lines)
    return RunResultsText(digest.hexdigest(), f'{{"run":{canonical_json(run.name)},"jobs":[\n{body}\n]}}\n')


def _named(value: Any) -> Any:
    return stored_name(value) if isinstance(value, str) else value

"""A Lab of one job, written by hand: what a worker reads of one, and no more; nothing in it could be verified."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from repx.agent.base.digest import digest_of_text
from repx.agent.lab.format import JOBS_END, JOBS_START, LAB_FORMAT, MANIFEST, ROOT

RUNNER = f"runner-{os.getpid()}"
"""Of this test process alone: what a dead runner has started is found, and killed, by the runner's name."""

RUN = "run"
EXECUTABLE = f"store/{digest_of_text('stage')}/bin/s"


def job_id(name: str) -> str:
    """The id of a job that a test calls so."""
    return f"{digest_of_text(name)}-{name}-1"


@dataclass(frozen=True)
class MiniJob:
    """What a test says of its job. `inputs` are files by input name; a list of several, or None."""

    id: str
    outputs: Mapping[str, str]
    params: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, Path | Sequence[Path] | None] = field(default_factory=dict)
    recipe: str = "recipe"
    """Another word makes another key."""


def write_mini_lab(directory: Path, job: MiniJob) -> Path:
    """Write the Lab; its directory."""
    stage = {
        "name": "s", "version": "1", "kind": "bash", "executable": EXECUTABLE,
        "inputs": [[name, "paths" if isinstance(given, list) else "path", True] for name, given in job.inputs.items()],
        "outputs": job.outputs, "params": sorted(job.params), "env": {}, "software": "store/x.json", "realizations": 1,
        "impure": False, "hash_mode": "pure", "takes_index": False, "source": "", "fingerprint": [],
    }  # fmt: skip
    mappings = []
    for name, given in job.inputs.items():
        for path in given if isinstance(given, list) else [] if given is None else [given]:
            assert isinstance(path, Path)
            place = f"store/{digest_of_text(path.name)}-{path.name}"
            (directory / "store").mkdir(parents=True, exist_ok=True)
            (directory / place).write_bytes(path.read_bytes())
            mappings.append({"target_input": name, "source_value": place, "digest": "d" * 64})
    line = {
        "stage": digest_of_text("stage"), "recipe": digest_of_text(job.recipe), "params": job.params,
        "executables": {"main": {"inputs": mappings}},
    }  # fmt: skip
    header = {
        "format": LAB_FORMAT, "name": RUN, "dependencies": {}, "stages": {digest_of_text("stage"): stage}, "count": 1,
        "digest": "",
    }  # fmt: skip
    run_file = f"{json.dumps(header)[:-1]},{JOBS_START}{json.dumps(job.id)}:{json.dumps(line)}\n{JOBS_END}"
    files = {
        MANIFEST: {"format": LAB_FORMAT, "labId": "0" * 32, "lab_version": "0", "metadata": ROOT, "files": []},
        ROOT: {"format": LAB_FORMAT, "runs": ["revision/run.json"]},
    }
    for place, content in files.items():
        (directory / place).parent.mkdir(parents=True, exist_ok=True)
        (directory / place).write_text(json.dumps(content))
    (directory / "revision/run.json").write_text(run_file)
    return directory

"""The README of a Lab, for someone who has never heard of repx."""

from __future__ import annotations

from repx.model.graph import DerivationGraph


def readme_text(graph: DerivationGraph, *, closure: bool = False, images: bool = False) -> str:
    """The whole text; whether the Lab has a closure, and images."""
    commit = f", commit {graph.git_commit}" if graph.git_commit else ""
    after = {run.name: ", ".join(one.run for one in run.after) or "–" for run in graph.runs}
    rows = [f"| {run.name} | {len(run.jobs)} | {after[run.name]} |\n" for run in graph.runs]
    return _README.format(
        version=graph.version,
        commit=commit,
        rows="".join(rows),
        anywhere=_ANYWHERE if closure else "",
        stored=", the software with all it refers to" if closure else " and software descriptions",
        images=_IMAGES if images else "",
        tools="programs that start anywhere: repx, a Python, a shell" if closure else "the program that runs one job",
    )


_README = """\
# A Lab

This directory is an experiment, complete: every script, every parameter and every input it was defined with.
It was made by repx, version {version} of the experiment{commit}.

| run | jobs | comes after |
|---|---|---|
{rows}
## Run it

    repx run --lab .          # runs what is not done yet; a second call runs nothing
    repx list jobs --lab .    # every job with its parameters
    repx status --lab .       # what is done
{anywhere}
## What is in it

- `lab/lab-metadata.json` – the manifest: the id of this Lab and the SHA-256 of every file
- `revision/` – the runs: one JSON file each, one line a job
- `jobs/<job id>/` – each job's script in `bin/`, the outputs it makes in `out/`
- `store/` – scripts, inputs{stored}, each stored once
{images}- `host-tools/` – {tools}
"""

_ANYWHERE = """
Where there is no repx, and where there is no Python or Nix either: `host-tools/*/bin/repx run --lab .`
"""

_IMAGES = "- `images/` – container images of the software, as OCI layouts\n"

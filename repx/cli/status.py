"""`repx status`: how many jobs of each run are done, failed, running, waiting or blocked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from repx.cli.options import json_option, lab_option, opened, store_option
from repx.cli.render import note, print_json, print_lines, print_table

if TYPE_CHECKING:
    from repx.agent.base.state import State
    from repx.analysis.listing import Summary
from repx.analysis.status import SHOWN
from repx.lab.directory import LabDirectory

_SHOWN_FAILURES = 10


@click.command("status")
@click.argument("names", nargs=-1, metavar="[RUN|@GROUP]...")
@lab_option
@store_option
@json_option
def status(names: tuple[str, ...], lab_path: str, store_path: str | None, as_json: bool) -> None:
    """How many jobs of each run succeeded, failed, run, wait or are blocked; a job of two runs is one in the total."""
    from repx.analysis.listing import summarize

    lab, store = opened(lab_path, store_path)
    summary = summarize(lab, store, names)
    if as_json:
        print_json(_as_json(summary))
        return

    titles = ["run", "jobs", *(one.value for one in SHOWN)]
    rows = [[one.run, *_cells(one.counts)] for one in summary.runs]
    rows.extend([[f"{one.run} steps", *_cells(one.steps)] for one in summary.runs if any(one.steps.values())])
    print_table(titles, [*rows, ["total", *_cells(summary.total)]], numbers=titles[1:])
    if summary.failures:
        print_lines(["", *(f"failed: {one}" for one in _failures(summary, lab))])
        if len(summary.failures) > _SHOWN_FAILURES:
            note(f"… and {len(summary.failures) - _SHOWN_FAILURES} more: repx list jobs --status failed")


def _cells(counts: Mapping[State, int]) -> list[str]:
    return [str(sum(counts.values())), *(str(count) for count in counts.values())]


def _failures(summary: Summary, lab: LabDirectory) -> list[str]:
    """The first failures along the pipeline, each with what tells its job from others."""
    from repx.agent.lab.inherited import Inherited
    from repx.lab.job_order import sorted_jobs
    from repx.lab.script_places import ScriptPlaces
    from repx.lab.titles import Titles

    titles, places = Titles(lab.job), ScriptPlaces(lab)
    failures = {one.job.id: one for one in summary.failures}
    told = []
    for job in sorted_jobs(lab, [one.job for one in summary.failures], Inherited(lab.job))[:_SHOWN_FAILURES]:
        one = failures[job.id]
        step = f"step {one.step}" if one.step else ""
        told.append(": ".join(filter(None, (titles.of(job), step, one.cause, places.told(one.last_words)))))
    return told


def _as_json(summary: Summary) -> dict[str, object]:
    return {
        "runs": [
            {"name": one.run, "jobs": sum(one.counts.values()), **_named(one.counts), "steps": _named(one.steps)}
            for one in summary.runs
        ],
        "total": {"jobs": sum(summary.total.values()), **_named(summary.total)},
        "failures": [
            {"job": one.job.id, "cause": one.cause, "step": one.step or None, "last_words": one.last_words or None}
            for one in summary.failures
        ],
    }


def _named(counts: Mapping[State, int]) -> dict[str, int]:
    return {status.value: count for status, count in counts.items()}

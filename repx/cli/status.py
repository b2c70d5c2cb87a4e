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

_SHOWN_FAILURES = 10


@click.command("status")
@click.argument("names", nargs=-1, metavar="[RUN|@GROUP]...")
@lab_option
@store_option
@json_option
def status(names: tuple[str, ...], lab_path: str, store_path: str | None, as_json: bool) -> None:
    """How many jobs of each run succeeded, failed, run, wait or are blocked; a job of two runs is one in the total."""
    from repx.analysis.listing import summarize

    summary = summarize(*opened(lab_path, store_path), names)
    if as_json:
        print_json(_as_json(summary))
        return

    titles = ["run", "jobs", *(one.value for one in SHOWN)]
    rows = [[one.run, *_cells(one.counts)] for one in summary.runs]
    rows.extend([[f"{one.run} steps", *_cells(one.steps)] for one in summary.runs if any(one.steps.values())])
    print_table(titles, [*rows, ["total", *_cells(summary.total)]], numbers=titles[1:])
    if summary.failures:
        print_lines(["", *(f"failed: {one}" for one in _failures(summary)[:_SHOWN_FAILURES])])
        if len(summary.failures) > _SHOWN_FAILURES:
            note(f"… and {len(summary.failures) - _SHOWN_FAILURES} more: repx list jobs --status failed")


def _cells(counts: Mapping[State, int]) -> list[str]:
    return [str(sum(counts.values())), *(str(count) for count in counts.values())]


def _failures(summary: Summary) -> list[str]:
    return [f"{one.job.id}: " + (f"step {one.step}: " if one.step else "") + one.cause for one in summary.failures]


def _as_json(summary: Summary) -> dict[str, object]:
    return {
        "runs": [
            {"name": one.run, "jobs": sum(one.counts.values()), **_named(one.counts), "steps": _named(one.steps)}
            for one in summary.runs
        ],
        "total": {"jobs": sum(summary.total.values()), **_named(summary.total)},
        "failures": [{"job": one.job.id, "cause": one.cause, "step": one.step or None} for one in summary.failures],
    }


def _named(counts: Mapping[State, int]) -> dict[str, int]:
    return {status.value: count for status, count in counts.items()}

"""`repx why`: what has changed since jobs were last done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from repx.agent.base.layout import Store
from repx.cli.options import json_option, opened, packages_option, store_option
from repx.cli.render import print_json, print_lines
from repx.errors import UsageError, plural
from repx.lab.directory import LabDirectory
from repx.lab.plain_text import plain_line

if TYPE_CHECKING:
    from repx.analysis.why import Standing, Why


@click.command("why")
@click.argument("names", nargs=-1, metavar="[EXPERIMENT.py] [RUN|@GROUP|STAGE|JOB]...")
@click.option("--lab", "-l", "lab_path", default=None, help="The Lab.  [default: result]")
@click.option("--diff", "whole", is_flag=True, help="Show all lines of scripts that differ.")
@packages_option
@store_option
@json_option
def why(
    names: tuple[str, ...],
    lab_path: str | None,
    whole: bool,
    packages: str | None,
    store_path: str | None,
    as_json: bool,
) -> None:
    """Why jobs are to run, or have run: what differs from the nearest earlier result of their stages."""
    from repx.analysis.why import explain
    from repx.cli.edited import warn_if_edited

    if names and names[0].endswith(".py"):
        if lab_path is not None:
            raise UsageError("both an experiment and --lab were given", hint="give one of them")
        with unwritten_lab(names[0], packages, store_path) as (lab, store):
            found = explain(lab, store, names[1:])
    else:
        lab, store = opened(lab_path or "result", store_path)
        warn_if_edited(lab, lab_path or "result")
        found = explain(lab, store, names)
    print_json(_as_json(found)) if as_json else print_lines(map(plain_line, _lines(found, whole=whole)))


@contextmanager
def unwritten_lab(
    experiment: str, packages: str | None, store_path: str | None
) -> Iterator[tuple[LabDirectory, Store]]:
    """The Lab of an experiment as it is now, in a temporary store, beside the store of its results."""
    from tempfile import TemporaryDirectory

    from repx import api
    from repx.store.location import open_store

    store = open_store(store_path)
    with TemporaryDirectory(prefix="repx-") as aside:
        written = api.realize_lab(api.load(experiment, packages, store=store), store=aside)
        yield LabDirectory(written.path).owned(is_own=True), store


def told_changes(found: Why) -> list[str]:
    """A line for each change of jobs of which earlier versions are in the store."""
    from repx.cli.show_changes import change_line, print_order

    changes = [one for one in print_order(found.changes) if one.before and not one.is_added and not found.is_past]
    return [change_line(one, found.scripts.get((one.before, one.after))) for one in changes]


def _lines(found: Why, *, whole: bool) -> Iterator[str]:
    from repx.cli.show_changes import change_line, diff_lines, print_order

    waiting = found.jobs - found.done
    if waiting:
        yield f"{waiting:,} of {found.jobs:,} {plural('job', found.jobs)} to run"
    elif any(change.before for change in found.changes):
        yield (
            f"{_done(found.jobs)}; what was new when they ran:" if found.jobs > 1 else "done; what was new when it ran:"
        )
    else:
        yield f"{_done(found.jobs)}, and no earlier version of them is in the store"
        return
    for change in print_order(found.changes):
        yield f"  {change_line(change, found.scripts.get((change.before, change.after)))}"
    for one in found.standing:
        yield f"  {one.count:,} {plural('job', one.count)} of {one.stage}: {_standing(one)}"
    yield from diff_lines(found.scripts, whole=whole)


def _done(jobs: int) -> str:
    return f"all {jobs:,} jobs are done" if jobs != 1 else "it is done"


def _standing(one: Standing) -> str:
    return f"{one.reason}{': ' if one.inputs else ''}" + ", ".join(f"`{name}`" for name in one.inputs)


def _as_json(found: Why) -> dict[str, Any]:
    from repx.cli.show_changes import change_json

    changes = [change_json(one, found.scripts.get((one.before, one.after))) for one in found.changes]
    standing = [
        {
            "stage": one.stage,
            "jobs": one.count,
            "reason": one.reason,
            "inputs": list(one.inputs),
            "example": one.example,
        }
        for one in found.standing
    ]
    return {"jobs": found.jobs, "done": found.done, "is_past": found.is_past, "changes": changes, "standing": standing}

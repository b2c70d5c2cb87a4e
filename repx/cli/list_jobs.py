"""`repx list jobs`: the jobs of runs, groups and stages, with filters and columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any

import click

from repx.agent.base.layout import Store
from repx.agent.base.selector import ranges
from repx.cli.options import json_option, lab_option, opened, quiet_option, store_option
from repx.cli.render import duration_text, print_json_array, print_lines, print_table
from repx.lab.directory import LabDirectory

if TYPE_CHECKING:
    from repx.analysis.listing import Listing, Query, Row
    from repx.analysis.steps import PartStatus

_STATUSES = ("succeeded", "failed", "pending", "running", "blocked")
_ITEM_WIDTH = 48
_SEVERAL = 4
_VARYING = 8
"""Columns of params that are shown unasked."""


@click.command("jobs")
@click.argument("names", nargs=-1, metavar="[RUN|@GROUP|STAGE|JOB]...")
@click.option("-s", "--stage", default="", metavar="TEXT", help="Only stages with this in their name.")
@click.option("--status", "statuses", multiple=True, type=click.Choice(_STATUSES), help="Only these; repeatable.")
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="NAME",
    help="A column with this param, in place of what varies; repeatable.",
)
@click.option("-w", "--where", multiple=True, metavar="NAME=VALUE", help="Only jobs with this param; repeatable.")
@click.option("-g", "--group-by-stage", "by_stage", is_flag=True, help="Stage after stage.")
@click.option("--output-paths", is_flag=True, help="Where the outputs are.")
@click.option("--steps", is_flag=True, help="Also the steps of scatter-gather jobs.")
@lab_option
@store_option
@quiet_option
@json_option
def jobs(
    names: tuple[str, ...],
    stage: str,
    statuses: tuple[str, ...],
    params: tuple[str, ...],
    where: tuple[str, ...],
    by_stage: bool,
    output_paths: bool,
    steps: bool,
    lab_path: str,
    store_path: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """The jobs of runs, groups and stages, or of everything, with the params in which they differ.

    Params include inherited ones. Where the jobs that one takes from do not agree, INPUT.PARAM is that of one input.
    """
    from repx.agent.base.state import State
    from repx.analysis.listing import Query

    lab, store = opened(lab_path, store_path)
    query = Query(names, stage, frozenset(map(State, statuses)), params, where)
    print_jobs(lab, store, query, by_stage, output_paths, steps, quiet=quiet, as_json=as_json)


def print_jobs(
    lab: LabDirectory,
    store: Store,
    query: Query,
    by_stage: bool = False,
    output_paths: bool = False,
    steps: bool = False,
    *,
    quiet: bool = False,
    as_json: bool = False,
) -> None:
    """Print a listing in the form that the options ask for."""
    from repx.analysis.listing import Listing

    listing = Listing(lab, store, query)
    rows = listing.rows()
    if by_stage:
        together = list(rows)
        places = {name: number for number, name in enumerate(dict.fromkeys(row.job.stage.name for row in together))}
        rows = iter(sorted(together, key=lambda row: places[row.job.stage.name]))
    if as_json:
        print_json_array(_as_json(listing, row, steps) for row in rows)
    elif quiet:
        print_lines(_names(listing, rows, steps))
    else:
        _print_table(listing, rows, query, by_stage, output_paths, steps)


def _print_table(
    listing: Listing, rows: Iterator[Row], query: Query, by_stage: bool, output_paths: bool, steps: bool
) -> None:
    from repx.analysis.listing import SORTED
    from repx.lab.params import shown

    def print_rows(some: Iterator[Row]) -> None:
        first = list(islice(some, SORTED + 1))
        # Who names columns gets these alone.
        is_small = len(first) <= SORTED and not query.params
        params = query.params or (listing.varying(first)[:_VARYING] if is_small else [])
        took = ["took"] if is_small else []
        has_added = is_small and any(row.added for row in first)
        titles = [
            "job",
            "status",
            *took,
            *(["added"] if has_added else []),
            *params,
            *(["item"] if steps else []),
            *(["outputs"] if output_paths else []),
        ]

        def cells() -> Iterator[list[str]]:
            for row in chain(first, some):
                added = [ranges(row.added) or "-"] if has_added else []
                values = [_values(row, name) for name in params]
                outputs = [" ".join(row.outputs.values()) or "-"] if output_paths else []
                times = [duration_text(row.duration_s)] if is_small else []
                yield [row.job.id, row.status.value, *times, *added, *values, *(["-"] if steps else []), *outputs]
                for part in listing.parts(row.job) if steps else ():
                    values = [shown(part.params[name]) if name in part.params else "-" for name in params]
                    identity = "  " + (part.id or f"({part.step})")
                    rest = [_shortened(part), *(["-"] if output_paths else [])]
                    yield [identity, part.status.value, *["-" for _ in (*took, *added)], *values, *rest]

        print_table(titles, cells(), numbers=took, empty="no jobs")

    if not by_stage:
        print_rows(rows)
        return
    for number, (stage, some) in enumerate(groupby(rows, key=lambda row: row.job.stage.name)):
        members = list(some)
        print_lines([*([""] if number else []), f"{stage} ({len(members)})"])
        print_rows(iter(members))


def _values(row: Row, name: str) -> str:
    """The value of a param in a table; all of them where what the job takes from does not agree."""
    from repx.lab.params import shown

    values = row.values(name)
    text = ", ".join(shown(value) for value in values[:_SEVERAL]) or "-"
    text += ", …" if len(values) > _SEVERAL else ""
    return text if len(text) <= _ITEM_WIDTH else text[: _ITEM_WIDTH - 1] + "…"


def _names(listing: Listing, rows: Iterator[Row], steps: bool) -> Iterator[str]:
    for row in rows:
        yield row.job.id
        yield from (part.id for part in listing.parts(row.job) if part.id) if steps else ()


def _as_json(listing: Listing, row: Row, steps: bool) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": row.job.id,
        "stage": row.job.stage.name,
        "run": row.job.run.name,
        "status": row.status.value,
        "added": row.added,
        "params": dict(row.params),
        "outputs": dict(row.outputs),
    }
    if steps and row.job.parts is not None:
        value["steps"] = [
            {
                "id": part.id or None,
                "step": part.step,
                "stage": part.stage,
                "item": None if part.item is None else json.loads(part.item),
                "status": part.status.value,
            }
            for part in listing.parts(row.job)
        ]
    return value


def _shortened(part: PartStatus) -> str:
    item = part.item or "-"
    return item if len(item) <= _ITEM_WIDTH else item[: _ITEM_WIDTH - 1] + "…"

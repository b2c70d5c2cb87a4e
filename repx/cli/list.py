"""`repx list`: runs, jobs, dependencies, groups, Labs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from repx.cli.list_jobs import jobs, print_jobs
from repx.cli.options import json_option, lab_option, opened, quiet_option, store_option
from repx.cli.render import note, print_json, print_lines, print_table

if TYPE_CHECKING:
    from repx.analysis.lab_history import LabEntry


class _ListGroup(click.Group):
    """Bare `repx list` lists runs, and `dependencies` is `deps`."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["runs", *args]
        return super().parse_args(context, args)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return super().get_command(context, "deps" if name == "dependencies" else name)


@click.group("list", cls=_ListGroup)
def list_group() -> None:
    """List runs (what a bare `repx list` does), jobs, deps, groups, labs."""


@list_group.command("runs")
@click.argument("name", required=False)
@lab_option
@store_option
@quiet_option
@json_option
def runs(name: str | None, lab_path: str, store_path: str | None, quiet: bool, as_json: bool) -> None:
    """The runs of the Lab; with NAME the jobs of that run."""
    lab, store = opened(lab_path, store_path)
    if name is not None:
        from repx.analysis.listing import Query
        from repx.lab.selection import find_runs

        print_jobs(lab, store, Query(names=tuple(find_runs(lab, name))), quiet=quiet, as_json=as_json)
        return
    groups = {run: [group for group, members in sorted(lab.groups.items()) if run in members] for run in lab.runs}
    after = {run.name: lab.dependencies(run) for run in lab.runs.values()}
    if as_json:
        print_json(
            [
                {"name": run.name, "jobs": run.count, "after": after[run.name], "groups": groups[run.name]}
                for run in lab.runs.values()
            ]
        )
    elif quiet:
        print_lines(lab.runs)
    else:
        rows = [
            [run.name, str(run.count), " ".join(_kinds(after[run.name])) or "-", " ".join(groups[run.name]) or "-"]
            for run in lab.runs.values()
        ]
        print_table(["run", "jobs", "after", "groups"], rows, numbers=["jobs"], empty="this Lab has no runs")


list_group.add_command(jobs)


@list_group.command("deps")
@click.argument("job", metavar="JOB")
@lab_option
@store_option
@json_option
def deps(job: str, lab_path: str, store_path: str | None, as_json: bool) -> None:
    """The jobs that JOB depends on, as a tree. Also `repx list dependencies`."""
    from repx.analysis.dependencies import edges, tree
    from repx.lab.selection import find_job

    lab, _ = opened(lab_path, store_path)
    top = find_job(lab, job)
    if as_json:
        print_json(edges(lab, top))
    else:
        print_lines(tree(lab, top))


@list_group.command("groups")
@click.argument("name", required=False)
@lab_option
@store_option
@quiet_option
@json_option
def groups(name: str | None, lab_path: str, store_path: str | None, quiet: bool, as_json: bool) -> None:
    """The groups of the Lab; with NAME the runs of that group."""
    from repx.lab.selection import whole_runs

    lab, _ = opened(lab_path, store_path)
    if name is not None:
        members = whole_runs(lab, "@" + name.removeprefix("@")) or []
        print_json(members) if as_json else print_lines(members)
    elif as_json:
        print_json(lab.groups)
    elif quiet:
        print_lines(sorted(lab.groups))
    else:
        rows = [[group, " ".join(members)] for group, members in sorted(lab.groups.items())]
        print_table(["group", "runs"], rows, empty="this Lab has no groups")


@list_group.command("labs")
@click.option("--all", "whole", is_flag=True, help="Look at every job, where that takes long as well.")
@store_option
@quiet_option
@json_option
def labs(whole: bool, store_path: str | None, quiet: bool, as_json: bool) -> None:
    """The Labs that the store knows, the latest first: when, from what, how many of their jobs are done."""
    from repx.analysis.lab_history import lab_history
    from repx.store.location import open_store

    entries = lab_history(open_store(store_path), whole=whole)
    if as_json:
        print_json([entry.json() for entry in entries])
    elif quiet:
        print_lines(entry.id for entry in entries)
    else:
        titles = ["lab", "when", "commit", "jobs", "done", "experiment", "remark"]
        rows = [_lab_cells(entry) for entry in entries]
        print_table(titles, rows, numbers=["jobs", "done"], empty="this store has no Labs")
        if any(entry.jobs and entry.done is None for entry in entries):
            note("? has not been looked at: repx list labs --all")


def _lab_cells(entry: LabEntry) -> list[str]:
    when = f"{datetime.fromtimestamp(entry.made_at, UTC).astimezone():%Y-%m-%d %H:%M}"
    name, dash, dirty = entry.commit.partition("-")
    done = "?" if entry.done is None and entry.jobs else str(entry.done or 0)
    pins = f"pinned: {' '.join(entry.names)}" if entry.names else ""
    remark = "collected" if entry.is_gone else "damaged" if not entry.runs else "brought" if entry.is_foreign else ""
    cells = [entry.id[:12], when, name[:10] + dash + dirty or "-", str(entry.jobs), done, entry.experiment or "-"]
    return [*cells, "; ".join(filter(None, (remark, pins)))]


def _kinds(after: Mapping[str, str]) -> list[str]:
    return [run if kind == "hard" else f"{run}({kind})" for run, kind in after.items()]

"""`repx list`: runs, jobs, dependencies, groups."""

from __future__ import annotations

from collections.abc import Mapping

import click

from repx.cli.list_jobs import jobs, print_jobs
from repx.cli.options import json_option, lab_option, opened, quiet_option, store_option
from repx.cli.render import print_json, print_lines, print_table


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
    """List runs (what a bare `repx list` does), jobs, deps, groups."""


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


def _kinds(after: Mapping[str, str]) -> list[str]:
    return [run if kind == "hard" else f"{run}({kind})" for run, kind in after.items()]

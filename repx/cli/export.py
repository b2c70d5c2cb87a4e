"""`repx export`: outputs under names that people read."""

from __future__ import annotations

from collections.abc import Sequence

import click

from repx.cli.options import json_option, lab_option, opened, store_option


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN|@GROUP|STAGE|JOB]...")
@click.argument("directory", metavar="DIR")
@click.option(
    "--layout",
    default=None,
    metavar="TEXT",
    help="Names with {stage}, {output}, any param, {run}, {version}, {job}, {index}, {file}, {params}.",
)
@click.option("--output", "outputs", multiple=True, metavar="NAME", help="Only the outputs of this name; repeat it.")
@click.option("--link", is_flag=True, help="Make links into the store instead of copies.")
@click.option("--replace", is_flag=True, help="Replace what has one of the names already.")
@lab_option
@store_option
@json_option
def export(
    names: Sequence[str],
    directory: str,
    layout: str | None,
    outputs: Sequence[str],
    link: bool,
    replace: bool,
    lab_path: str,
    store_path: str | None,
    as_json: bool,
) -> None:
    """Copy the outputs of what is named into DIR, as the layout says, such as "{stage}/{model}-{seed}/{output}"."""
    from repx.analysis.export import cannot_write, plan_export
    from repx.analysis.export import export as put
    from repx.analysis.layout import DEFAULT_LAYOUT
    from repx.cli.render import print_json
    from repx.cli.streams import say
    from repx.errors import UsageError, plural

    lab, store = opened(lab_path, store_path)
    plan = plan_export(lab, store, names, layout or DEFAULT_LAYOUT, outputs)
    if not plan.exported:
        raise UsageError(
            f"there is nothing to export: {plan.missing} {plural('job', plan.missing)} without a result",
            hint="run it: repx run",
        )
    try:
        new = put(plan, directory, link=link, replace=replace)
    except OSError as error:
        raise cannot_write(directory, error) from None
    if as_json:
        files = [
            {"name": one.name, "job": one.job.id, "index": one.index, "output": one.output_name}
            for one in plan.exported
        ]
        print_json({"directory": directory, "new": new, "missing": plan.missing, "outputs": files})
        return
    count = len(plan.exported)
    there = f", {count - new} of them there already" if new < count else ""
    say(f"{directory}: {count} {plural('output', count)}{there}", is_answer=True)
    if plan.missing:
        say(f"  {plan.missing} {plural('job', plan.missing)} without a result", is_answer=True)

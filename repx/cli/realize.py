"""`repx realize`: build the Lab of an experiment and link it."""

from __future__ import annotations

import click

from repx.cli.notes import show_notes
from repx.cli.options import json_option, packages_option, store_option
from repx.cli.streams import say


@click.command()
@click.argument("experiment", type=click.Path())
@click.option("-o", "--output", default="result", show_default=True, help="The link to make.")
@click.option("--run", "run_name", default=None, metavar="NAME", help="Only this run, and what it comes after.")
@packages_option
@store_option
@json_option
def realize(
    experiment: str, output: str, run_name: str | None, packages: str | None, store_path: str | None, as_json: bool
) -> None:
    """Build the Lab of EXPERIMENT (a Python file) into the store and link it."""
    import json
    import shlex

    from repx import api
    from repx.cli.live_line import LiveLine
    from repx.store.links import check_link, link_result
    from repx.store.location import open_store

    store = open_store(store_path)
    check_link(output)
    with LiveLine(quiet=as_json) as live:
        written = api.realize_lab(
            api.load(experiment, packages, store=store), store=store, run=run_name, watch=live.show
        )
    link_result(written.path, output, store)
    show_notes(written.notes)
    if as_json:
        answer = {"lab": written.lab_id, "path": written.path, "link": output, "new": written.is_new}
        counts = {"runs": written.runs, "jobs": written.jobs, "realizations": written.realizations}
        say(json.dumps({**answer, **counts}), is_answer=True)
    else:
        then = f"run it: repx run{'' if output == 'result' else f' --lab {shlex.quote(output)}'}"
        say(f"{written.summary(output)}\n  {written.path}\n{then}", is_answer=True)

"""`repx log`: what a job printed, while it runs or afterwards."""

from __future__ import annotations

import sys

import click

from repx.cli.options import json_option, lab_option, opened, store_option
from repx.cli.render import answer_may_be_cut, note, print_json, print_lines
from repx.errors import UsageError, plural
from repx.lab.plain_text import plain_lines, plain_stream


@click.command("log")
@click.argument("job", metavar="JOB")
@click.option("-n", "--lines", type=click.IntRange(0), default=50, show_default=True, help="The last so many; 0: all.")
@click.option("--stderr", is_flag=True, help="Standard error instead of standard output.")
@click.option("--trace", is_flag=True, help="The commands that a Bash script ran, once it has ended.")
@click.option("--raw", is_flag=True, help="With its escape sequences and carriage returns.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the job ends.")
@click.option("--attempt", type=click.IntRange(1), default=None, help="Which attempt, from 1; the last unless said.")
@click.option("--index", default=0, show_default=True, help="Which realization.")
@lab_option
@store_option
@json_option
def log(
    job: str,
    lines: int,
    stderr: bool,
    trace: bool,
    raw: bool,
    follow: bool,
    attempt: int | None,
    index: int,
    lab_path: str,
    store_path: str | None,
    as_json: bool,
) -> None:
    """Print what JOB wrote: a stage, stage[param=value], or the start of an id."""
    from repx.analysis.logs import find_log
    from repx.lab.script_places import ScriptPlaces

    if follow and (as_json or attempt is not None or trace):
        raise UsageError("--follow goes with none of --json, --attempt and --trace")
    if stderr and trace:
        raise UsageError("one of --stderr and --trace can be shown at a time")
    lab, store = opened(lab_path, store_path)
    stream = "trace" if trace else "stderr" if stderr else "stdout"
    found = find_log(lab, store, job, index, attempt)
    places = ScriptPlaces(lab)
    if follow and found.running(stream).is_running:
        with answer_may_be_cut():
            told = found.running(stream).follow(lines)
            for text in told if raw else map(places.told, plain_stream(told)):
                sys.stdout.write(text)
                sys.stdout.flush()
        return
    texts, is_cut = found.tail(stream, lines)
    if as_json:
        about = {"job": found.job, "attempt": found.number, "stream": stream}
        print_json({**about, "complete": not is_cut, "lines": texts})
        return
    if is_cut:
        note(f"(the last {lines} {plural('line', lines)}; all of it: -n 0)")
    print_lines(texts if raw else (places.told(line) for text in texts for line in plain_lines(text) or [""]))
    if not texts:
        other = "stdout" if stderr or trace else "stderr"
        has_other = bool(found.tail(other, 1)[0])
        note(
            f"{found.job} wrote nothing to {stream}"
            + (f"; it did to {other}: " + _switch(found.job, other) if has_other else "")
        )


def _switch(job: str, stream: str) -> str:
    return f"repx log {job[:12]}" + (" --stderr" if stream == "stderr" else "")

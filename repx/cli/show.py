"""`repx show`: one job, or its outputs."""

from __future__ import annotations

import codecs
import shutil
import sys
from typing import TYPE_CHECKING

import click

from repx.cli.options import json_option, lab_option, opened, store_option
from repx.cli.render import answer_may_be_cut, print_facts, print_json, print_table, size_text
from repx.cli.show_facts import job_facts
from repx.errors import UsageError
from repx.lab.plain_text import plain_stream

if TYPE_CHECKING:
    from repx.analysis.outputs import OutputFile


@click.group("show")
def show_group() -> None:
    """Show one job, or its outputs. JOB: a stage, stage[param=value], or the start of an id."""


@show_group.command("job")
@click.argument("job", metavar="JOB")
@click.option("--index", default=0, show_default=True, help="The outputs and attempts of which realization.")
@lab_option
@store_option
@json_option
def show_job(job: str, index: int, lab_path: str, store_path: str | None, as_json: bool) -> None:
    """Describe JOB: its params, inputs and outputs, and its last attempt."""
    from repx.analysis.describe import describe_job, describe_stored
    from repx.analysis.steps import StoredJob, find_job_or_step

    lab, store = opened(lab_path, store_path)
    found = find_job_or_step(lab, store, job)
    described = describe_stored(found) if isinstance(found, StoredJob) else describe_job(found, lab, store, index)
    print_json(described) if as_json else print_facts(job_facts(described))


@show_group.command("output")
@click.argument("job", metavar="JOB")
@click.argument("wanted", metavar="[OUTPUT|PATH]", required=False)
@click.option("--raw", is_flag=True, help="Also to a terminal the bytes as they are.")
@click.option("--index", default=0, show_default=True, help="Which realization.")
@lab_option
@store_option
@json_option
def show_output(
    job: str, wanted: str | None, raw: bool, index: int, lab_path: str, store_path: str | None, as_json: bool
) -> None:
    """List the outputs of JOB; or print one, by its name or its path below $out."""
    from repx.analysis.outputs import files_below, result_of
    from repx.analysis.steps import find_job_or_step

    lab, store = opened(lab_path, store_path)
    result = result_of(find_job_or_step(lab, store, job), lab, store, index)
    if wanted is None:
        files = result.files()
    else:
        one = result.find(wanted)
        if not one.is_directory and not as_json:
            _print_file(one, raw=raw)
            return
        files = files_below(one) if one.is_directory else [one]
    if as_json:
        print_json([{"name": one.name or None, "path": str(one.path), "size": one.size} for one in files])
    else:
        rows = [[one.name or "-", size_text(one.size), str(one.path)] for one in files]
        print_table(["output", "size", "path"], rows, numbers=["size"], empty="there are no files in it")


def _print_file(file: OutputFile, *, raw: bool) -> None:
    """Write the bytes as they are; to a terminal only text, and without what would move its cursor."""
    with file.path.open("rb") as source:
        if sys.stdout.isatty() and not raw:
            head = source.read(8192)
            source.seek(0)
            # The first bytes may end within a character.
            if b"\0" in head or "\ufffd" in head.decode("utf-8", "replace").rstrip("\ufffd"):
                raise UsageError(
                    f"{file.place} is not text",
                    facts=[("path", file.path), ("size", size_text(file.size))],
                    hint="send it to a file or another program: repx show output … > file, or --raw",
                )
            with answer_may_be_cut():
                decode = codecs.getincrementaldecoder("utf-8")("replace").decode
                for text in plain_stream(decode(block) for block in iter(lambda: source.read(1 << 16), b"")):
                    sys.stdout.write(text)
                sys.stdout.flush()
            return
        with answer_may_be_cut():
            shutil.copyfileobj(source, sys.stdout.buffer)
            sys.stdout.buffer.flush()

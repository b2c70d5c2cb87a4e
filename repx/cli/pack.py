"""`repx pack` and `repx unpack`: a Lab as one file, with its results if they are wanted, and back."""

from __future__ import annotations

from pathlib import Path

import click

from repx.cli.options import json_option, store_option
from repx.cli.streams import say
from repx.errors import RepxError, UsageError, plural

_ENDINGS = (".tar", ".tar.zst")


@click.command()
@click.argument("lab_path", metavar="[LAB]", default="result")
@click.option("-o", "--output", default="lab.tar", show_default=True, help="The file to make: .tar, or .tar.zst.")
@click.option("--results", is_flag=True, help="Take the results along that the store has of it.")
@store_option
@json_option
def pack(lab_path: str, output: str, results: bool, store_path: str | None, as_json: bool) -> None:
    """Make one file of LAB (by default ./result), the same bytes each time."""
    from repx.cli.live_line import LiveLine
    from repx.cli.render import print_json, size_text
    from repx.store.location import open_lab, verify_once
    from repx.store.sharing import pack as packing

    if not output.endswith(_ENDINGS):
        raise UsageError(f"{output} is not the name of an archive", hint=f"end it in {' or '.join(_ENDINGS)}")
    if Path(output).is_dir():
        raise UsageError(f"{output} is a directory", hint="give the name of a file: -o lab.tar")
    lab, store = open_lab(lab_path, store_path)
    verify_once(lab, store)
    try:
        with LiveLine(quiet=as_json) as live:
            count = packing.pack(lab, store if results else None, output, live.show)
        size = Path(output).stat().st_size
    except OSError as error:
        raise RepxError(f"{output} cannot be written: {error.strerror or error}") from None
    if as_json:
        print_json({"lab": lab.lab_id, "file": output, "bytes": size, "results": count})
    else:
        say(
            f"{output}: the Lab{f' and {count} {_results(count)}' if results else ''}, {size_text(size)}B",
            is_answer=True,
        )


@click.command()
@click.argument("archive")
@click.option("-o", "--output", default="result", show_default=True, help="The link to make.")
@store_option
@json_option
def unpack(archive: str, output: str, store_path: str | None, as_json: bool) -> None:
    """Bring the Lab of ARCHIVE into the store and link it; its results, too, if they were packed."""
    from repx.cli.live_line import LiveLine
    from repx.cli.push import carried_json, say_rest
    from repx.cli.render import print_json
    from repx.store.links import check_link, link_result
    from repx.store.location import open_store
    from repx.store.sharing import unpack as unpacking

    store = open_store(store_path)
    check_link(output)
    with LiveLine(quiet=as_json) as live:
        live.show("the Lab")
        unpacked = unpacking.unpack(archive, store, live.show)
    lab, carried = unpacked.lab, unpacked.carried
    link_result(lab.path, output, store)
    if as_json:
        print_json({"link": output, **carried_json(carried, lab, is_new=unpacked.is_new)})
    else:
        taken = f", {carried.taken} {_results(carried.taken)}" if carried.taken else ""
        jobs = sum(1 for _ in lab.jobs())
        what = f"{len(lab.runs)} {plural('run', len(lab.runs))}, {jobs} {plural('job', jobs)}{taken}"
        say(f"{output}: {what}{'' if unpacked.is_new else '; the Lab was here already'}", is_answer=True)
        say_rest(carried, "there")
    damage = carried.damage()
    if damage is not None:
        raise damage


def _results(count: int) -> str:
    return plural("result", count)

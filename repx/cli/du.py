"""`repx du`: what takes how much room in the store."""

from __future__ import annotations

import click

from repx.cli.options import json_option, store_option
from repx.cli.render import print_json, print_table, size_text


@click.command("du")
@click.option("--stages", is_flag=True, help="The outputs by stage, the largest first.")
@store_option
@json_option
def du(stages: bool, store_path: str | None, as_json: bool) -> None:
    """Say how much of the disk each part of the store takes; what has several names counts once."""
    from repx.realizer.cache import cache_directory
    from repx.store.gc.usage import usage_by_kind, usage_by_stage
    from repx.store.location import open_store
    from repx.store.roots import refuse_missing_store

    store = open_store(store_path)
    refuse_missing_store(store)
    found = usage_by_stage(store) if stages else usage_by_kind(store, cache_directory())
    if as_json:
        print_json(
            [
                {"name": one.name, "entries": one.entries, "bytes": one.size.bytes, "files": one.size.files}
                for one in found
            ]
        )
        return
    rows = [[one.name, str(one.entries), str(one.size.files), size_text(one.size.bytes)] for one in found]
    what = "stage" if stages else "kind"
    print_table(
        [what, "entries", "files", "size"], rows, numbers=["entries", "files", "size"], empty="there is nothing"
    )

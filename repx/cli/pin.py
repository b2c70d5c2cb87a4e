"""`repx pin` and `repx unpin`: keep a Lab, or the outputs of one job, until told otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from repx.cli.options import json_option, lab_option, store_option
from repx.cli.render import print_json
from repx.cli.streams import say

if TYPE_CHECKING:
    from repx.agent.base.layout import Store


@click.command("pin")
@click.argument("what", required=False, metavar="[LAB|JOB]")
@click.option("--name", default=None, help="What to call it.  [default: the start of the id]")
@lab_option
@store_option
@json_option
def pin(what: str | None, name: str | None, lab_path: str, store_path: str | None, as_json: bool) -> None:
    """Keep a Lab with all its results, or the outputs of one JOB, whatever is collected; ./result if nothing is named.

    LAB: a path, or the start of a Lab's id. JOB: a stage, stage[param=value], or the start of an id.
    """
    from repx.store import roots

    store, lab, job = _meant(what, lab_path, store_path)
    chosen = name or (job[:12] if job else lab[:12])
    roots.pin(store, chosen, lab=lab, job=job)
    if as_json:
        print_json({"name": chosen, "lab": lab or None, "job": job or None})
    else:
        say(f"{chosen}: {job or f'the Lab {lab}'} is kept; let it go with: repx unpin {chosen}", is_answer=True)


@click.command("unpin")
@click.argument("name")
@store_option
@json_option
def unpin(name: str, store_path: str | None, as_json: bool) -> None:
    """Let go of what was pinned as NAME (or the start of one pin's name); nothing is deleted before `repx gc`."""
    from repx.store import roots
    from repx.store.location import open_store

    gone = roots.unpin(open_store(store_path), name)
    if as_json:
        print_json({"name": gone.name, "lab": gone.lab or None, "job": gone.job or None})
    else:
        say(f"{gone.name}: {gone.job or f'the Lab {gone.lab}'} is pinned no more", is_answer=True)


def _meant(what: str | None, lab_path: str, store_path: str | None) -> tuple[Store, str, str]:
    """The store, and a Lab's id or a job's. Raises UsageError for what is not there."""
    from pathlib import Path

    from repx.errors import LabError, UsageError
    from repx.lab.selection import find_job
    from repx.store.location import open_lab, open_store
    from repx.store.roots import labs_with_prefix

    if what is None or Path(what).exists() or Path(what).is_symlink():
        lab, store = open_lab(what or lab_path, store_path)
        if not labs_with_prefix(store, lab.lab_id):
            raise UsageError(
                f"the Lab at {what or lab_path} is not in the store",
                facts=[("store", store.root)],
                hint="its results are kept as long as the directory is there; or bring it in: repx unpack",
            )
        return store, lab.lab_id, ""
    store = open_store(store_path)
    labs = labs_with_prefix(store, what)
    if len(labs) > 1:
        raise UsageError(f"{what!r} is the start of several Labs' ids", facts=[("they are", "\n".join(labs))])
    if labs:
        return store, labs[0], ""
    try:
        lab, store = open_lab(lab_path, store_path)
    except LabError:
        raise UsageError(
            f"there is no Lab {what!r} in the store", facts=[("store", store.root)], hint="see them: repx gc list"
        ) from None
    return store, "", _job_there(store, find_job(lab, what).id)


def _job_there(store: Store, job: str) -> str:
    from pathlib import Path

    from repx.agent.base.layout import OUT
    from repx.errors import UsageError

    directory = Path(store.job(job))
    if not any((one / OUT).exists() for one in (directory, *directory.glob("*-*"))):
        raise UsageError(
            f"job {job} has no outputs to keep",
            facts=[("store", store.root)],
            hint=f"run it first: repx run {job[:12]}",
        )
    return job

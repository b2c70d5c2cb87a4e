"""`repx push` and `repx pull`: results, and the Lab they are of, to another store and from one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repx.cli.options import json_option, store_option

if TYPE_CHECKING:
    from repx.agent.base.layout import Store
    from repx.lab.directory import LabDirectory
    from repx.store.sharing.carry import Carried


@click.command()
@click.argument("names", nargs=-1, metavar="[LAB] [RUN|@GROUP|STAGE|JOB]...")
@click.argument("destination", metavar="DEST")
@click.option("--lab", "-l", "lab_path", default=None, help="The Lab.  [default: result]")
@store_option
@json_option
def push(names: Sequence[str], destination: str, lab_path: str | None, store_path: str | None, as_json: bool) -> None:
    """Bring the Lab, and the results of what is named, to the store DEST; of everything when nothing is named.

    LAB: the path of a Lab, or the start of its id.
    """
    from repx.agent.in_use import REALIZES, using
    from repx.cli.live_line import LiveLine
    from repx.lab.selection import select
    from repx.store.links import keep_root
    from repx.store.location import store_error, verify_once
    from repx.store.sharing.carry import carry
    from repx.store.sharing.destination import destination_store
    from repx.store.sharing.labs import bring_lab
    from repx.store.sharing.receiver import Receiver
    from repx.store.sharing.sender import DirectorySender

    lab, store, names = _lab_here(names, lab_path, store_path)
    select(lab, names)
    verify_once(lab, store)
    other, is_new_store = destination_store(destination, store)
    try:
        with LiveLine(quiet=as_json) as live, using(other, REALIZES):
            live.show("the Lab")
            brought, is_new = bring_lab(lab, other, is_own=lab.is_own)
            keep_root(other, brought.path)
            sender = DirectorySender(lab, store, "push", store.root)
            carried = carry(names, sender, Receiver(brought, other), live.show)
    except OSError as error:
        raise store_error(error, other) from None
    _tell("pushed", "here", carried, brought, other, is_new=is_new, is_new_store=is_new_store, as_json=as_json)


@click.command()
@click.argument("names", nargs=-1, metavar="[LAB] [RUN|@GROUP|STAGE|JOB]...")
@click.argument("source", metavar="SOURCE")
@click.option("--lab", "-l", "lab_path", default=None, help="A Lab that is here.  [default: result]")
@click.option("-o", "--output", default="result", show_default=True, help="The link to make to a Lab that is brought.")
@store_option
@json_option
def pull(
    names: Sequence[str], source: str, lab_path: str | None, output: str, store_path: str | None, as_json: bool
) -> None:
    """Bring the results of what is named from the store SOURCE; of everything when nothing is named.

    LAB: the start of the id of a Lab in SOURCE, which is brought as well, and linked. Without one it is ./result, or
    the one Lab that SOURCE has.
    """
    from repx.agent.in_use import REALIZES, using
    from repx.cli.live_line import LiveLine
    from repx.lab.selection import select
    from repx.store.links import check_link, link_result
    from repx.store.location import store_error, verify_once
    from repx.store.sharing.carry import carry
    from repx.store.sharing.labs import bring_lab
    from repx.store.sharing.receiver import Receiver
    from repx.store.sharing.sender import DirectorySender

    lab, there, other, store, names = _lab_to_pull(names, source, lab_path, store_path)
    select(there or lab, names)
    is_new = False
    try:
        with LiveLine(quiet=as_json) as live, using(store, REALIZES):
            if there is not None:
                check_link(output)
                live.show("the Lab")
                lab, is_new = bring_lab(there, store, is_own=_is_mine(there))
                link_result(lab.path, output, store)
            else:
                verify_once(lab, store)
                store.create()
            sender = DirectorySender(lab, other, "pull", other.root)
            carried = carry(names, sender, Receiver(lab, store), live.show)
    except OSError as error:
        raise store_error(error, store) from None
    _tell("pulled", "there", carried, lab, other, is_new=is_new, is_new_store=False, as_json=as_json)


def _lab_to_pull(
    names: Sequence[str], source: str, lab_path: str | None, store_path: str | None
) -> tuple[LabDirectory, LabDirectory | None, Store, Store, Sequence[str]]:
    """The Lab to pull results of, and the same where it must be brought first; the stores; the names that are left."""
    from repx.store.location import open_store
    from repx.store.sharing.destination import find_lab, only_lab, source_store

    if lab_path is not None or Path("result").exists():
        lab, store, left = _lab_here(names, lab_path, store_path)
        other = source_store(source, store)
        there = find_lab(other, names[0]) if lab_path is None and names else None
        if there is None:
            return lab, None, other, store, left
    else:
        store = open_store(store_path)
        other = source_store(source, store)
        there = find_lab(other, names[0]) if names else None
        if there is None:
            there = only_lab(other, names)
            return there, there, other, store, names
    return there, there, other, store, names[1:]


def _lab_here(
    names: Sequence[str], lab_path: str | None, store_path: str | None
) -> tuple[LabDirectory, Store, Sequence[str]]:
    """The Lab that is meant, its store, and the names that are left: the first may be the path or id of a Lab."""
    from repx.agent.lab.format import MANIFEST
    from repx.store.location import open_lab, open_store
    from repx.store.sharing.destination import find_lab

    if lab_path is None and names:
        first = names[0]
        if Path(first, MANIFEST).is_file() or (".tar" in first and Path(first).is_file()):
            return (*open_lab(first, store_path), names[1:])
        store = open_store(store_path)
        found = find_lab(store, first)
        if found is not None:
            return found, store, names[1:]
    return (*open_lab(lab_path or "result", store_path), names)


def _is_mine(lab: LabDirectory) -> bool:
    """Whether I have realized a Lab myself, in another store: then its word is mine here, too."""
    return lab.is_own and Path(lab.path).stat().st_uid == os.geteuid()


def _tell(
    done: str,
    where: str,
    carried: Carried,
    lab: LabDirectory,
    other: Store,
    *,
    is_new: bool,
    is_new_store: bool,
    as_json: bool,
) -> None:
    from repx.cli.render import print_json, size_text
    from repx.cli.streams import say
    from repx.errors import plural

    if as_json:
        print_json({"store": other.root, **carried_json(carried, lab, is_new=is_new)})
    else:
        if is_new_store:
            say(f"{other.root} is a new store")
        what = f"{carried.taken} {plural('result', carried.taken)}"
        say(f"{done} {what} ({size_text(carried.size)}B){' and the Lab' if is_new else ''}", is_answer=True)
        say_rest(carried, where)
    damage = carried.damage()
    if damage is not None:
        raise damage


def say_rest(carried: Carried, where: str) -> None:
    """Say what has not come, and why; `where` results were looked for."""
    from repx.cli.streams import say

    for count, text in (
        (carried.there, "already there"),
        (carried.collected, f"only as records: their outputs were collected {where}"),
        (carried.missing, f"not done {where}"),
        (carried.others, "not taken: they were made of other inputs, or of some that could not be taken"),
        (len(carried.busy), f"not taken: somebody works on {', '.join(carried.busy[:3])}"),
    ):
        if count:
            say(f"  {count} {text}", is_answer=True)


def carried_json(carried: Carried, lab: LabDirectory, *, is_new: bool) -> dict[str, Any]:
    """What has come, as `--json` has it."""
    return {
        "lab": lab.lab_id,
        "path": lab.path,
        "new_lab": is_new,
        "taken": carried.taken,
        "bytes": carried.size,
        "collected": carried.collected,
        "there": carried.there,
        "missing": carried.missing,
        "other_inputs": carried.others,
        "busy": carried.busy,
        "damaged": [{"job": title, "reason": reason} for title, reason in carried.damaged],
    }

"""What is stored, hashed again: results against their records, keys, stages, objects, Labs; damage is put aside.

What is put aside keeps its files, in `quarantine/` of the store, and is nobody's result any more: the next run makes it
again. A result that somebody works on is left for the next look. Labs stay where they are, for realizing again heals
them; but everything that says that somebody has looked at them already goes.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from repx.agent.base.digest import TreeError, digest_and_size, short_digest, tree_digest
from repx.agent.base.files import random_name, read_if_there, remove_tree
from repx.agent.base.layout import OUT, RECORD, Store
from repx.agent.base.names import is_digest, is_job_id
from repx.agent.base.record import RecordError, decode_outcome
from repx.agent.claim import ClaimFile
from repx.agent.publish import move_directory
from repx.agent.recovery import recover_dead_runners
from repx.agent.runner import temporary_claim
from repx.agent.stage_lines import read_stage_lines
from repx.errors import LabError
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify

QUARANTINE = "quarantine"

_ASIDE = re.compile(r"\d+-[0-9a-z]{8}\Z")


class Damage(NamedTuple):
    """Something that is not what its record, its name or its manifest says; `moved` is where it is now, if it was."""

    kind: str
    name: str
    why: str
    moved: str = ""


class Checked(NamedTuple):
    """How much was looked at, what is damaged, and how many results were left because somebody works on them."""

    results: int
    labs: int
    damages: list[Damage]
    busy: int


def check_store(store: Store, show: Callable[[str], None]) -> Checked:
    """Hash all that is stored, put damage aside; `show` hears how far it is. Raises OSError."""
    recover_dead_runners(store)
    damages: list[Damage] = []
    results = busy = 0
    with temporary_claim(store) as claim:
        for directory in _results(store):
            results += 1
            show(f"results: {results}")
            if _result_problem(store, directory):
                damage = _quarantined(store, directory, claim)
                busy += damage is None
                damages += [] if damage is None or not damage.why else [damage]
    damages += _key_damages(store)
    damages += _stage_damages(store)
    labs = list(_labs(store))
    wrong: dict[str, LabError] = {}
    for number, path in enumerate(labs, 1):
        show(f"Labs: {number}")
        try:
            verify(LabDirectory(path))
        except LabError as error:
            wrong[path] = error
            damages.append(Damage("lab", os.path.basename(path), error.headline))
    damages += _object_damages(store, labs, wrong, show)
    if damages:
        _forget_shortcuts(store)
    return Checked(results, len(labs), damages, busy)


def _results(store: Store) -> Iterator[str]:
    """The directory of every complete result."""
    for job in _names(store.outputs):
        if is_job_id(job):
            directory = store.job(job)
            names = _names(directory)
            yield from (
                place
                for place in (directory, *(f"{directory}/{name}" for name in names if _ASIDE.match(name)))
                if os.path.lexists(f"{place}/{RECORD}")
            )


def _result_problem(store: Store, directory: str) -> str:
    """What is wrong with a result; empty where nothing is, or where it has gone meanwhile."""
    data = read_if_there(f"{directory}/{RECORD}")
    if data is None:
        return ""
    try:
        outcome = decode_outcome(data)
    except RecordError as error:
        return str(error)
    job = os.path.relpath(directory, store.outputs).partition("/")[0]
    if outcome.job != job:
        return f"its record is of {outcome.job}"
    out = f"{directory}/{OUT}"
    for name, output in outcome.outputs.items():
        try:
            found = digest_and_size(f"{out}/{output.path}", out)
        except FileNotFoundError:
            # Collected or replaced while we were looking?
            return f"output {name} is not there" if read_if_there(f"{directory}/{RECORD}") == data else ""
        except (OSError, TreeError) as error:
            return f"output {name} cannot be read: {error}"
        if found != (output.digest, output.size):
            return f"output {name} is not what the record says"
    return ""


def _quarantined(store: Store, directory: str, claim: ClaimFile) -> Damage | None:
    """Put a result aside that is still damaged when nobody else can touch it; None where somebody works on it."""
    name = os.path.relpath(directory, store.outputs)
    # What was displaced goes back to its job by whoever has that job.
    claimed = os.path.dirname(directory) if os.path.basename(directory).startswith("0-") else directory
    if claim.take(claimed) is None:
        return None
    try:
        why = _result_problem(store, directory)
        if not why:
            return Damage("result", name, "")
        aside = _place(store, name)
        os.makedirs(aside)
        # The record first: without it, what lies in `out` is nobody's result.
        os.rename(f"{directory}/{RECORD}", f"{aside}/{RECORD}")
        with contextlib.suppress(FileNotFoundError):
            move_directory(f"{directory}/{OUT}", f"{aside}/{OUT}")
        return Damage("result", name, why, aside)
    finally:
        claim.release(claimed)


def _key_damages(store: Store) -> Iterator[Damage]:
    """Keys that are not those of the records that they name."""
    for name in _names(store.keys):
        if not is_digest(name):
            continue
        data = read_if_there(store.key(name))
        try:
            is_right = data is None or decode_outcome(data).key == name
        except RecordError:
            is_right = False
        if not is_right:
            yield Damage("key", name, "it is not the key of its record", _moved(store, store.key(name)))


def _stage_damages(store: Store) -> Iterator[Damage]:
    """Lines of stages that have another digest than their name."""
    for name in _names(store.stages):
        if is_digest(name) and read_stage_lines(store, name) is None and os.path.lexists(store.stage(name)):
            yield Damage("stage", name, "its lines have another digest", _moved(store, store.stage(name)))


def _object_damages(
    store: Store, labs: list[str], wrong: dict[str, LabError], show: Callable[[str], None]
) -> Iterator[Damage]:
    """Objects that differ from what whole Labs have under the same name, or with which a Lab is damaged.

    A name says the content of an input, and of software what it was built from: there, a Lab has to know it.
    """
    known: dict[str, str] = {}
    suspects: set[str] = set()
    for lab in labs:
        if lab not in wrong:
            known.update((name, lab) for name in _names(f"{lab}/store"))
            continue
        text = "\n".join(wrong[lab].lines())
        suspects.update(name for name in _names(f"{lab}/store") if f"store/{name}" in text)
    for number, name in enumerate(_names(store.objects), 1):
        show(f"objects: {number}")
        path = f"{store.objects}/{name}"
        if name not in known and name not in suspects:
            continue
        found = _digest(path)
        if found and short_digest(bytes.fromhex(found)) == name.partition("-")[0]:
            continue
        is_same = name in known and found == _digest(f"{known[name]}/store/{name}")
        if not is_same and os.path.lexists(path):
            yield Damage("object", name, "it is not what its name or a Lab says", _moved(store, path))


def _labs(store: Store) -> Iterator[str]:
    for directory in (store.labs, store.foreign):
        for name in _names(directory):
            if is_digest(name) and os.path.isdir(f"{directory}/{name}"):
                yield f"{directory}/{name}"


def _forget_shortcuts(store: Store) -> None:
    """What was noted of looks may hold of damage that did not change them."""
    for name in _names(store.verified):
        with contextlib.suppress(OSError):
            remove_tree(f"{store.verified}/{name}")


def _moved(store: Store, path: str) -> str:
    """Put a file or directory aside; where it is now, empty where it had gone."""
    aside = _place(store, os.path.basename(path))
    os.makedirs(os.path.dirname(aside), exist_ok=True)
    try:
        move_directory(path, aside)
    except FileNotFoundError:
        return ""
    return aside


def _place(store: Store, name: str) -> str:
    return f"{store.root}/{QUARANTINE}/{name.replace('/', ',')}-{random_name()}"


def _digest(path: str) -> str:
    try:
        return tree_digest(path)
    except (OSError, TreeError):
        return ""


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []

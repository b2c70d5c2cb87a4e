"""Runs that were seen complete: a file a run, checked by looking at its records' inodes instead of reading them.

Only a shortcut: today's keys follow from the run files and from what the records say, so while a run's file, those of
the runs it comes after, and all their records are the same files as when all was done, all is done still. Removing
these files costs one slow look.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from repx.agent.base.digest import digest_of_text
from repx.agent.base.files import publish_file, read_if_there
from repx.agent.base.layout import RECORD, Store
from repx.agent.lab.run_file import RunFile
from repx.agent.resolve import Realized
from repx.agent.selections import added_indexes
from repx.lab.directory import LabDirectory

_FORMAT = "repx-complete-runs 1"

_ADDED = "+"
"""In place of the number of a layout: which realizations were added to a job. What takes some of it may choose anew."""

_NOTHING = "-"


def remember_complete(
    store: Store, run: RunFile, outcomes: Sequence[Realized], added: Mapping[str, tuple[int, Sequence[int]]] = {}
) -> None:
    """Note that all jobs of a run are done; `outcomes` are theirs, with further realizations and steps.

    `added` says of jobs from whose realizations others choose how many their stage has, and which there are beyond.
    Where outputs were collected nothing is noted: whoever runs it is to hear of that.
    """
    if any(outcome.is_collected for outcome in outcomes):
        return
    layouts: dict[tuple[str, ...], int] = {}
    lines = []
    for outcome in outcomes:
        status = os.stat(f"{outcome.directory}/{RECORD}")
        paths = tuple(output.path for output in outcome.outputs.values())
        if any("\n" in path or "\t" in path for path in paths):
            return
        layout = layouts.setdefault(paths, len(layouts))
        place = outcome.directory.removeprefix(store.outputs + "/")
        lines.append(f"{layout} {status.st_ino} {status.st_mtime_ns} {place}")
    lines += [
        f"{_ADDED} {count} {'.'.join(map(str, indexes)) or _NOTHING} {job}" for job, (count, indexes) in added.items()
    ]
    head = [_FORMAT, str(len(outcomes)), str(len(layouts)), *("\t".join(paths) for paths in layouts)]
    publish_file(_place(store, run), ("\n".join(head + lines) + "\n").encode())


def known_complete(lab: LabDirectory, store: Store, names: Sequence[str]) -> int | None:
    """How many units are named, with all they need, if all are known to be done; None to look closely.

    Only whole runs and groups are known; nothing named means every run.
    """
    waiting: list[str] = []
    for name in names or lab.runs:
        waiting.extend(lab.groups.get(name[1:], [name]) if name.startswith("@") else [name])
    if not all(name in lab.runs for name in waiting):
        return None
    seen: set[str] = set()
    # Runs may share jobs, which count once.
    places: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        run = lab.run(name)
        if not _is_complete(store, run, places):
            return None
        waiting.extend(lab.dependencies(run))
    return len(places)


def _is_complete(store: Store, run: RunFile, places: set[str]) -> bool:
    """Whether a run is known to be done; the places of its results are added to `places`."""
    data = read_if_there(_place(store, run))
    if data is None:
        return False
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    try:
        if lines[0] != _FORMAT:
            return False
        layouts = int(lines[2])
        paths = [line.split("\t") for line in lines[3 : 3 + layouts]]
        stat, outputs = os.stat, store.outputs
        for line in lines[3 + layouts : -1]:
            layout, inode, changed, place = line.split(" ", 3)
            if layout == _ADDED:
                if (".".join(map(str, added_indexes(store, place, int(inode)))) or _NOTHING) != changed:
                    return False
                continue
            directory = f"{outputs}/{place}"
            status = stat(f"{directory}/{RECORD}")
            if status.st_ino != int(inode) or status.st_mtime_ns != int(changed):
                return False
            places.add(place)
            for path in paths[int(layout)]:
                stat(f"{directory}/out/{path}", follow_symlinks=False)
    except (OSError, ValueError, IndexError):
        return False
    return True


def _place(store: Store, run: RunFile) -> str:
    # A run file is named by its content. That says everything its jobs' keys are made of, but for its origin.
    return f"{store.verified}/{digest_of_text(f'{run.place} {run.origin}')}.done"

"""The Labs that a store knows: when each was realized, from what, how many of its jobs are done; writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from repx.agent.base.layout import Store
from repx.agent.base.names import is_digest
from repx.agent.base.state import State
from repx.analysis.statuses import Statuses
from repx.errors import RepxError, UsageError
from repx.lab.directory import LabDirectory
from repx.model.sources import parse_sources
from repx.store.complete_runs import known_complete
from repx.store.roots import Root, read_roots

CHEAP_JOBS = 5000
"""Jobs that are looked at one by one, over all Labs from the latest on, unless all are asked for."""

CHEAP_NOTED = 50_000
"""Jobs of runs that are noted as complete, whose records are looked for."""


class LabEntry(NamedTuple):
    """A Lab. `made_at` is when it was last realized or brought, in seconds since 1970; `experiment` its file.

    `done` is None where nobody has looked. Of a Lab that `is_gone` the store has a root and nothing else; one that
    `is_foreign` was brought here. `names` are its pins.
    """

    id: str
    path: str
    made_at: float
    experiment: str = ""
    commit: str = ""
    runs: tuple[str, ...] = ()
    jobs: int = 0
    done: int | None = None
    is_foreign: bool = False
    is_gone: bool = False
    names: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """As a program reads it."""
        return self._asdict() | {"experiment": self.experiment or None, "commit": self.commit or None}


def lab_history(store: Store, *, whole: bool = False) -> list[LabEntry]:
    """All Labs of a store, the latest first; with `whole` all jobs are looked at, however many they are."""
    roots: dict[str, list[Root]] = {}
    for root in read_roots(store):
        if root.lab:
            roots.setdefault(root.lab, []).append(root)
    places = {path.name: path for labs in (store.foreign, store.labs) for path in _directories(labs)}
    entries = [_entry(identity, places.get(identity), roots.get(identity, ()), store) for identity in {*places, *roots}]
    entries.sort(key=lambda entry: (-entry.made_at, entry.id))
    cheap, noted = CHEAP_JOBS, CHEAP_NOTED
    found = []
    for entry in entries:
        done = None
        if not entry.is_gone and entry.jobs:
            lab = LabDirectory(entry.path).seen_from(store)
            if whole or entry.jobs <= noted:
                noted -= entry.jobs
                done = entry.jobs if known_complete(lab, store, ()) is not None else None
            if done is None and (whole or entry.jobs <= cheap):
                cheap -= entry.jobs
                done = _count_done(lab, store)
        found.append(entry._replace(done=done))
    return found


def find_lab(store: Store, name: str) -> str:
    """The path of the Lab whose id begins so, or that is pinned under this name; empty where there is none.

    Raises UsageError where there are several.
    """
    pinned = [root.lab for root in read_roots(store) if root.kind == "pin" and root.name == name and root.lab]
    places = [path for labs in (store.labs, store.foreign) for path in _directories(labs)]
    wanted = pinned[0] if pinned else name
    found = {path.name: path for path in reversed(places) if wanted and path.name.startswith(wanted)}
    if len(found) > 1:
        raise UsageError(f"{name!r} is the start of several Labs", facts=[("they are", "\n".join(sorted(found)))])
    return str(next(iter(found.values()), ""))


def _entry(identity: str, path: Path | None, roots: Iterable[Root], store: Store) -> LabEntry:
    times = [root.made_at for root in roots if root.kind in ("lab", "call")]
    project = next((root.project for root in roots if root.project), "")
    names = tuple(root.name for root in roots if root.kind == "pin")
    if path is None:
        return LabEntry(identity, "", max(times, default=0.0), project, is_gone=True, names=names)
    made_at = max(times, default=path.stat().st_mtime)
    is_foreign = str(path.parent) == store.foreign
    try:
        lab = LabDirectory(path)
        said = parse_sources(lab.metadata.sources).experiment
        experiment = project or ("" if said is None else said.path)
        commit = lab.metadata.git_commit.replace("unknown", "")
        runs, jobs = tuple(lab.runs), _count(lab)
    except (RepxError, OSError):
        # A damaged Lab is one that the store knows as well.
        return LabEntry(identity, str(path), made_at, project, is_foreign=is_foreign, names=names)
    return LabEntry(identity, str(path), made_at, experiment, commit, runs, jobs, None, is_foreign, False, names)


def _count(lab: LabDirectory) -> int:
    runs = list(lab.runs.values())
    if len(runs) == 1:
        return runs[0].count
    return len({identity for run in runs for identity in run.ids()})


def _count_done(lab: LabDirectory, store: Store) -> int | None:
    statuses = Statuses(lab, store)
    try:
        return sum(statuses.of(job) is State.SUCCEEDED for job in lab.jobs())
    except (RepxError, OSError):
        return None


def _directories(path: str) -> list[Path]:
    try:
        return [one for one in Path(path).iterdir() if is_digest(one.name)]
    except OSError:
        return []

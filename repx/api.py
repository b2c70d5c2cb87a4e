"""The few verbs that join the layers: instantiate, realize, run. What the command line does, a notebook does with these."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repx import process
from repx.agent.digest import digest_of_text
from repx.agent.layout import Store
from repx.dsl.experiment import HostPackages, Lab, Run
from repx.dsl.instantiate import instantiate as instantiate_lab
from repx.dsl.load import load_experiment
from repx.dsl.node import Node, replay, sources_of
from repx.errors import DefinitionError, JobsFailedError, StoreError
from repx.model.graph import DerivationGraph
from repx.model.names import unknown
from repx.model.software import SoftwareResolver
from repx.realize.host import HostSoftware
from repx.realize.lab import WrittenLab, store_error, write_lab
from repx.runtime.engine import Engine, Options, Report, Watcher
from repx.runtime.limits import machine_cpus, machine_memory
from repx.store.lab import LabDirectory
from repx.store.location import open_store, verify_once
from repx.store.selection import Selection, select

Target = Lab | Run | Node | Iterable["Run | Node"]
"""What can be instantiated and realized."""


def load(path: str) -> Lab:
    """The Lab of an experiment file. Raises DefinitionError."""
    return load_experiment(path)


def instantiate(target: Target, *, software: SoftwareResolver | None = None) -> DerivationGraph:
    """The derivation graph of a Lab, a run, a node, or several of these; writes nothing.

    Raises DefinitionError, SoftwareError, or CheckError with the findings of all stages.
    """
    lab = as_lab(target)
    base = experiment_folder(lab)
    commit, date = git_commit(base)
    source = Path(lab.location.file)
    sources = ((source.name, hashlib.sha256(source.read_bytes()).hexdigest()),) if source.is_file() else ()
    graph = instantiate_lab(lab, software or resolver_of(lab), git_commit=commit, sources=sources)
    return graph.dated(date)


def realize_lab(lab: Lab, *, store: Store | str | None = None, run: str | None = None) -> WrittenLab:
    """Write a Lab, or the slice of one run and what it comes after, into the store. Raises StoreError."""
    place = store if isinstance(store, Store) else open_store(store)
    graph = instantiate(lab)
    if run is not None:
        names = [one.name for one in graph.runs]
        if run not in names:
            raise unknown("run", run, names)
        graph = graph.sliced(run)
    written = write_lab(graph, place, experiment_folder(lab))
    return written


def link_result(written: WrittenLab, link: str, store: Store) -> None:
    """Point the link (`./result`) at a Lab, and keep the Lab as long as the link is there."""
    path = Path(link)
    if path.exists() and not path.is_symlink():
        raise StoreError(f"{link} is in the way: it is no link", hint="choose another place with -o")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        beside.symlink_to(written.path)
        beside.rename(path)
        root = Path(store.gcroots) / "auto" / digest_of_text(os.path.abspath(link))
        if not root.is_symlink() or os.readlink(root) != os.path.abspath(link):
            root.unlink(missing_ok=True)
            root.symlink_to(os.path.abspath(link))
    except OSError as error:
        raise store_error(error, store) from None


def prepare(
    lab: LabDirectory,
    names: Sequence[str] = (),
    *,
    store: Store,
    watcher: Watcher,
    jobs: int | None = None,
    mem: int | None = None,
    force: bool = False,
    continue_on_failure: bool = False,
    allow_drift: bool = False,
) -> Engine:
    """An engine for what is named: runs, groups, stages, job prefixes; everything when nothing is."""
    selection: Selection = select(lab, names)
    cpus = machine_cpus()
    options = Options(
        slots=jobs or cpus,
        cpus=max(cpus, jobs or 0),
        mem=mem or machine_memory(),
        force=force,
        continue_on_failure=continue_on_failure,
        allow_drift=allow_drift,
    )
    return Engine(lab, store, selection, options, watcher)


def as_lab(target: Target) -> Lab:
    """A Lab as it is; runs and nodes in one of their own."""
    if isinstance(target, Lab):
        return target
    if isinstance(target, Run):
        return Lab(runs=_with_upstreams([target]))
    if isinstance(target, Node):
        return _lab_of_nodes([target])
    items = list(target)
    if items and all(isinstance(item, Run) for item in items):
        return Lab(runs=_with_upstreams([item for item in items if isinstance(item, Run)]))
    if items and all(isinstance(item, Node) for item in items):
        return _lab_of_nodes([item for item in items if isinstance(item, Node)])
    raise DefinitionError(
        f"{target!r} cannot be realized", hint="give a Lab, a Run, the result of calling a stage, or a list of one of these"
    )


def experiment_folder(lab: Lab) -> str:
    """The folder that a Lab's places are said relative to."""
    file = Path(lab.location.file)
    return str(file.resolve().parent) if file.is_file() else str(Path.cwd())


def resolver_of(lab: Lab) -> SoftwareResolver:
    """The package set of a Lab at work."""
    if isinstance(lab.packages, HostPackages):
        return HostSoftware()
    raise DefinitionError("this repx realizes Labs with packages=host() only", location=lab.location)


def git_commit(folder: str) -> tuple[str, str]:
    """(commit, its date) of the working tree that holds a folder; a changed tree has "-dirty" behind. Empty without git."""
    try:
        shown = process.run(["git", "-C", folder, "log", "-1", "--format=%H %cs"], timeout_s=10)
        if shown.exit_status != 0:
            return "", ""
        changed = process.run(["git", "-C", folder, "status", "--porcelain", "--", "."], timeout_s=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return "", ""
    commit, _, date = shown.stdout.decode().strip().partition(" ")
    return commit + ("-dirty" if changed.stdout.strip() else ""), date


def _with_upstreams(runs: Sequence[Run]) -> list[Run]:
    found: dict[Run, None] = {}
    waiting = list(runs)
    while waiting:
        run = waiting.pop()
        if run not in found:
            found[run] = None
            waiting.extend(after.run for after in run.after)
    return list(found)


def _lab_of_nodes(nodes: Sequence[Node]) -> Lab:
    """A Lab with one run that holds these nodes and all they take from."""
    ordered: dict[Node, None] = {}

    def visit(node: Node) -> None:
        if node not in ordered:
            for source in sources_of(node):
                visit(source)
            ordered[node] = None

    for node in nodes:
        visit(node)
    return Lab(runs=[Run("notebook", lambda: replay(ordered))])

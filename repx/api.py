"""The few verbs that join the layers: instantiate, realize. What the command line does, a notebook does too."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from repx.agent.base.layout import Store
from repx.agent.base.selector import SelectionError, Selector
from repx.agent.base.state import State
from repx.agent.in_use import REALIZES, using
from repx.analysis.realizations import Realization, Realizations
from repx.dsl.as_lab import Realizable, as_lab
from repx.dsl.experiment import Lab, Run
from repx.dsl.instantiate.graph import instantiate as instantiate_lab
from repx.dsl.load import load_experiment
from repx.dsl.node import Node, Selected
from repx.dsl.packages import HostPackages, Packages, nix_packages
from repx.dsl.scan import known_digests
from repx.errors import JobsFailedError, UsageError, plural
from repx.lab.directory import LabDirectory
from repx.model.graph import DerivationGraph
from repx.model.names import JobId, unknown
from repx.model.software import SoftwareResolver
from repx.realizer.checks.memory import ScriptMemory, memory_path
from repx.realizer.checks.world import WithWorlds, worlds_path
from repx.realizer.commit import commit_of
from repx.realizer.host import HostSoftware
from repx.realizer.lab import WrittenLab, write_lab
from repx.realizer.package_set import PackageSet
from repx.store.location import open_store, store_error
from repx.store.memory import open_memory
from repx.store.roots import keep_realized
from repx.store.writer import StoreWriter, open_writer

if TYPE_CHECKING:
    from repx.agent.lab.run_file import Job
    from repx.agent.resolve import Realized
    from repx.analysis.jobs import Source
    from repx.runtime.report import Report


def _hear_nothing(_: str) -> None:
    return


def load(path: str, packages: str | None = None, *, store: Store | None = None) -> Lab:
    """The Lab of an experiment file; `packages` is a flake, or "host", to be used instead of what it says.

    `store` may know files that have not changed, which need not be read then. Raises DefinitionError.
    """
    with known_digests(open_memory(store, os.path.realpath(path)).sources if store is not None else {}):
        lab = load_experiment(path)
    if packages is None:
        return lab
    return lab.with_packages(package_set(packages))


def package_set(packages: Packages | str) -> Packages:
    """A package set as a caller names it: itself, a flake (a relative one from the working directory), or "host"."""
    if not isinstance(packages, str):
        return packages
    return HostPackages() if packages == "host" else nix_packages(packages, os.getcwd(), None)


def instantiate(
    target: Realizable, *, software: SoftwareResolver | None = None, placed: dict[Node, JobId] | None = None
) -> DerivationGraph:
    """The derivation graph of a Lab, a run, a node, or several of these; writes nothing.

    `placed`, when given, is filled with the job id of each node that was passed or taken from. Raises DefinitionError,
    SoftwareError, or CheckError with the findings of all stages.
    """
    lab = as_lab(target)
    with commit_of(experiment_folder(lab)) as commit:
        graph = instantiate_lab(lab, software or resolver_of(lab), placed=placed)
        return replace(graph, git_commit=commit().name, date=commit().date)


def realize_lab(
    lab: Lab, *, store: Store | str | None = None, run: str | None = None, watch: Callable[[str], None] = _hear_nothing
) -> WrittenLab:
    """Write a Lab, or the slice of one run and what it comes after, into the store; builds the software it needs.

    `watch` hears how far a build is. Raises StoreError, and whatever `instantiate` raises.
    """
    writer = open_writer(store if isinstance(store, Store) else open_store(store), experiment_name(lab))
    packages = resolver_of(lab)
    with known_digests(writer.memory.sources):
        graph = instantiate(lab, software=packages)
    if run is not None:
        names = [one.name for one in graph.runs]
        if run not in names:
            raise unknown("run", run, names)
        graph = graph.sliced(run)
    with using(writer.store, REALIZES):
        written = _written(graph, packages, writer, experiment_folder(lab), watch)
        keep_realized(writer.store, "lab", experiment_name(lab), written.lab_id)
    return written


def _written(
    graph: DerivationGraph, packages: PackageSet, writer: StoreWriter, base: str, watch: Callable[[str], None]
) -> WrittenLab:
    try:
        writer.store.create()
        closure = packages.realize(graph.software(), writer, watch)
    except OSError as error:
        raise store_error(error, writer.store) from None
    written = write_lab(graph, writer, base, closure)
    writer.memory.keep()
    return written


def _called(lab: Lab, store: Store) -> tuple[DerivationGraph, WrittenLab, dict[Node, JobId]]:
    """Write a Lab that a call from Python asks for, and keep it as one of the calls of its experiment.

    With its graph, and the job of each node.
    """
    placed: dict[Node, JobId] = {}
    packages = resolver_of(lab)
    writer = open_writer(store, experiment_name(lab))
    with known_digests(writer.memory.sources):
        graph = instantiate(lab, software=packages, placed=placed)
    with using(store, REALIZES):
        written = _written(graph, packages, writer, experiment_folder(lab), _hear_nothing)
        keep_realized(store, "call", experiment_name(lab), written.lab_id)
    return graph, written, placed


def realize_node(node: Node, store: Store) -> tuple[WrittenLab, JobId]:
    """Write the Lab of a node, and keep it as one of the calls of its experiment; with the id of the node's job."""
    _, written, placed = _called(as_lab([node]), store)
    return written, placed[node]


def realize(
    target: Lab | Node | Selected, *, store: str | None = None, jobs: int | None = None
) -> LabDirectory | Realization:
    """Make a derivation valid on disk: a Lab's directory, or the outputs of a node (what it needs included).

    Raises JobsFailedError when a job failed, and whatever `instantiate` raises.
    """
    if isinstance(target, Lab):
        place = open_store(store)
        written = realize_lab(target, store=place)
        keep_realized(place, "call", experiment_name(target), written.lab_id)
        return LabDirectory(written.path)
    return realize_many([target], store=store, jobs=jobs)[0]


def realize_many(
    targets: Iterable[Node | Run | Selected] | Node | Run | Selected | Lab,
    *,
    jobs: int | None = None,
    store: str | None = None,
    progress: bool | None = None,
    packages: Packages | str | None = None,
    force: bool = False,
    continue_on_failure: bool = True,
) -> Realizations:
    """Make all targets valid on disk, `jobs` at once, with one progress bar; done work is found, not repeated.

    A node gives its realizations, a selection those that it chooses, a run or a Lab those of all its jobs. `packages`
    is a package set, a flake or "host"; `force` does everything anew; without `continue_on_failure` nothing new starts
    after a failure. Raises JobsFailedError with the failures.
    """
    # Imported here: `repx realize` runs nothing.
    from repx.analysis.jobs import Source
    from repx.runtime.bar import Bar
    from repx.runtime.local import local_engine

    place = open_store(store)
    listed: Lab | list[Node | Run | Selected]
    if isinstance(targets, Lab):
        listed = targets
    else:
        listed = [targets] if isinstance(targets, Node | Run | Selected) else list(targets)
    lab = as_lab(listed)
    if packages is not None:
        lab = lab.with_packages(package_set(packages))
    graph, written, placed = _called(lab, place)
    directory = LabDirectory(written.path).owned(is_own=True)
    asked: list[tuple[JobId, Selector | None]] = [
        (placed[one.node], one.selector) if isinstance(one, Selected) else (placed[one], None)
        for one in ([] if isinstance(listed, Lab) else listed)
        if isinstance(one, Node | Selected)
    ]
    asked = asked or [(job.id, None) for job in graph.jobs()]
    with Bar(enabled=progress) as watcher:
        engine = local_engine(
            directory,
            store=place,
            watcher=watcher,
            jobs=jobs,
            force=force,
            wanted=frozenset(identity for identity, _ in asked),
            continue_on_failure=continue_on_failure,
        )
        report = engine.execute()
    if not report.succeeded:
        raise failures_error(report, directory)
    units = {(unit.job.id, unit.index): unit for unit in report.units if unit.job is not None}
    found = Realizations()
    source = Source(directory, place)
    for identity, selector in asked:
        job = directory.job(identity)
        assert job is not None
        if selector is not None:
            found.extend(Realization(job, *one, source) for one in _chosen(source, job, selector))
            continue
        for index in range(job.stage.realizations):
            outcome = units[identity, index].outcome
            assert outcome is not None
            found.append(Realization(job, index, outcome, source))
    return found


def _chosen(source: Source, job: Job, selector: Selector) -> list[tuple[int, Realized]]:
    try:
        return source.statuses.results.selections.choose(job, selector)
    except SelectionError as error:
        raise UsageError(f"{selector.text} of {job.stage.name} chooses nothing: {error}") from None


def failures_error(report: Report, lab: LabDirectory) -> JobsFailedError:
    """What failed, as one error."""
    from repx.lab.titles import Titles
    from repx.runtime.report import reason_text, unit_title

    titles = Titles(lab.job)
    facts = [(unit_title(unit, titles), reason_text(unit.attempt)) for unit in report.failed[:10]]
    blocked = report.count(State.BLOCKED)
    facts += [("blocked", f"{blocked} that need what failed")] if blocked else []
    facts += [("trouble", text) for text in report.trouble]
    return JobsFailedError(f"{len(report.failed)} {plural('job', len(report.failed))} failed", facts=facts)


def experiment_name(lab: Lab) -> str:
    """The absolute path that a Lab's experiment is known by: its file, or the folder that a notebook works in."""
    file = Path(lab.location.file)
    return os.path.realpath(file) if file.is_file() else str(Path.cwd())


def experiment_folder(lab: Lab) -> str:
    """The folder that a Lab's places are said relative to."""
    file = Path(lab.location.file)
    return str(file.resolve().parent) if file.is_file() else str(Path.cwd())


def resolver_of(lab: Lab) -> PackageSet:
    """The package set of a Lab at work."""
    packages, scripts = lab.packages, ScriptMemory(memory_path())
    if isinstance(packages, HostPackages):
        return WithWorlds(HostSoftware(scripts=scripts), worlds_path())
    # Imported here: most Labs have nothing to do with Nix.
    from repx.realizer.nix.packages import NixSoftware

    nix = NixSoftware(packages.flake, packages.base, packages.location, scripts=scripts)
    return WithWorlds(nix, worlds_path())

"""Runs and Labs as the user declares them; checks what can be seen without tracing anything."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import repx.dsl.node as node
from repx.dsl.any_stage import AnyStage
from repx.dsl.assignments import Sweep
from repx.dsl.caller import caller
from repx.dsl.handed import Handed
from repx.dsl.packages import HostPackages, NixPackages, Packages
from repx.dsl.sweep import as_sweep
from repx.dsl.trace import pipeline_name
from repx.errors import DefinitionError, RepxError, SourceLocation, nearest
from repx.model.derivation import HashMode
from repx.model.graph import DependencyKind
from repx.model.names import check_name

Pipeline = Callable[..., Any]
"""A function that calls stages, or a stage by itself."""

ContainerMode = Literal["unified", "per-run", "none"]


@dataclass(frozen=True, slots=True)
class After:
    """A dependency on a run, with its kind."""

    run: Run
    kind: DependencyKind


def hard(run: Run) -> After:
    """`run` must have succeeded first."""
    return After(_is_run("hard", run), "hard")


def soft(run: Run) -> After:
    """`run` must have finished first, whether it succeeded or not; its results are handed over as they are."""
    return After(_is_run("soft", run), "soft")


class Run(node.WholeRun):
    """A pipeline with its sweep, named. Instantiated once per assignment.

    `params` is a mapping of names to lists (a Cartesian product), or a sweep made by `repx.product`, `zip`, `concat`.
    `after` lists runs that come first, hard unless wrapped in `soft`. `hash_mode="params-only"` leaves script and
    software out of the identity of its jobs. Raises DefinitionError.
    """

    def __init__(
        self,
        name: str,
        pipeline: Pipeline | None = None,
        *,
        pipelines: Sequence[Pipeline] = (),
        params: Mapping[str, Any] | Sweep | None = None,
        after: Iterable[Run | After] = (),
        container: ContainerMode | None = None,
        hash_mode: HashMode = "pure",
    ) -> None:
        self.location = caller()
        self.name = check_name("run", name, self.location)
        self._handed = [Handed(one, self.location) for one in self._pipelines(pipeline, pipelines)]
        if hash_mode not in ("pure", "params-only"):
            raise DefinitionError(
                f"hash_mode of run {name!r} is {hash_mode!r}",
                location=self.location,
                hint='use "pure" or "params-only"',
            )
        self.hash_mode: HashMode = hash_mode
        self.container = _container_mode(container, self.location)
        after = [after] if isinstance(after, Run | After) else _listed("after", after, self.location)
        self.after = tuple(one if isinstance(one, After) else After(_is_run("after", one), "hard") for one in after)
        try:
            self.sweep = as_sweep(params)
        except RepxError as error:
            error.location = error.location or self.location
            raise

    @property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """The pipelines as they were handed over. Raises DefinitionError where what they read has changed since."""
        return tuple(one.now(f"pipeline {pipeline_name(one.function)!r} of run {self.name!r}") for one in self._handed)

    def _pipelines(self, pipeline: Pipeline | None, pipelines: Sequence[Pipeline]) -> tuple[Pipeline, ...]:
        given = ((pipeline,) if pipeline is not None else ()) + tuple(pipelines)
        if not given:
            raise DefinitionError(
                f"run {self.name!r} has no pipeline",
                location=self.location,
                hint=f"write Run({self.name!r}, work), with the function itself: work, not work()",
            )
        for one in given:
            if isinstance(one, node.Node):
                raise DefinitionError(
                    f"run {self.name!r} was given the result of stage {one._stage.name!r}, not a pipeline",
                    location=self.location,
                    hint="pass the function itself, without calling it",
                )
            if not callable(one):
                raise DefinitionError(
                    f"the pipeline of run {self.name!r} is {one!r}, not a function", location=self.location
                )
        return given

    def __repr__(self) -> str:
        return f"<run {self.name}>"


class Lab:
    """Everything that is realized together. Checks its names; its stages are looked at when it is instantiated.

    Raises DefinitionError for duplicate names, a group named like a run, and cycles.
    """

    def __init__(
        self,
        runs: Iterable[Run],
        *,
        groups: Mapping[str, Iterable[Run]] | None = None,
        version: str = "0",
        packages: Packages | None = None,
        container: ContainerMode | None = None,
        run_container: ContainerMode | None = None,
    ) -> None:
        self.location = caller()
        self.modules: tuple[str, ...] = ()
        """Files beside the experiment that it has imported, once it is loaded."""
        self.runs = (runs,) if isinstance(runs, Run) else tuple(_listed("runs", runs, self.location))
        if not self.runs:
            raise DefinitionError("the Lab has no runs", location=self.location)
        for run in self.runs:
            _is_run("runs", run)
        if not isinstance(version, str):
            raise DefinitionError(
                f"the Lab's version is {version!r}, not a text",
                location=self.location,
                hint=f'write version="{version}"',
            )
        self.version = version
        self.packages: Packages = packages if packages is not None else HostPackages()
        if not isinstance(self.packages, HostPackages | NixPackages):
            raise DefinitionError(
                f"the Lab's packages are {packages!r}",
                location=self.location,
                hint='write packages=host() or nix("./nix")',
            )
        self._containers = (_container_mode(container, self.location), _container_mode(run_container, self.location))
        self._check_containers()
        self._check_names()
        self.groups = self._checked_groups(groups or {})
        self.ordered_runs = order_runs(self.runs)

    @property
    def container(self) -> ContainerMode:
        """Which images are made, where a run does not say otherwise."""
        return self._containers[0] or ("unified" if self._has_closure else "none")

    @property
    def run_container(self) -> ContainerMode:
        """The same for a slice of one run."""
        return self._containers[1] or ("per-run" if self._has_closure else "none")

    def with_packages(self, packages: Packages) -> Lab:
        """The same Lab with its software from another package set. Raises DefinitionError."""
        other = copy.copy(self)
        other.packages = packages
        other._check_containers()
        return other

    @property
    def _has_closure(self) -> bool:
        return isinstance(self.packages, NixPackages)

    def _check_containers(self) -> None:
        """Images need a closure to put into them."""
        given = [(mode, self.location) for mode in self._containers]
        for mode, location in [*given, *((run.container, run.location) for run in self.runs)]:
            if mode in ("unified", "per-run") and not self._has_closure:
                raise DefinitionError(
                    f"container is {mode!r}, and an image needs a closure, which packages=host() has not",
                    location=location,
                    hint='leave it out, use container="none", or take the software from a flake: packages=nix("./nix")',
                )

    def _check_names(self) -> None:
        seen: dict[str, Run] = {}
        for run in self.runs:
            if run.name in seen:
                raise DefinitionError(
                    f"two runs are called {run.name!r}",
                    location=run.location,
                    facts=[("the other", seen[run.name].location)],
                )
            seen[run.name] = run

    def _checked_groups(self, groups: Mapping[str, Iterable[Run]]) -> dict[str, tuple[str, ...]]:
        names = {run.name for run in self.runs}
        if not isinstance(groups, Mapping):
            raise DefinitionError(
                f"groups is {groups!r}", location=self.location, hint='write groups={"all": [first, second]}'
            )
        checked = {}
        for group, members in groups.items():
            check_name("group", group, self.location)
            if group in names:
                raise DefinitionError(f"group {group!r} is called like a run", location=self.location)
            listed = [members] if isinstance(members, Run) else _listed(f"group {group!r}", members, self.location)
            for member in listed:
                if not isinstance(member, Run):
                    raise DefinitionError(
                        f"group {group!r} contains {member!r}, not a run",
                        location=self.location,
                        hint="list the runs themselves, not their names",
                    )
                if member not in self.runs:
                    raise DefinitionError(
                        f"group {group!r} contains run {member.name!r}, which is not in this Lab",
                        location=self.location,
                        hint=nearest(member.name, names),
                    )
            checked[group] = tuple(member.name for member in listed)
        return checked


def order_runs(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs in an order in which each stands after its dependencies; runs that are free to choose stand by name.

    Raises DefinitionError for a circle, and names all runs in it.
    """
    known = set(runs)
    for run in runs:
        for dependency in run.after:
            if dependency.run not in known:
                raise DefinitionError(
                    f"run {run.name!r} comes after run {dependency.run.name!r}, which is not in this Lab",
                    location=run.location,
                    hint="add it to runs",
                )
    if not any(run.after for run in runs):
        return tuple(sorted(runs, key=lambda one: one.name))
    import networkx

    graph = networkx.DiGraph((dependency.run, run) for run in runs for dependency in run.after)
    graph.add_nodes_from(runs)
    try:
        return tuple(networkx.lexicographical_topological_sort(graph, key=lambda one: one.name))
    except networkx.NetworkXUnfeasible:
        cycle = [run for run, _ in networkx.find_cycle(graph)]
    # The message goes from a run to the one that it waits for, and begins with the first name.
    first = min(range(len(cycle)), key=lambda place: cycle[place].name)
    named = [cycle[(first - step) % len(cycle)].name for step in range(len(cycle) + 1)]
    raise DefinitionError(
        "the runs come after each other in a circle: " + " → ".join(named), location=cycle[first].location
    )


def _container_mode(mode: Any, location: SourceLocation) -> ContainerMode | None:
    if mode in (None, "unified", "per-run", "none"):
        return mode  # type: ignore[no-any-return]
    raise DefinitionError(f"container is {mode!r}", location=location, hint='use "unified", "per-run" or "none"')


def _listed(what: str, given: Any, location: SourceLocation) -> list[Any]:
    if isinstance(given, AnyStage):
        given = [given]
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise DefinitionError(
            f"{what} is {given!r}, not a list of runs", location=location, hint="write [first, second]"
        )
    return list(given)


def _is_run(what: str, run: Any) -> Run:
    if isinstance(run, Run):
        return run
    hint = "give the Run itself, as Run(…) returned it"
    if isinstance(run, AnyStage):
        hint = f"a stage runs inside a pipeline: wrap it as Run({run.name!r}, {run.name})"
    raise DefinitionError(f"{what} was given {run!r}, not a run", location=caller(), hint=hint)

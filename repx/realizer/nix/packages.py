"""The package set `nix(…)`: attributes of a flake, identified by their store paths before anything is built.

`resolve` pins the flake, evaluates all attributes in one call, and identifies and checks every stage as far as that is
possible without a build. `realize` builds in one call, checks what `resolve` could not check, and brings the closure
into the store. For a package set that has not changed Nix is not asked at all (`repx.realizer.nix.memory`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from repx.errors import CheckError, Finding, RepxError, SoftwareError, SourceLocation
from repx.model.closure import STORE_DIR, Closure, Flake
from repx.model.software import Json, Software, SoftwareRequest
from repx.process import RunProgram, run
from repx.realizer.base_programs import BASE_PROGRAMS
from repx.realizer.checks.memory import ScriptMemory
from repx.realizer.checks.paths import path_notes
from repx.realizer.host_tools import TOOLS
from repx.realizer.nix.checks import Asked, NixChecks
from repx.realizer.nix.command import BuildFailedError, Nix
from repx.realizer.nix.contents import StoreContents
from repx.realizer.nix.evaluation import Evaluation
from repx.realizer.nix.json import FlakeState, Package
from repx.realizer.nix.log import Progress
from repx.realizer.nix.memory import NixMemory, memory_directory
from repx.realizer.nix.problems import attribute_problem, build_error
from repx.realizer.nix.reference import Reference, read_reference, this_system
from repx.store.closure import add_store_paths, discard_broken
from repx.store.writer import StoreWriter

PYTHON = "python3"
"""The attribute whose Python a Python stage gets when its packages bring no Python."""

REQUIRED = (*sorted(BASE_PROGRAMS), PYTHON)
"""The packages that every package set must have."""

OPTIONAL = tuple(name for name in TOOLS if name not in REQUIRED)
"""The packages that a Lab carries when the package set has them."""


class NixSoftware:
    """The `PackageSet` of a flake. `base` is the folder that a relative reference is relative to."""

    def __init__(
        self,
        reference: str,
        base: str,
        location: SourceLocation | None = None,
        *,
        nix: Nix | None = None,
        run: RunProgram = run,
        memory: str | None = None,
        scripts: ScriptMemory | None = None,
    ) -> None:
        self._text = reference
        self._base = base
        self._location = location
        self._nix = nix or Nix()
        self._scripts = scripts or ScriptMemory(None, run)
        self._memory_directory = memory or memory_directory()
        self._memory: NixMemory
        self._reference: Reference
        self._pinned: FlakeState | None = None
        self._asked: list[tuple[SoftwareRequest, Software]] = []

    def resolve(self, requests: Sequence[SoftwareRequest]) -> list[Software]:
        """One answer per request, in order. Raises SoftwareError when Nix or the flake cannot be used."""
        self._reference = read_reference(self._text, self._base, self._location)
        self._memory = NixMemory(self._memory_directory, self._reference.key)
        wanted = set(REQUIRED).union(*(request.packages for request in requests))
        problems: dict[str, tuple[str, str]] = {}
        if not self._memory.knows(wanted, OPTIONAL):
            problems = self._evaluate(wanted, requests)
        answers = [self._software(request, problems) for request in requests]
        self._scripts.look_at(requests)
        findings = self._checks(StoreContents()).findings(
            [(request, self._what_it_asked(request)) for request in requests], is_built=False
        )
        answers = [
            Software(one.identity, one.manifest, (*one.findings, *found), one.roots, path_notes(request))
            for request, one, found in zip(requests, answers, findings, strict=True)
        ]
        self._asked += zip(requests, answers, strict=True)
        return answers

    def realize(self, software: Iterable[Software], writer: StoreWriter, watch: Callable[[str], None]) -> Closure:
        """Build what these stages need, check it, and copy its closure into the store; `watch` is told the progress.

        Raises SoftwareError when something cannot be built, CheckError for scripts that use what is not there.
        """
        chosen = {one.identity for one in software}
        asked = [(request, one) for request, one in self._asked if one.identity in chosen]
        memory = self._memory
        tools = {name: memory.packages[name].names for name in TOOLS if name in memory.packages}
        roots = sorted({root for _, one in asked for root in one.roots}.union(*tools.values()))
        if not memory.knows_closure(roots) or not self._is_here(roots, writer):
            self._build(asked, watch)
            told = self._nix.closure([f"{STORE_DIR}/{root}" for root in roots])
            memory.paths.update((one.name, one) for one in told)
            memory.keep()
        flake = self._flake()
        closure = Closure(flake, {name: memory.paths[name] for name in Closure(flake, memory.paths).of(roots)}, tools)
        contents = StoreContents((writer.store.objects, STORE_DIR))
        findings = self._checks(contents).findings(
            [(request, self._what_it_asked(request)) for request, _ in asked], is_built=True
        )
        complaints = [finding for found in findings for finding in found]
        if complaints:
            raise CheckError(complaints)
        add_store_paths(writer, closure.paths.values())
        return closure

    # -- evaluating

    def _pin(self) -> FlakeState:
        """The flake as Nix pins it now. The memory may hold the URL of another folder with equal content."""
        reference = self._reference
        if self._pinned is not None:
            return self._pinned
        try:
            state = self._nix.flake(reference.url)
        except SoftwareError as error:
            if "%" in reference.url and not error.hint:
                error.hint = "old versions of Nix read no folder whose path has blanks or such: move it"
            error.location = error.location or self._location
            raise
        if not reference.is_pinned:
            raise SoftwareError(
                f"nix({reference.text!r}) may mean something else tomorrow",
                location=self._location,
                facts=[("today", state.url)],
                hint="write the pinned reference instead",
            )
        self._pinned = state
        return state

    def _evaluate(self, wanted: Iterable[str], requests: Sequence[SoftwareRequest]) -> dict[str, tuple[str, str]]:
        """Ask Nix; returns message and remedy for each attribute that is missing or cannot be evaluated."""
        memory, reference = self._memory, self._reference
        state = memory.state = self._pin()
        try:
            answer = self._nix.evaluate(state.url, this_system(), sorted({*wanted, *OPTIONAL, *memory.packages}), [])
        except SoftwareError as error:
            error.location = error.location or self._location
            raise
        memory.packages = dict(answer.packages)
        memory.lacking = frozenset(OPTIONAL).difference(answer.packages)
        memory.listed = answer.listed
        memory.keep()
        lacking = [name for name in REQUIRED if name in answer.absent]
        if lacking:
            raise SoftwareError(
                f"the package set {reference.text} has no {', '.join(lacking)}, which every package set needs",
                location=self._location,
                hint=f"a set has at least: {', '.join(REQUIRED)}",
            )
        named = {name for request in requests for name in request.packages}
        problems = {}
        for name in [*answer.failed, *answer.absent, *answer.other]:
            if name in named or name not in OPTIONAL:
                problems[name] = attribute_problem(
                    name,
                    answer,
                    f"the package set {reference.text}",
                    lambda one: self._nix.why_not(state.url, this_system(), one),
                )
            if name in problems and (name in REQUIRED or name not in named):
                raise SoftwareError(problems[name][0], location=self._location)
        return problems

    def _flake(self) -> Flake:
        state = self._memory.state
        assert state is not None
        return Flake(self._reference.recorded, state.revision, state.lock, this_system())

    # -- answering

    def _software(self, request: SoftwareRequest, problems: Mapping[str, tuple[str, str]]) -> Software:
        packages = self._memory.packages
        findings = tuple(
            Finding(request.stage, request.origin, *problems[name]) for name in request.packages if name in problems
        )
        asked = self._what_it_asked(request)
        identity = [(f"package.{name}", " ".join(packages[name].names)) for name in asked.packages]
        identity += [(f"base.{name}", " ".join(packages[name].names)) for name in asked.base]
        manifest: dict[str, Json] = {
            "kind": "nix",
            "packages": {name: _paths(packages[name]) for name in asked.packages},
            "base": {name: _paths(packages[name]) for name in asked.base},
        }
        return Software(tuple(sorted(identity)), manifest, findings, asked.roots)

    def _what_it_asked(self, request: SoftwareRequest) -> Asked:
        """The attributes that a request needs: its own, its Python, the base."""
        packages = self._memory.packages
        own = [name for name in request.packages if name in packages]
        is_python = request.kind == "python"
        if is_python and not any(packages[name].program.startswith("python") for name in own):
            own.append(PYTHON)
        base = () if request.kind == "package" else tuple(sorted(BASE_PROGRAMS))
        roots = sorted({root for name in (*own, *base) for root in packages[name].names})
        return Asked(tuple(sorted(own)), base, tuple(roots))

    def _checks(self, contents: StoreContents) -> NixChecks:
        def is_there(names: Sequence[str]) -> frozenset[str]:
            try:
                return self._nix.evaluate(self._pin().url, this_system(), [], names).present
            except RepxError:
                # The answer would only have made a remedy; the finding is shown without one.
                return frozenset()

        memory = self._memory
        return NixChecks(self._text, memory.packages, memory.listed, contents, self._scripts, is_there)

    # -- building

    def _is_here(self, roots: Sequence[str], writer: StoreWriter) -> bool:
        """Whether the whole closure is unbroken in our store already, so that Nix may have deleted it."""
        paths = self._memory.paths
        return discard_broken(writer, [paths[name] for name in Closure(self._flake(), paths).of(roots)])

    def _build(self, asked: Sequence[tuple[SoftwareRequest, Software]], watch: Callable[[str], None]) -> None:
        tools = [name for name in TOOLS if name in self._memory.packages]
        names = sorted({name for request, _ in asked for name in self._all_of(request)}.union(tools))
        if not all(os.path.exists(self._memory.packages[name].drv) for name in names):
            # Nix has collected the derivations since; another evaluation writes them again.
            again: Evaluation = self._nix.evaluate(self._pin().url, this_system(), names, [])
            self._memory.packages.update(again.packages)

        def tell(progress: Progress) -> None:
            watch(f"nix build: {progress.done} of {progress.expected} built" + (f", {progress.at}" * bool(progress.at)))

        try:
            self._nix.build([self._memory.packages[name] for name in names], tell)
        except BuildFailedError as error:
            wanted = [
                (request, name, self._memory.packages[name].drv)
                for request, _ in asked
                for name in self._all_of(request)
            ]
            raise build_error(error.log, wanted, self._nix.inputs_of) from None

    def _all_of(self, request: SoftwareRequest) -> tuple[str, ...]:
        asked = self._what_it_asked(request)
        return (*asked.packages, *asked.base)


def _paths(package: Package) -> list[Json]:
    return [f"{STORE_DIR}/{name}" for name in package.names]

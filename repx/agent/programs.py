"""How the stages of a Lab start on this machine, natively or in a sandbox; starts nothing.

Software of the machine is found on PATH and compared with what the Lab was made with; a Lab with a closure carries
its own. Whatever is wrong with it is raised as a ProgramsError, for whoever tells people.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from repx.agent.base.digest import canonical_json, digest_of_text
from repx.agent.base.layout import Store
from repx.agent.base.publisher import Publisher
from repx.agent.host_path import HostManifest, make_environment, make_path_folder, parse_host_manifest
from repx.agent.installed import InstalledError, find_installed
from repx.agent.job_python import BIN, environment_entries
from repx.agent.lab.lab import Lab
from repx.agent.lab.software import ClosureSoftware, parse_closure_software
from repx.agent.lab.stage import Stage
from repx.agent.makers import maker_name
from repx.agent.sandbox import Sandbox
from repx.agent.stage_start import StageStart, place_for_job

_OF_ENGINES = ("CONTAINERS_", "DOCKER_", "XDG_", "STORAGE_", "BUILDAH_", "PODMAN_")
"""What an engine's client may look at of this process's environment, beside HOME and PATH. Jobs see none of it."""


IsolationKind = Literal["native", "bwrap", "podman", "docker"]


class Isolation(NamedTuple):
    """What jobs are shut in with: the kind, its program, what it shows beyond what is declared.

    `passed_over` says why others were not taken. `variables` are those of the runner's environment that jobs get.
    """

    kind: IsolationKind = "native"
    program: str = ""
    mounts: tuple[str, ...] = ()
    host: bool = False
    passed_over: tuple[tuple[IsolationKind, str], ...] = ()
    variables: Mapping[str, str] = {}


NATIVE = Isolation()
"""No sandbox: what a Lab without a closure has."""


class ProgramsError(Exception):
    """The software of a Lab is not here, or is other software: a headline, facts, and what to do."""

    def __init__(self, headline: str, facts: list[tuple[str, object]], hint: str = "") -> None:
        super().__init__(headline)
        self.headline = headline
        self.facts = facts
        self.hint = hint


class Programs(Protocol):
    """The software of a Lab on this machine. All raise ProgramsError, or what the Lab raises."""

    drift: list[str]
    """How it differs from what was recorded, where that is accepted."""

    def start(self, stage: Stage, image: str) -> StageStart:
        """How the jobs of a stage start; `image` is what an engine calls the image of its run."""

    def package(self, name: str) -> str:
        """The value of a param that is a package."""


def programs_of(lab: Lab, store: Store, isolation: Isolation, *, allow_drift: bool) -> Programs:
    """The software of a Lab. With `allow_drift`, differences from what was recorded are kept instead of raised."""
    if lab.metadata.closure:
        return ClosurePrograms(lab, store, isolation)
    return HostPrograms(lab, store, allow_drift=allow_drift, variables=isolation.variables)


class HostPrograms:
    """PATH folders for the software manifests of a Lab made with `host()`, each made and compared once."""

    def __init__(
        self, lab: Lab, store: Store, *, allow_drift: bool = False, variables: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._lab = lab
        self._variables = variables
        self._store = store
        self._search_path = os.environ.get("PATH", os.defpath)
        self._allow_drift = allow_drift
        self._folders: dict[str, str] = {}
        self._pythons: dict[str, str] = {}
        self.drift: list[str] = []

    def folder(self, place: str) -> str:
        """The directory to have on PATH for a software manifest. Raises ProgramsError, naming every difference."""
        if place not in self._folders:
            self._folders[place] = self._make(place)
        return self._folders[place]

    def package(self, name: str) -> str:
        """See `Programs`: a directory with its `bin/`."""
        return os.path.dirname(self.folder(self._lab.package(name)))

    def start(self, stage: Stage, image: str) -> StageStart:
        """See `Programs`: the interpreter by its own path, then the script."""
        folder = self.folder(stage.software)
        is_python = stage.kind == "python"
        program = self._pythons[stage.software] if is_python else os.path.realpath(folder + "/bash")
        argv = (program, place_for_job(self._lab, stage.executable, None))
        return StageStart(argv, folder, stage.env, None, _without(stage.env, self._variables))

    def _make(self, place: str) -> str:
        try:
            manifest = self._lab.software(place, parse_host_manifest)
        except ValueError as error:
            raise ProgramsError(
                "the Lab's software is none that this repx can run",
                [("file", "%s/%s" % (self._lab.path, place)), ("because", error)],
            ) from None
        # Another PATH or another interpreter means other links: each combination has a folder of its own.
        name = digest_of_text("\n".join([canonical_json(manifest.json()), self._search_path, sys.executable]))
        directory = "%s/%s-host/bin" % (self._store.objects, name)
        made = "%s/%s" % (self._store.tmp, maker_name("path-folder"))
        publisher = Publisher(self._store.tmp)
        python = self._pythons[place] = self._python(manifest, publisher)
        differences = make_path_folder(manifest, directory, self._search_path, sys.executable, publisher, made, python)
        if differences and not self._allow_drift:
            raise ProgramsError(
                "the software of this machine is not what the Lab was made with",
                [("differs", one) for one in differences],
                "realize the experiment again here, or accept it and have it recorded: --allow-drift",
            )
        self.drift.extend(one for one in differences if one not in self.drift)
        return directory

    def _python(self, manifest: HostManifest, publisher: Publisher) -> str:
        """The interpreter that finds the manifest's distributions alone, as far as they are here."""
        if manifest.python is None:
            return ""
        places = []
        for name in manifest.distributions:
            try:
                found = find_installed(name)
            except InstalledError:
                continue  # it is one of the differences
            places += [] if found is None else [found.places]
        entries = environment_entries(places)
        text = canonical_json({path: os.fsdecode(entry) for path, entry in entries.items()})
        directory = "%s/%s-python" % (self._store.objects, digest_of_text(text))
        make_environment(entries, directory, publisher, "%s/%s" % (self._store.tmp, maker_name("python")))
        return directory + "/" + BIN


class ClosurePrograms:
    """The software that a Lab carries, as one kind of isolation shows it to jobs."""

    def __init__(self, lab: Lab, store: Store, isolation: Isolation) -> None:
        self._lab = lab
        self._store = store
        self._isolation = isolation
        self.drift: list[str] = []

    def start(self, stage: Stage, image: str) -> StageStart:
        """See `Programs`."""
        software = self._software(stage.software)
        is_python = stage.kind == "python"
        env = {"SHELL": software.shell, **stage.env}
        if software.locale:
            env = {"LOCPATH": software.locale, **env}
        if is_python and software.python_path:
            env = {"PYTHONPATH": ":".join(software.python_path), **env}
        box = None if self._isolation.kind == "native" else self._sandbox(stage, software, image)
        script = place_for_job(self._lab, stage.executable, box)
        argv = (software.python if is_python else software.shell, script)
        return StageStart(argv, ":".join(software.path), env, box, _without(env, self._isolation.variables))

    def package(self, name: str) -> str:
        """See `Programs`: a directory with its `bin/`, as a job sees it."""
        ((path, *_),) = self._software(self._lab.package(name)).packages.values()
        return path

    def _sandbox(self, stage: Stage, software: ClosureSoftware, image: str) -> Sandbox:
        box = Sandbox(
            kind=self._isolation.kind,
            program=self._isolation.program,
            store=self._lab.root.directory("store").path,
            outputs=self._store.outputs,
            shell=software.shell,
            env=software.env,
            mounts=self._isolation.mounts,
            host=self._isolation.host or stage.is_impure,
            network=stage.is_impure,
        )
        if self._isolation.kind == "bwrap":
            return box
        client_env = {
            name: value
            for name, value in os.environ.items()
            if name in ("HOME", "PATH", "LANG", "TMPDIR") or name.startswith(_OF_ENGINES)
        }
        # What passes goes by the client's environment: its command line is everybody's to read.
        client_env.update(self._isolation.variables)
        return box._replace(image=image, stage=stage.digest, client_env=client_env)

    def _software(self, place: str) -> ClosureSoftware:
        software, wrong = self._lab.software(place, parse_closure_software)
        if software is None:
            raise self._lab.root.fault(*((place, one) for one in wrong))
        return software


def _without(env: Mapping[str, str], variables: Mapping[str, str]) -> Mapping[str, str]:
    """The variables that a stage says nothing of."""
    return {name: text for name, text in variables.items() if name not in env}

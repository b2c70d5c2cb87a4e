"""How a Lab's stages start on this machine; here for software of the machine, in `closure` for what a Lab carries."""

from __future__ import annotations

import os
import sys
from typing import Any, Protocol

from repx.agent.base.digest import canonical_json, digest_of_text
from repx.agent.base.layout import Store
from repx.agent.base.publisher import Publisher
from repx.agent.host_path import make_path_folder, parse_host_manifest
from repx.agent.lab.stage import Stage
from repx.agent.makers import maker_name
from repx.errors import SoftwareError
from repx.lab.directory import LabDirectory


class Programs(Protocol):
    """The software of a Lab at run time. All raise SoftwareError."""

    drift: list[str]
    """How it differs from what was recorded, where that is accepted."""

    def stage(self, stage: Stage, image: str) -> dict[str, Any]:
        """`argv`, `path` and `env` of a stage's jobs, and the `sandbox` around them if there is one."""

    def package(self, name: str) -> str:
        """The value of a param that is a package."""

    def path(self, place: str) -> str:
        """A place of the Lab as a job sees it."""


class HostPrograms:
    """PATH folders for the software manifests of a Lab made with `host()`, each made and compared once per run.

    With `allow_drift`, differences from what was recorded are kept in `drift` instead of raised.
    """

    def __init__(self, lab: LabDirectory, store: Store, *, allow_drift: bool = False) -> None:
        self._lab = lab
        self._store = store
        self._search_path = os.environ.get("PATH", os.defpath)
        self._allow_drift = allow_drift
        self._folders: dict[str, str] = {}
        self.drift: list[str] = []

    def folder(self, place: str) -> str:
        """The directory to have on PATH for a software manifest. Raises SoftwareError, naming every difference."""
        if place not in self._folders:
            self._folders[place] = self._make(place)
        return self._folders[place]

    def package(self, name: str) -> str:
        """The value of a param that is a package: a directory with its `bin/`."""
        return os.path.dirname(self.folder(self._lab.package(name)))

    def stage(self, stage: Stage, image: str) -> dict[str, Any]:
        """What a stage's jobs are started with: the interpreter by its own path, then the script."""
        folder = self.folder(stage.software)
        program = sys.executable if stage.kind == "python" else os.path.realpath(f"{folder}/bash")
        return {"argv": [program, self.path(stage.executable)], "path": folder, "env": stage.env}

    def path(self, place: str) -> str:
        """A place of the Lab as a job sees it."""
        return self._lab.root.place(place).path

    def _make(self, place: str) -> str:
        try:
            manifest = parse_host_manifest(self._lab.software(place))
        except ValueError as error:
            raise SoftwareError(
                "the Lab's software is none that this repx can run",
                facts=[("file", f"{self._lab.path}/{place}"), ("because", error)],
            ) from None
        # Another PATH or another interpreter means other links: each combination has a folder of its own.
        name = digest_of_text("\n".join([canonical_json(manifest.json()), self._search_path, sys.executable]))
        directory = f"{self._store.objects}/{name}-host/bin"
        made = f"{self._store.tmp}/{maker_name('path-folder')}"
        publisher = Publisher(self._store.tmp)
        differences = make_path_folder(manifest, directory, self._search_path, sys.executable, publisher, made)
        if differences and not self._allow_drift:
            raise SoftwareError(
                "the software of this machine is not what the Lab was made with",
                facts=[("differs", one) for one in differences],
                hint="realize the experiment again here, or accept it and have it recorded: --allow-drift",
            )
        self.drift.extend(one for one in differences if one not in self.drift)
        return directory

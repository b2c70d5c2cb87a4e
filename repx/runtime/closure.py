"""The software of a Lab that carries its closure: how its stages start, natively or in a sandbox; starts nothing."""

from __future__ import annotations

import os
from typing import Any

from repx.agent.base.layout import Store
from repx.agent.lab.software import ClosureSoftware, parse_closure_software
from repx.agent.lab.stage import Stage
from repx.agent.sandbox import Sandbox
from repx.lab.directory import LabDirectory
from repx.model.closure import STORE_DIR
from repx.runtime.isolation import Isolation

_OF_ENGINES = ("CONTAINERS_", "DOCKER_", "XDG_", "STORAGE_", "BUILDAH_", "PODMAN_")
"""What an engine's client may look at of the runner's environment, beside HOME and PATH. Jobs see none of it."""


class ClosurePrograms:
    """The `Programs` of a Lab with a closure, as one isolation shows them to jobs."""

    def __init__(self, lab: LabDirectory, store: Store, isolation: Isolation) -> None:
        self._lab = lab
        self._store = store
        self._isolation = isolation
        self.drift: list[str] = []

    def stage(self, stage: Stage, image: str) -> dict[str, Any]:
        """What a stage's jobs are started with: argv, PATH, env, and the sandbox around them."""
        manifest = self._manifest(stage.software)
        script = self.path(stage.executable)
        is_python = stage.kind == "python"
        env = {"SHELL": manifest.shell, **stage.env}
        if manifest.locale:
            env = {"LOCPATH": manifest.locale, **env}
        if is_python and manifest.python_path:
            env = {"PYTHONPATH": ":".join(manifest.python_path), **env}
        order = {
            "argv": [manifest.python if is_python else manifest.shell, script],
            "path": ":".join(manifest.path),
            "env": env,
        }
        if self._isolation.kind != "native":
            order["sandbox"] = self._sandbox(stage, manifest, image).encoded()
        return order

    def package(self, name: str) -> str:
        """The value of a param that is a package: a directory with its `bin/`, as a job sees it."""
        ((path, *_),) = self._manifest(self._lab.package(name)).packages.values()
        return path

    def path(self, place: str) -> str:
        """A place of the Lab as a job sees it."""
        if self._isolation.kind == "native":
            return self._lab.root.place(place).path
        return f"{STORE_DIR}/{place.removeprefix('store/')}"

    def _sandbox(self, stage: Stage, manifest: ClosureSoftware, image: str) -> Sandbox:
        isolation = self._isolation
        box = Sandbox(
            kind=isolation.kind,
            program=isolation.program,
            store=self._lab.root.directory("store").path,
            outputs=self._store.outputs,
            shell=manifest.shell,
            env=manifest.env,
            mounts=tuple(isolation.mounts),
            host=isolation.host or stage.is_impure,
            network=stage.is_impure,
        )
        if isolation.kind == "bwrap":
            return box
        client_env = {
            name: value
            for name, value in os.environ.items()
            if name in ("HOME", "PATH", "LANG", "TMPDIR") or name.startswith(_OF_ENGINES)
        }
        return box._replace(image=image, stage=stage.digest, client_env=client_env)

    def _manifest(self, place: str) -> ClosureSoftware:
        manifest, wrong = parse_closure_software(self._lab.software(place))
        if manifest is None:
            raise self._lab.root.fault(*((place, one) for one in wrong))
        return manifest

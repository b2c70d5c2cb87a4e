"""The software of a Lab that carries its closure: how its stages start, natively or in a sandbox; starts nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from repx.agent.base.layout import Store
from repx.agent.lab.stage import Stage
from repx.agent.sandbox import Sandbox
from repx.errors import SoftwareError
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
        self._manifests: dict[str, dict[str, Any]] = {}
        self.drift: list[str] = []

    def stage(self, stage: Stage, image: str) -> dict[str, Any]:
        """What a stage's jobs are started with: argv, PATH, env, and the sandbox around them."""
        manifest = self._manifest(stage.software)
        script = self.path(stage.executable)
        is_python = stage.kind == "python"
        env = {"SHELL": manifest["shell"], **stage.env}
        if manifest.get("locale"):
            env = {"LOCPATH": manifest["locale"], **env}
        if is_python and manifest.get("python_path"):
            env = {"PYTHONPATH": ":".join(manifest["python_path"]), **env}
        order = {
            "argv": [manifest["python"] if is_python else manifest["shell"], script],
            "path": ":".join(manifest["path"]),
            "env": env,
        }
        if self._isolation.kind != "native":
            order["sandbox"] = self._sandbox(stage, manifest, image).encoded()
        return order

    def package(self, name: str) -> str:
        """The value of a param that is a package: a directory with its `bin/`, as a job sees it."""
        ((path, *_),) = self._manifest(self._lab.packages[name])["packages"].values()
        return str(path)

    def path(self, place: str) -> str:
        """A place of the Lab as a job sees it."""
        if self._isolation.kind == "native":
            return f"{self._lab.path}/{place}"
        return f"{STORE_DIR}/{place.removeprefix('store/')}"

    def _sandbox(self, stage: Stage, manifest: Mapping[str, Any], image: str) -> Sandbox:
        isolation = self._isolation
        box = Sandbox(
            kind=isolation.kind,
            program=isolation.program,
            store=f"{self._lab.path}/store",
            outputs=self._store.outputs,
            shell=manifest["shell"],
            env=manifest["env"],
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

    def _manifest(self, place: str) -> dict[str, Any]:
        if place not in self._manifests:
            manifest = self._lab.software(place)
            missing = [key for key in ("packages", "path", "shell", "env") if key not in manifest]
            if manifest.get("kind") != "nix" or missing:
                raise SoftwareError(
                    "the Lab does not say where a stage's software is in its closure",
                    facts=[("file", f"{self._lab.path}/{place}"), ("missing", ", ".join(missing) or "kind")],
                )
            self._manifests[place] = manifest
        return self._manifests[place]

"""A named place to run and how its jobs are shut in; reads the configuration only where there is one.

Today each target is this machine; they differ in their isolation.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from repx.errors import UsageError
from repx.model.names import unknown

IsolationKind = Literal["native", "bwrap", "podman", "docker"]

ANY: tuple[IsolationKind, ...] = ("bwrap", "podman", "docker", "native")
"""In this order where nothing is configured: the stronger and the quicker first."""

LOCAL = "local"
"""The target that need not be written down."""


@dataclass(frozen=True, slots=True)
class Target:
    """How jobs are shut in on a target: the first isolation that works there, and what every job is shown."""

    isolation: tuple[IsolationKind, ...] = ANY
    mount_paths: tuple[str, ...] = ()
    mount_host_paths: bool = False


def find_target(name: str = LOCAL, environment: Mapping[str, str] = os.environ) -> Target:
    """A target by its name. Raises UsageError for one that is not configured, or a configuration that is not valid."""
    path = config_path(environment)
    targets = {LOCAL: Target()}
    if _is_there(path, is_named="REPX_CONFIG" in environment):
        # Imported here: a Lab's own runner has no pydantic, and most users have no configuration.
        from repx.runtime.config import load_config

        targets.update(load_config(path))
    if name not in targets:
        raise unknown("target", name, targets)
    return targets[name]


def config_path(environment: Mapping[str, str] = os.environ) -> str:
    """Where the configuration is, or would be."""
    home = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return environment.get("REPX_CONFIG") or f"{home}/repx/config.toml"


def _is_there(path: str, *, is_named: bool) -> bool:
    try:
        os.stat(path)
    except OSError as error:
        if is_named:
            raise UsageError(
                f"the configuration {path} cannot be read: {error.strerror}", hint="REPX_CONFIG names it"
            ) from None
        # A home that is somebody else's: whether it holds a configuration is not ours to know.
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return False
        raise UsageError(f"the configuration {path} cannot be read: {error.strerror}") from None
    return True

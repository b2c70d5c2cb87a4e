"""Finds a target by its name; reads the configuration only where there is one."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from repx.errors import UsageError
from repx.model.names import unknown
from repx.runtime.target import LOCAL, Target


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

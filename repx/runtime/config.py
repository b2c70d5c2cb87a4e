"""The user's configuration: the named targets, and how jobs are shut in on each; read once, when a run asks.

# ~/.config/repx/config.toml, or the file that REPX_CONFIG names
[targets.local]
isolation = ["bwrap", "podman", "native"]    # the first that works here
mount_paths = ["/data/shared"]               # shown to every job, as they are
mount_host_paths = false                     # the whole machine's files
"""

from __future__ import annotations

import errno
import os
import tomllib
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from repx.errors import UsageError
from repx.model.names import unknown

IsolationKind = Literal["native", "bwrap", "podman", "docker"]

ANY: tuple[IsolationKind, ...] = ("bwrap", "podman", "docker", "native")
"""In this order where nothing is configured: the stronger and the quicker first."""


def _absolute(path: str) -> str:
    expanded = os.path.expanduser(path)
    if not os.path.isabs(expanded) or "\0" in expanded:
        raise ValueError("give an absolute path")
    return os.path.normpath(expanded)


class Target(BaseModel):
    """A named place to run. Today each is this machine; they differ in how jobs are shut in."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    isolation: Annotated[tuple[IsolationKind, ...], Field(min_length=1, strict=False)] = ANY
    mount_paths: Annotated[tuple[Annotated[str, AfterValidator(_absolute)], ...], Field(strict=False)] = ()
    mount_host_paths: bool = False


class Config(BaseModel):
    """All of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: dict[str, Target] = {}

    def target(self, name: str) -> Target:
        """A target by name; `local` need not be written down. Raises UsageError with the nearest."""
        targets = {"local": Target(), **self.targets}
        if name not in targets:
            raise unknown("target", name, targets)
        return targets[name]


def config_path(environment: Mapping[str, str] = os.environ) -> str:
    """Where the configuration is, or would be."""
    home = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return environment.get("REPX_CONFIG") or f"{home}/repx/config.toml"


def load_config(path: str | None = None) -> Config:
    """The configuration; without a file, an empty one. Raises UsageError with all that is wrong with it."""
    path = path or config_path()
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except FileNotFoundError:
        if "REPX_CONFIG" in os.environ and path == os.environ["REPX_CONFIG"]:
            raise UsageError(f"there is no configuration {path}", hint="REPX_CONFIG names it") from None
        return Config()
    except OSError as error:
        if error.errno == errno.EACCES and not os.path.exists(path):
            # A home that is somebody else's: whether it holds a configuration is not ours to know.
            return Config()
        raise UsageError(f"the configuration {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration {path} is no TOML", facts=[("because", error)]) from None
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        facts = [
            (".".join(map(str, one["loc"])) or "all", one["msg"].removeprefix("Value error, "))
            for one in error.errors()
        ]
        raise UsageError(
            f"the configuration {path} is not valid",
            facts=facts,
            hint="a target has isolation, mount_paths and mount_host_paths",
        ) from None

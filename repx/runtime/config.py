"""The user's configuration file: the targets it names; knows nothing of what they are for.

# ~/.config/repx/config.toml, or the file that REPX_CONFIG names
[targets.local]
isolation = ["bwrap", "podman", "native"]    # the first that works here
mount_paths = ["/data/shared"]               # shown to every job, as they are
mount_host_paths = false                     # the whole machine's files
pass_env = ["HTTPS_PROXY"]                   # variables of this environment that jobs get
"""

from __future__ import annotations

import os
import re
import tomllib
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from repx.agent.passed_env import OWN
from repx.agent.programs import IsolationKind
from repx.agent.sandbox import INSIDE
from repx.errors import UsageError
from repx.runtime.target import ANY, Target


def load_config(path: str) -> dict[str, Target]:
    """The targets of a configuration file, by name. Raises UsageError with all that is wrong with it."""
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
        config = _Config.model_validate(content)
    except OSError as error:
        raise UsageError(f"the configuration {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration {path} is not TOML", facts=[("because", error)]) from None
    except ValidationError as error:
        facts = [
            (".".join(map(str, one["loc"])) or "all", one["msg"].removeprefix("Value error, "))
            for one in error.errors()
        ]
        raise UsageError(
            f"the configuration {path} is not valid",
            facts=facts,
            hint="a target has isolation, mount_paths, mount_host_paths and pass_env",
        ) from None
    return {
        name: Target(one.isolation, one.mount_paths, one.mount_host_paths, one.pass_env)
        for name, one in config.targets.items()
    }


_OWN = ("/nix", "/proc", INSIDE)
"""What a sandbox has of its own, and where nothing else can be shown."""


def _mount_path(path: str) -> str:
    expanded = os.path.expanduser(path)
    if not os.path.isabs(expanded) or "\0" in expanded:
        raise ValueError("give an absolute path")
    # POSIX lets two slashes at the start stand for something else.
    place = "/" + os.path.normpath(expanded).lstrip("/")
    if place == "/":
        raise ValueError("that is the whole machine: mount_host_paths = true shows its files")
    for own in _OWN:
        if (place + "/").startswith(own + "/"):
            raise ValueError(f"a sandbox has a {own} of its own")
    return place


def _variable(name: str) -> str:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"{name!r} is not the name of a variable")
    if name in OWN:
        raise ValueError(f"every job has a {name} of its own; a stage's env sets another")
    return name


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    isolation: Annotated[tuple[IsolationKind, ...], Field(min_length=1, strict=False)] = ANY
    mount_paths: Annotated[tuple[Annotated[str, AfterValidator(_mount_path)], ...], Field(strict=False)] = ()
    mount_host_paths: bool = False
    pass_env: Annotated[tuple[Annotated[str, AfterValidator(_variable)], ...], Field(strict=False)] = ()


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: dict[str, _Target] = {}

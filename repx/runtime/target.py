"""A named place to run, and how its jobs are shut in: values. Today each is this machine; they differ in isolation."""

from __future__ import annotations

from dataclasses import dataclass

from repx.agent.programs import IsolationKind

ANY: tuple[IsolationKind, ...] = ("bwrap", "podman", "docker", "native")
"""In this order where nothing is configured: the stronger and the quicker first."""

LOCAL = "local"
"""The target that need not be written down."""


@dataclass(frozen=True, slots=True)
class Target:
    """How jobs are shut in on a target: the first isolation that works there, what every job is shown and told."""

    isolation: tuple[IsolationKind, ...] = ANY
    mount_paths: tuple[str, ...] = ()
    mount_host_paths: bool = False
    pass_env: tuple[str, ...] = ()

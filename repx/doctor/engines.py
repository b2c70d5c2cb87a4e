"""Whether Podman and Docker can run containers here; asks them, and starts no container."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from repx.doctor.probe import Answer, Capability, Machine, State

_GIVES = "running jobs in images, without Nix on the machine that runs them"


def probe_podman(machine: Machine) -> list[Capability]:
    """Podman's own word on what it would use, without leaving it a store, a mount or a process."""
    program = machine.find("podman")
    remedy = "package podman"
    if not program:
        return [Capability("Podman", State.NO, "not found", "", _GIVES, remedy)]
    version, told = _podman_info(machine, program)
    if told.problem:
        found = f"{version}: {told.problem}"
        return [
            Capability("Podman", State.NO, found, program, _GIVES, "see podman info; a runtime: package crun or runc")
        ]
    try:
        host: dict[str, Any] = json.loads(told.stdout)["host"]
        runtime, cgroups = str(host["ociRuntime"]["name"]), str(host["cgroupVersion"])
        rootless = bool(host["security"]["rootless"])
    except (ValueError, KeyError, TypeError):
        return [Capability("Podman", State.LIMITED, f"{version}: tells nothing of this machine", program, _GIVES)]
    found = f"{version}, {runtime}, cgroups {cgroups}" + (", rootless" if rootless else "")
    if rootless and "no subuid ranges" in told.stderr:
        lack, remedy = "images with files of several owners", "ranges in /etc/subuid and /etc/subgid (usermod)"
        return [Capability("Podman", State.LIMITED, found + ", no subuid range", program, lack, remedy)]
    if cgroups == "v1" and runtime == "crun":
        lack, remedy = (
            "cgroups that crun takes: it refuses mixed ones",
            "package runc and `--runtime runc`, or cgroups v2",
        )
        return [Capability("Podman", State.LIMITED, found, program, lack, remedy)]
    return [Capability("Podman", State.YES, found, program)]


def _podman_info(machine: Machine, program: str) -> tuple[str, Answer]:
    """Its version and what it tells of this machine, in a place that is taken away again."""
    with tempfile.TemporaryDirectory(prefix="repx-doctor-", ignore_cleanup_errors=True) as place:
        # vfs: the other drivers mount their directory, as root for good.
        options = ["--storage-driver=vfs"]
        options += [f"--{name}={place}/{name}" for name in ("root", "runroot", "tmpdir", "network-config-dir")]
        more = {"XDG_RUNTIME_DIR": place}
        runtime = machine.environment.get("XDG_RUNTIME_DIR")
        if runtime and "DBUS_SESSION_BUS_ADDRESS" not in machine.environment:
            # Where it would look for itself; without the bus it takes other cgroups.
            more["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
        try:
            version = machine.ask([program, "--version"], more=more).version
            told = machine.ask([program, *options, "info", "--format", "json"], within_s=20, more=more)
            if "unknown flag: --network-config-dir" in told.stderr:
                # Before 4.0 it was called otherwise; what such a Podman makes there is one empty lock file.
                told = machine.ask([program, *options[:-1], "info", "--format", "json"], within_s=20, more=more)
        finally:
            _end_pause_processes(Path(place))
    return version or "no version told", told


def _end_pause_processes(place: Path) -> None:
    """End what a rootless Podman leaves behind to keep its namespace; it takes no notice of gentler signals."""
    for file in place.rglob("pause.pid"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(file.read_text())
            if Path(f"/proc/{pid}/comm").read_text().startswith(("podman", "catatonit")):
                os.kill(pid, signal.SIGKILL)


def probe_docker(machine: Machine) -> list[Capability]:
    """Docker's client, and whether an engine answers it."""
    program = machine.find("docker")
    remedy = "package docker.io (Debian) or docker-ce; Podman does the same"
    if not program:
        return [Capability("Docker", State.NO, "not found", "", _GIVES, remedy)]
    told = machine.ask([program, "version", "--format", "{{json .}}"], within_s=10)
    try:
        said = json.loads(told.stdout)
        client = str(said["Client"]["Version"])
        server = said.get("Server") or {}
        engine = str(server.get("Version", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return [Capability("Docker", State.NO, told.problem or "tells no version", program, _GIVES, remedy)]
    if engine:
        return [Capability("Docker", State.YES, f"{client}, engine {engine}", program)]
    refused = "permission denied" in told.stderr.lower()
    why = (
        "the engine's socket is not for this user" if refused else f"no engine answers: {told.problem or 'none named'}"
    )
    remedy = "your user in the group docker" if refused else "start the engine: systemctl start docker"
    return [Capability("Docker", State.LIMITED, f"{client}; {why}", program, _GIVES, remedy)]

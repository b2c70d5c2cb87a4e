"""Whether Podman and Docker can run containers here; asks them, and starts no container."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
from pathlib import Path
from typing import NamedTuple

from repx.doctor.probe import Capability, Presence, Printed, Programs

_GIVES = "running jobs in images, without Nix on the machine that runs them"


def probe_podman(programs: Programs) -> list[Capability]:
    """What Podman says that it would use; leaves no store, mount or process behind."""
    program = programs.find("podman")
    remedy = "package podman"
    if not program:
        return [Capability("Podman", Presence.NO, "not found", "", _GIVES, remedy)]
    version, told = _podman_info(programs, program)
    if told.problem:
        found = f"{version}: {told.problem}"
        return [
            Capability(
                "Podman", Presence.NO, found, program, _GIVES, "see podman info; a runtime: package crun or runc"
            )
        ]
    try:
        host = _parse_podman(told.stdout)
    except (ValueError, KeyError, TypeError):
        return [Capability("Podman", Presence.LIMITED, f"{version}: tells nothing of this machine", program, _GIVES)]
    found = f"{version}, {host.runtime}, cgroups {host.cgroups}" + (", rootless" if host.rootless else "")
    if host.rootless and "no subuid ranges" in told.stderr:
        lack, remedy = "images with files of several owners", "ranges in /etc/subuid and /etc/subgid (usermod)"
        return [Capability("Podman", Presence.LIMITED, found + ", no subuid range", program, lack, remedy)]
    if host.cgroups == "v1" and host.runtime == "crun":
        lack, remedy = (
            "cgroups that crun takes: it refuses mixed ones",
            "package runc and `--runtime runc`, or cgroups v2",
        )
        return [Capability("Podman", Presence.LIMITED, found, program, lack, remedy)]
    return [Capability("Podman", Presence.YES, found, program)]


class _PodmanHost(NamedTuple):
    """This machine as Podman sees it."""

    runtime: str
    cgroups: str
    rootless: bool


def _parse_podman(text: str) -> _PodmanHost:
    host = json.loads(text)["host"]
    return _PodmanHost(host["ociRuntime"]["name"], host["cgroupVersion"], bool(host["security"]["rootless"]))


def _podman_info(programs: Programs, program: str) -> tuple[str, Printed]:
    """Podman's version, and what it tells of this machine; asked with a store of its own, which is deleted again."""
    with tempfile.TemporaryDirectory(prefix="repx-doctor-", ignore_cleanup_errors=True) as place:
        # vfs, because as root the other drivers leave their directory mounted.
        options = ["--storage-driver=vfs"]
        options += [f"--{name}={place}/{name}" for name in ("root", "runroot", "tmpdir", "network-config-dir")]
        more = {"XDG_RUNTIME_DIR": place}
        runtime = programs.environment.get("XDG_RUNTIME_DIR")
        if runtime and "DBUS_SESSION_BUS_ADDRESS" not in programs.environment:
            # Where Podman would look without our XDG_RUNTIME_DIR; without the bus it uses other cgroups.
            more["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
        try:
            version = programs.ask([program, "--version"], more=more).version
            told = programs.ask([program, *options, "info", "--format", "json"], within_s=20, more=more)
            if "unknown flag: --network-config-dir" in told.stderr:
                # Before 4.0 the option had another name; such a Podman leaves one empty lock file in the usual place.
                told = programs.ask([program, *options[:-1], "info", "--format", "json"], within_s=20, more=more)
        finally:
            _end_pause_processes(Path(place))
    return version or "no version told", told


def _end_pause_processes(place: Path) -> None:
    """Kill the process with which a rootless Podman keeps its namespace; it ignores gentler signals."""
    for file in place.rglob("pause.pid"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(file.read_text())
            if Path(f"/proc/{pid}/comm").read_text().startswith(("podman", "catatonit")):
                os.kill(pid, signal.SIGKILL)


def probe_docker(programs: Programs) -> list[Capability]:
    """Docker's client, and whether an engine answers it."""
    program = programs.find("docker")
    remedy = "package docker.io (Debian) or docker-ce; Podman does the same"
    if not program:
        return [Capability("Docker", Presence.NO, "not found", "", _GIVES, remedy)]
    told = programs.ask([program, "version", "--format", "{{json .}}"], within_s=10)
    try:
        client, engine = _parse_docker(told.stdout)
    except (ValueError, KeyError, TypeError, AttributeError):
        return [Capability("Docker", Presence.NO, told.problem or "tells no version", program, _GIVES, remedy)]
    if engine:
        return [Capability("Docker", Presence.YES, f"{client}, engine {engine}", program)]
    refused = "permission denied" in told.stderr.lower()
    why = (
        "the engine's socket is not for this user" if refused else f"no engine answers: {told.problem or 'none named'}"
    )
    remedy = "your user in the group docker" if refused else "start the engine: systemctl start docker"
    return [Capability("Docker", Presence.LIMITED, f"{client}; {why}", program, _GIVES, remedy)]


def _parse_docker(text: str) -> tuple[str, str]:
    """The versions of the client and of the engine, which is empty where none answers."""
    told = json.loads(text)
    return str(told["Client"]["Version"]), str((told.get("Server") or {}).get("Version", ""))

"""What `repx doctor` says of Podman and Docker, from what they say themselves."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.doctor.machine import Machine, machine_fixture, told

__all__ = ["machine_fixture"]

DOCKER_CLIENT = '{"Client":{"Version":"28.2.2","ApiVersion":"1.50","Os":"linux","Context":"default"},"Server":null}'
NO_ENGINE = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
PODMAN_INFO = (
    '{"host": {"cgroupVersion": "%s", "ociRuntime": {"name": "%s", "path": "/usr/bin/%s"},'
    ' "security": {"rootless": %s}}, "version": {"Version": "4.9.4"}}'
)


def has_podman(machine: Machine, info: str) -> None:
    machine.has("podman", f"case $1 in --version) echo 'podman version 4.9.4';; *) {info};; esac")


def test_podman_without_a_runtime_says_so(machine: Machine) -> None:
    has_podman(machine, "echo 'Error: default OCI runtime \"crun\" not found: invalid argument' >&2; exit 125")
    state, found = told(machine.rows()["Podman"])
    assert (state, found) == ("no", '4.9.4: default OCI runtime "crun" not found: invalid argument')


@pytest.mark.parametrize(
    ("info", "said", "state", "found"),
    [
        (("v2", "crun", "crun", "false"), "", "yes", "4.9.4, crun, cgroups v2"),
        (("v2", "crun", "crun", "true"), "", "yes", "4.9.4, crun, cgroups v2, rootless"),
        (("v1", "crun", "crun", "false"), "", "limited", "4.9.4, crun, cgroups v1"),
        (
            ("v2", "crun", "crun", "true"),
            'no subuid ranges found for user "a" in /etc/subuid',
            "limited",
            "4.9.4, crun, cgroups v2, rootless, no subuid range",
        ),
    ],
)
def test_what_podman_would_use(machine: Machine, info: tuple[str, ...], said: str, state: str, found: str) -> None:
    has_podman(machine, f"echo '{said}' >&2; echo '{PODMAN_INFO % info}'")
    assert told(machine.rows()["Podman"]) == (state, found)


def test_an_older_podman_is_asked_in_its_words(machine: Machine) -> None:
    fails = "echo 'Error: unknown flag: --network-config-dir' >&2; exit 125"
    good = f"echo '{PODMAN_INFO % ('v2', 'runc', 'runc', 'false')}'"
    has_podman(machine, f'case "$*" in *--network-config-dir*) {fails};; *) {good};; esac')
    assert told(machine.rows()["Podman"]) == ("yes", "4.9.4, runc, cgroups v2")


def test_what_a_rootless_podman_leaves_running_is_ended(machine: Machine) -> None:
    """The real one leaves a process called `podman pause`; here it is a sleep under that name."""
    sleeper = machine.place / "podman-sleeps"
    shutil.copy(str(shutil.which("sleep")), sleeper)
    info = PODMAN_INFO % ("v2", "crun", "crun", "true")
    has_podman(
        machine,
        f"""d="$XDG_RUNTIME_DIR/libpod/tmp"; {shutil.which("mkdir")} -p "$d"
        {sleeper} 100 >/dev/null 2>&1 &
        echo $! > "$d/pause.pid"; echo $! > "{machine.place}/pid"; echo '{info}'""",
    )
    assert machine.rows()["Podman"]["state"] == "yes"
    pid = int((machine.place / "pid").read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}/exe").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}/exe").exists()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (
            NO_ENGINE,
            f"28.2.2; no engine answers: {NO_ENGINE}",
        ),
        (
            "permission denied while trying to connect to the Docker daemon socket",
            "28.2.2; the engine's socket is not for this user",
        ),
    ],
)
def test_a_docker_without_an_engine_is_limited(machine: Machine, said: str, found: str) -> None:
    machine.has("docker", f"echo '{DOCKER_CLIENT}'; echo '{said}' >&2; exit 1")
    assert told(machine.rows()["Docker"]) == ("limited", found)


def test_a_docker_with_an_engine(machine: Machine) -> None:
    machine.has("docker", "echo '" + DOCKER_CLIENT.replace("null", '{"Version":"27.1.0"}') + "'")
    assert told(machine.rows()["Docker"]) == ("yes", "28.2.2, engine 27.1.0")

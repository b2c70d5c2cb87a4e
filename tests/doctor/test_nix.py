"""What `repx doctor` says of Nix: kinds and ages of it, its store, its daemon, its sandbox."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.machine import Machine, machine_fixture, told
from tests.machine import needs_programs

__all__ = ["machine_fixture"]

NO_FLAGS = "echo \"error: unrecognised flag '--extra-experimental-features'\" >&2; exit 1"


def test_a_nix_without_flakes_is_not_asked_for_more(machine: Machine) -> None:
    machine.has("nix", f"case $1 in --version) echo 'nix (Nix) 2.3.16';; *) {NO_FLAGS};; esac")
    rows = machine.rows()
    assert told(rows["Nix"]) == ("limited", "2.3.16: has no flakes, which came with 2.4")
    assert "Nix store" not in rows


@pytest.mark.parametrize(("version", "show"), [("2.8.0", "show-config"), ("2.24.11", "config show")])
def test_each_nix_is_asked_in_its_own_words(machine: Machine, version: str, show: str) -> None:
    machine.has_nix(version, show=show)
    rows = machine.rows()
    assert told(rows["Nix"]) == ("yes", version)
    assert rows["flakes"]["state"] == "yes"
    assert told(rows["Nix store"]) == ("yes", "written by this user")
    assert told(rows["Nix sandbox"]) == ("yes", "on")
    assert told(rows["Nix caches"]) == ("yes", "https://cache.example.org/ (not asked)")


def test_a_nix_of_another_house_is_known_by_its_nix_version(machine: Machine) -> None:
    machine.has_nix("", show="config show")
    text = (machine.place / "bin/nix").read_text()
    machine.has("nix", text.replace("nix (Nix) ", "nix (Determinate Nix 3.5.2) 2.28.3"))
    assert told(machine.rows()["Nix"]) == ("yes", "2.28.3")


@pytest.mark.parametrize(("value", "said"), [(False, "false"), ("relaxed", "relaxed")])
def test_builds_without_a_sandbox_are_limited(machine: Machine, value: Any, said: str) -> None:
    machine.has_nix("2.24.11", show="config show", sandbox=value)
    state, found = told(machine.rows()["Nix sandbox"])
    assert (state, found) == ("limited", f"sandbox = {said}: builds may see this machine's files and network")


def test_flakes_that_fail_say_why(machine: Machine) -> None:
    fails = "echo \"error: illegal configuration line 'x' in 'NIX_CONFIG'\" >&2; echo \"Try 'nix --help'\" >&2; exit 1"
    machine.has_nix("2.8.0", show="show-config", evaluates=fails)
    assert told(machine.rows()["flakes"]) == ("no", "illegal configuration line 'x' in 'NIX_CONFIG'")


@pytest.mark.parametrize(("version", "ping"), [("2.8.0", "store ping"), ("2.24.11", "store info")])
def test_each_nix_is_asked_for_its_daemon_in_its_own_words(machine: Machine, version: str, ping: str) -> None:
    machine.has_nix(version, show="config show", pings=f"{ping} --store daemon")
    machine.environment["NIX_REMOTE"] = "daemon"
    assert told(machine.rows()["Nix store"]) == ("yes", "by the daemon")


@pytest.fixture(name="real_nix")
def real_nix_fixture(machine: Machine) -> Path:
    """The socket at which this machine's Nix looks for a daemon."""
    needs_programs("nix", "nix-daemon")
    socket_path = machine.place / "s"
    machine.environment |= {
        "PATH": os.environ["PATH"],
        "NIX_REMOTE": "daemon",
        "NIX_DAEMON_SOCKET_PATH": str(socket_path),
    }
    return socket_path


@pytest.mark.real
def test_a_store_for_nobody_to_write_needs_a_daemon(machine: Machine, real_nix: Path) -> None:
    row = machine.rows()["Nix store"]
    why = f"cannot connect to socket at '{real_nix}': No such file or directory"
    assert told(row) == ("no", f"the daemon: {why}")
    assert row["path"] == str(real_nix)


@pytest.mark.real
def test_a_daemon_that_answers_writes_the_store(machine: Machine, real_nix: Path) -> None:
    environment = {**os.environ, **machine.environment}
    daemon = subprocess.Popen(["nix-daemon"], env=environment, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 10
        while not real_nix.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert told(machine.rows()["Nix store"]) == ("yes", "by the daemon")
    finally:
        daemon.terminate()
        daemon.communicate()


@pytest.mark.real
def test_not_all_that_listens_is_a_nix_daemon(machine: Machine, real_nix: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(real_nix))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.example.org ESMTP\n")

        thread = threading.Thread(target=serve)
        thread.start()
        state, found = told(machine.rows()["Nix store"])
        thread.join()
    assert state == "no"
    assert found.startswith("the daemon: ")

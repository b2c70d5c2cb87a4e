"""What `repx doctor` says of Nix: kinds and ages of it, its store, its daemon, its sandbox."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from repx.doctor.nix import daemon_problem
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


def test_a_store_for_nobody_to_write_needs_a_daemon(machine: Machine) -> None:
    machine.has_nix("2.8.0", show="show-config")
    machine.environment["NIX_REMOTE"] = "daemon"
    row = machine.rows()["Nix store"]
    assert told(row) == ("no", "the daemon: No such file or directory")
    assert row["path"] == f"{machine.place}/nix/var/daemon-socket/socket"


@pytest.mark.real
def test_a_daemon_that_answers_writes_the_store(machine: Machine) -> None:
    needs_programs("nix-daemon")
    machine.has_nix("2.8.0", show="show-config")
    path = machine.place / "s"
    environment = {**os.environ, **machine.environment, "PATH": os.environ["PATH"], "NIX_DAEMON_SOCKET_PATH": str(path)}
    daemon = subprocess.Popen(["nix-daemon"], env=environment, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 10
        while daemon_problem(str(path)) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert daemon_problem(str(path)) == ""
        machine.environment |= {"NIX_REMOTE": "daemon", "NIX_DAEMON_SOCKET_PATH": str(path)}
        assert told(machine.rows()["Nix store"]) == ("yes", "by the daemon")
    finally:
        daemon.terminate()
        daemon.communicate()


@contextmanager
def listening(path: Path, answer: bytes) -> Iterator[None]:
    """A socket that takes what it is told, and says `answer` if that is not empty."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(8) == struct.pack("<Q", 0x6E697863)
                if answer:
                    connection.sendall(answer)
                else:
                    connection.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def test_not_all_that_listens_is_a_nix_daemon(tmp_path: Path) -> None:
    assert daemon_problem(str(tmp_path / "none")) == "No such file or directory"
    with listening(tmp_path / "other", b"220 mail.example.org ESMTP\n"):
        assert daemon_problem(str(tmp_path / "other")) == "what answers is no Nix daemon"
    with listening(tmp_path / "mute", b""):
        assert daemon_problem(str(tmp_path / "mute"), within_s=0.1) == "no answer within 0.1 s"
    assert daemon_problem(str(tmp_path / ("long" * 50))) == "AF_UNIX path too long"

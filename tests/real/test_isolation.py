"""What a job in a sandbox can see and touch: every guarantee of the table in README.md is attacked by real jobs."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.machine import needs_programs
from tests.real.hostile import EXPERIMENT, FILES
from tests.real.worlds import World, world

pytestmark = pytest.mark.real

ABSENT = {"error": "ENOENT"}
MARK = "REPX_TEST_RUNNER_SECRET"
HOST_PATHS = (
    "/etc/shadow", "/etc/machine-id", "/etc/resolv.conf", "/etc/debian_version", "/usr/lib", "/usr/share",
    "/usr/bin/dpkg", "/lib", "/home", "/root/.bashrc", "/root/.profile", "/boot", "/opt", "/srv", "/mnt", "/var/lib",
    "/var/log", "/run/lock", "/proc/1/root/home", "/proc/1/cwd/../../home", "/dev/kmsg", "/dev/mem", "/dev/vda",
    "/dev/sda", "/dev/kvm", "/dev/fuse",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What the attacking job of one isolation tells, and the world it was started from."""

    kind: str
    told: dict[str, Any]
    world: World
    lab: Path
    store: Path


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[int, str]]:
    """A port of the loopback and an abstract name where whoever connects is greeted."""
    name = f"repx-test-{os.getpid()}"
    listeners = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
    listeners[1].bind("\0" + name)
    listeners[1].listen()

    def greet(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.sendall(b"welcome")

    threads = [threading.Thread(target=greet, args=(listener,)) for listener in listeners]
    for thread in threads:
        thread.start()
    yield listeners[0].getsockname()[1], name
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join()


@pytest.fixture(scope="module")
def hostile(
    common_store: Path, podman_settings: dict[str, str], server: tuple[int, str]
) -> Iterator[tuple[World, Path]]:
    needs_programs("bwrap")
    with world(common_store, **podman_settings, **{MARK: "do not tell"}) as made:
        for name, text in FILES.items():
            (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (made.folder / name).write_text(text)
        outside = [*HOST_PATHS, str(made.folder), str(common_store)]
        for kind in ("bwrap", "podman"):
            outside += [str(made.folder / kind), str(made.folder / kind / "outputs")]
        settings = f"PORT, SOCKET, OUTSIDE = {server[0]}, {server[1]!r}, {chr(10).join(outside)!r}\n"
        lab = made.realize(settings + EXPERIMENT + "lab = Lab([Run('attacks', attacks)], packages=packages)\n")
        yield made, lab


@pytest.fixture(scope="module", params=["bwrap", "podman"])
def seen(request: pytest.FixtureRequest, hostile: tuple[World, Path]) -> Seen:
    """One run with one slot: the attacker finds what its slot's jobs before it have left."""
    made, lab = hostile
    store = made.folder / request.param
    options = ("--lab", str(lab), "--store", str(store))
    made.repx("run", f"--{request.param}", "-j", "1", *options)
    told = json.loads(made.repx("show", "output", "attack", "found", *options))
    return Seen(request.param, told, made, lab, store)


def test_nothing_of_the_host_is_to_be_seen(seen: Seen) -> None:
    assert (
        seen.told["root"]
        == {
            "bwrap": ["bin", "dev", "etc", "nix", "proc", "repx", "tmp", "usr"],
            "podman": ["bin", "dev", "etc", "nix", "proc", "repx", "root", "run", "sys", "tmp", "usr", "var"],
        }[seen.kind]
    )
    there = [path for path in HOST_PATHS if os.path.lexists(path)]
    assert len(there) > 5, "this machine has next to nothing that could be seen"
    assert {path: seen.told["reads"][path] for path in there} == dict.fromkeys(there, ABSENT)


def test_neither_lab_nor_store_nor_results_of_others_are_to_be_seen(seen: Seen) -> None:
    paths = [path for path in seen.told["reads"] if path not in HOST_PATHS]
    assert str(seen.store / "outputs") in paths
    assert {path: seen.told["reads"][path] for path in paths} == dict.fromkeys(paths, ABSENT)
    assert seen.told["outputs"] == {"gives": "[]"}


def test_inputs_are_there_and_no_others(seen: Seen) -> None:
    assert [path.removeprefix("/repx/in/") for path in seen.told["inputs"] if "folder" not in path] == [
        "before/kept.txt",
        "text/text.txt",
    ]
    given = set(seen.told["reads_input"].values())
    assert given == {repr(text.encode()) for text in ("kept\n", "text\n", "stored\n", "deep\n", "deeper\n")}


def test_an_input_cannot_be_changed_in_any_way(seen: Seen) -> None:
    for way in ("writes", "chmods", "removes", "touches", "links"):
        tried = seen.told[f"{way}_input"]
        assert len(tried) == 5
        for path, answer in tried.items():
            assert answer.get("error") in ("EROFS", "EACCES", "EPERM", "EXDEV"), (way, path, answer)
    for name, text in FILES.items():
        assert (seen.world.folder / name).read_text() == text
    # Another store trusts nothing: every hash of the Lab is looked at again.
    options = ("--lab", str(seen.lab), "--store", str(seen.world.folder / f"again-{seen.kind}"))
    seen.world.repx("run", "--bwrap", *options, "earlier")


def test_nothing_but_out_and_tmp_can_be_written(seen: Seen) -> None:
    for path, answer in seen.told["writes"].items():
        assert answer.get("error") in ("EROFS", "EACCES", "EPERM", "ENOENT"), (path, answer)
    assert seen.told["writes"]["/new"] == seen.told["writes"]["/nix/store/new"] == {"error": "EROFS"}
    assert all(answer == {"gives": "None"} for answer in seen.told["may_write"].values()), seen.told["may_write"]


def test_the_kernel_is_not_its_to_set(seen: Seen) -> None:
    """The user that root's bubblewrap shows as 1000 is root to the kernel, which lets it write below /proc/sys."""
    for name in ("core_pattern", "hostname"):
        assert "error" in seen.told["writes"][f"/proc/sys/kernel/{name}"]
    assert seen.told["status"]["NoNewPrivs"].strip() == "1"
    assert int(seen.told["status"]["CapEff"], 16) == 0
    assert int(seen.told["status"]["CapPrm"], 16) == 0
    assert seen.told["mknod"] == {"error": "EPERM"}


def test_root_in_a_namespace_of_its_own_gains_nothing(seen: Seen) -> None:
    assert seen.told["remounts"] != 0
    assert seen.told["unmounts"] != 0


def test_there_is_no_network(seen: Seen, server: tuple[int, str]) -> None:
    with socket.create_connection(("127.0.0.1", server[0]), 3) as client:
        assert client.recv(100) == b"welcome"
    assert seen.told["loopback"] == {"error": "ECONNREFUSED"}
    assert seen.told["abstract"] == {"error": "ECONNREFUSED"}
    assert "error" in seen.told["resolves"]
    assert [line.split(":")[0].strip() for line in seen.told["devices"].splitlines() if ":" in line] == ["lo"]


def test_its_own_machine_has_a_name(seen: Seen) -> None:
    assert "127.0.0.1" in seen.told["localhost"]["gives"]
    assert seen.told["ids"][3:] == ["repx", "/repx/out"]


def test_the_environment_is_made_and_not_inherited(seen: Seen) -> None:
    environment = dict(seen.told["environment"])
    assert MARK not in environment
    assert environment.pop("STAGE_SAYS") == 'it\'s = "so"'
    for name in ("PATH", "PYTHONPATH", "SHELL"):
        assert all(place.startswith("/nix/store/") for place in environment.pop(name).split(":"))
    # What Bash, by which a container's job is started, sets for itself; and where a package set has its locales.
    for name in ("_", "SHLVL", "LOCPATH"):
        environment.pop(name, None)
    assert environment == {
        "HOME": "/tmp", "TMPDIR": "/tmp", "USER": "repx", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0",
        "PWD": "/repx/out", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    assert seen.told["numpy"].startswith("/nix/store/")


def test_it_is_an_ordinary_user(seen: Seen) -> None:
    uid, gid, groups = seen.told["ids"][:3]
    assert (uid, gid) == (1000, 1000)
    assert set(groups) <= {1000}


def test_tmp_is_its_own_and_gone_afterwards(seen: Seen) -> None:
    assert seen.told["tmp"] == [[], [], []]
    assert not Path("/tmp/left").exists()
    assert not Path("/tmp/x").exists()
    assert list((seen.store / "tmp").iterdir()) == []


def test_no_process_of_others_is_to_be_seen(seen: Seen) -> None:
    # Bubblewrap's process 1 and the keeper, or a container's (and its child that waits), and the job; its two children
    # have ended.
    assert len(seen.told["commands"]) == 3
    programs = {Path(command.split("\0")[0]).name for command in seen.told["commands"]}
    assert programs == {"bwrap": {"bwrap", "bash", "python3"}, "podman": {"bash", "python3"}}[seen.kind]


def test_there_is_no_terminal(seen: Seen) -> None:
    assert seen.told["terminal"].get("error") in ("ENXIO", "ENOENT", "EACCES")

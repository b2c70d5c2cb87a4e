"""What opens a sandbox: mount_paths, mount_host_paths, impure stages, each just what it says; and no sandbox at all."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.machine import needs_programs
from tests.real.worlds import World, world

pytestmark = pytest.mark.real

MARK = "REPX_TEST_RUNNER_SECRET"
PASSED = {
    "REPX_TEST_PROXY": "http://me:hush@proxy:1",
    "REPX_TEST_TOKEN": "hush, 'quoted' \n$HOME",
    "REPX_TEST_EMPTY": "",
}

EXPERIMENT = """
def tried(act, *arguments):
    import errno
    try:
        return act(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)

def read(path):
    import os
    return os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(2000).decode("utf-8", "replace")

def append(path):
    import os, time
    if os.path.isdir(path):
        path += f"/new-{time.time_ns()}"
    with open(path, "a") as file:
        file.write("x")
    return "written"

def reach(port):
    import socket
    with socket.create_connection(("127.0.0.1", port), 3):
        return "reached"

def report(found, paths, port):
    import json, os, shutil
    found.write_text(json.dumps({
        "reads": {path: tried(read, path) for path in paths.splitlines()},
        "writes": {path: tried(append, path) for path in paths.splitlines() if path.startswith("/".join(HERE))},
        "devices": {path: tried(append, path) for path in ("/dev/null", "/dev/full")},
        "root": tried(append, "/new"), "store": tried(append, "/nix/store/new"), "tmp": tried(read, "/tmp"),
        "reached": tried(reach, port),
        "interfaces": sorted(line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line),
        "environment": dict(os.environ), "python": os.readlink("/proc/self/exe"), "host": shutil.which("dpkg"),
        "shm": os.statvfs("/dev/shm").f_frsize * os.statvfs("/dev/shm").f_blocks,
        "sysctl": tried(lambda: os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))),
    }))

@stage(packages=["python3"])
def look(found: Output = out("found.json"), *, paths: str, port: int):
    report(found, paths, port)

@stage(packages=["python3"], resources=Resources(mem="300M"))
def look_with_mem(found: Output = out("found.json"), *, paths: str, port: int):
    report(found, paths, port)

@stage(packages=["python3"], impure=True)
def impure_look(found: Output = out("found.json"), *, paths: str, port: int):
    report(found, paths, port)

here = {"paths": PATHS, "port": PORT}
stages = {"shut": look, "mem": look_with_mem, "impure": impure_look}
lab = Lab([Run(name, stage, params=here) for name, stage in stages.items()], packages=packages)
"""

STAGES = {"shut": "look", "mem": "look_with_mem", "impure": "impure_look"}


@dataclass(frozen=True)
class Opened:
    """A Lab that looks around, and a folder of the host with something to see."""

    world: World
    lab: Path
    interfaces: list[str]

    def look(self, kind: str, target: str, run: str = "shut") -> Any:
        """What the job of a run says when it was run so; in a store of its own, so that each looks for itself."""
        store = self.world.folder / f"{kind}-{target}"
        options = ("--lab", str(self.lab), "--store", str(store))
        self.world.repx("run", f"--{kind}", "--target", target, run, *options)
        return json.loads(self.world.repx("show", "output", STAGES[run], "found", *options))

    def here(self, name: str) -> str:
        return str(self.world.folder / "data" / name)


@pytest.fixture(scope="module")
def opened(common_store: Path, podman_settings: dict[str, str]) -> Iterator[Opened]:
    needs_programs("bwrap")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        world(common_store, **podman_settings, **PASSED, **{MARK: "do not tell"}) as made,
    ):
        data = made.folder / "data"
        for name in (
            "shared/file.txt",
            "single.txt",
            "locked.txt",
            'a, b:c"d/file.txt',
            "hidden.txt",
            "hidden/file.txt",
        ):
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_text(f"content of {name}\n")
        for path in (made.folder, data, *data.rglob("*")):
            # Whoever a job is: what is opened is opened for all.
            path.chmod(0o777 if path.is_dir() else 0o666)
        (data / "locked.txt").chmod(0o444)
        shown = [
            data / "shared",
            data / "single.txt",
            data / "locked.txt",
            data / 'a, b:c"d',
            "/dev/null",
            "/etc/hostname",
        ]
        config = made.folder / "config.toml"
        config.write_text(
            "[targets.shut]\nmount_paths = []\n"
            f"[targets.some]\nmount_paths = {json.dumps([str(path) for path in shown])}\n"
            "[targets.all]\nmount_host_paths = true\n"
            f"[targets.told]\npass_env = {json.dumps([*PASSED, 'REPX_TEST_UNSET'])}\n"
        )
        made.environment["REPX_CONFIG"] = str(config)
        paths = [
            *map(str, sorted(data.rglob("*"))),
            "/etc/hostname",
            "/etc/passwd",
            "/etc/debian_version",
            "/usr/bin/dpkg",
        ]
        paths = [*paths, str(data), str(made.folder), "/root", str(common_store)]
        settings = f"HERE, PATHS, PORT = {str(data).split('/')!r}, {chr(10).join(paths)!r}, {server.getsockname()[1]}\n"
        devices = Path("/proc/net/dev").read_text().splitlines()
        interfaces = sorted(line.split(":")[0].strip() for line in devices if ":" in line)
        yield Opened(made, made.realize(settings + EXPERIMENT), interfaces)


@pytest.mark.parametrize("kind", ["bwrap", "podman"])
def test_without_a_word_nothing_is_open(opened: Opened, kind: str) -> None:
    told = opened.look(kind, "shut")
    told["reads"].pop("/etc/passwd")
    if kind == "podman":
        assert told["reads"].pop("/etc/hostname") == "repx"
        assert told["reads"].pop("/root") == []
    assert set(told["reads"].values()) == {"ENOENT"}
    assert set(told["writes"].values()) == {"ENOENT"}
    assert (told["root"], told["store"], told["reached"], told["interfaces"]) == (
        "EROFS",
        "EROFS",
        "ECONNREFUSED",
        ["lo"],
    )


@pytest.mark.parametrize("kind", ["bwrap", "podman"])
def test_mounted_paths_are_open_and_nothing_beside_them(opened: Opened, kind: str) -> None:
    told = opened.look(kind, "some")
    reads = told["reads"]
    for name in ("shared/file.txt", "single.txt", "locked.txt", 'a, b:c"d/file.txt'):
        assert reads[opened.here(name)].startswith(f"content of {name}\n")
    for name in ("hidden.txt", "hidden", "hidden/file.txt"):
        assert reads[opened.here(name)] == "ENOENT"
    assert sorted(reads[opened.here(".").removesuffix("/.")]) == ['a, b:c"d', "locked.txt", "shared", "single.txt"]
    assert reads["/etc/hostname"] == Path("/etc/hostname").read_text()
    assert reads["/etc/debian_version"] == reads["/usr/bin/dpkg"] == "ENOENT"
    # As the file is: what may be written there is written.
    for name in ("shared", "shared/file.txt", "single.txt", 'a, b:c"d'):
        assert told["writes"][opened.here(name)] == "written"
    (new,) = Path(opened.here("shared")).glob("new-*")
    new.unlink()
    assert told["writes"][opened.here("locked.txt")] == "EACCES"
    assert told["devices"] == {"/dev/null": "written", "/dev/full": "ENOSPC"}
    assert (told["root"], told["store"], told["reached"], told["interfaces"]) == (
        "EROFS",
        "EROFS",
        "ECONNREFUSED",
        ["lo"],
    )


@pytest.mark.parametrize("kind", ["bwrap", "podman"])
def test_the_hosts_files_are_open_and_not_its_network_nor_tmp_nor_store(opened: Opened, kind: str) -> None:
    told = opened.look(kind, "all")
    assert told["reads"]["/usr/bin/dpkg"] == Path("/usr/bin/dpkg").read_bytes()[:2000].decode("utf-8", "replace")
    for path in ("/etc/debian_version", "/etc/passwd"):
        assert told["reads"][path] == Path(path).read_bytes()[:2000].decode("utf-8", "replace")
    # This test's folder is in the host's /tmp.
    assert {told["reads"][path] for path in told["reads"] if path.startswith("/tmp/")} == {"ENOENT"}
    assert told["tmp"] == []
    assert told["store"] == "EROFS"
    assert (told["reached"], told["interfaces"]) == ("ECONNREFUSED", ["lo"])
    assert told["sysctl"] in ("EROFS", "EACCES")
    assert told["host"] is None, "PATH is still the closure's"
    assert MARK not in told["environment"]


@pytest.mark.parametrize("kind", ["bwrap", "podman"])
def test_an_impure_stage_has_files_and_network_and_no_other_stage_has(opened: Opened, kind: str) -> None:
    told = opened.look(kind, "shut", "impure")
    assert told["reads"]["/usr/bin/dpkg"] != "ENOENT"
    assert told["reached"] == "reached"
    assert told["interfaces"] == opened.interfaces
    assert told["store"] == "EROFS"
    assert MARK not in told["environment"]
    other = opened.look(kind, "shut", "shut")
    assert other["reads"]["/usr/bin/dpkg"] == "ENOENT"
    assert other["reached"] == "ECONNREFUSED"


def test_natively_there_is_the_closures_path_an_empty_environment_and_the_whole_machine(opened: Opened) -> None:
    told = opened.look("native", "shut")
    environment = told["environment"]
    assert all(place.startswith("/nix/store/") for place in environment.pop("PATH").split(":"))
    assert told["python"].startswith("/nix/store/")
    assert told["host"] is None
    assert MARK not in environment
    assert {name for name in environment if name not in ("LOCPATH", "PYTHONPATH")} == {
        "HOME", "TMPDIR", "USER", "LANG", "TZ", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "SHELL",
    }  # fmt: skip
    assert environment["HOME"] != os.environ["HOME"]
    # Documented: natively nothing is shut.
    assert told["reads"][opened.here("hidden.txt")].startswith("content of hidden.txt")
    assert told["reached"] == "reached"


@pytest.mark.parametrize("kind", ["native", "bwrap", "podman"])
def test_a_target_lets_the_variables_through_that_it_names(opened: Opened, kind: str) -> None:
    environment = opened.look(kind, "told")["environment"]
    assert {name: text for name, text in environment.items() if name.startswith("REPX_TEST")} == PASSED
    options = ("--lab", str(opened.lab), "--store", str(opened.world.folder / f"{kind}-told"))
    shown = opened.world.repx("show", "job", "look", "--json", *options)
    recorded = {"REPX_TEST_PROXY": "http://…@proxy:1", "REPX_TEST_TOKEN": None, "REPX_TEST_EMPTY": ""}
    assert json.loads(shown)["attempt"]["passed_env"] == recorded
    assert "hush" not in shown


def test_a_containers_shared_memory_is_half_of_what_its_job_asked_for(opened: Opened) -> None:
    assert opened.look("podman", "shut", "mem")["shm"] == 150 << 20

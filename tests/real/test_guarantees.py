"""Each guarantee of the README's table of isolations, attacked by jobs that mean harm."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.worlds import World, world

pytestmark = pytest.mark.real

PATIENCE_S = 60

EXPERIMENT = """
@bash
def victim(secret: Output = out("secret.txt"), folder: Output = out("folder")):
    return 'echo hidden > "$secret"; mkdir "$folder"; echo given > "$folder/file.txt"'

@stage(packages=["python3"])
def attack(folder: Input, report: Output = out("report.json"), *, port: int, outside: str, others: str, harm: bool):
    import json, os, socket, subprocess
    from pathlib import Path
    told = {"tmp": os.listdir("/tmp") if os.environ["HOME"] == "/tmp" else os.listdir(os.environ["TMPDIR"])}

    def attempt(name, act):
        try:
            told[name] = act()
        except OSError as error:
            told[name] = f"refused: {error.strerror}"

    def write(path):
        if not harm:
            return "spared"
        Path(path).write_text("changed")
        return "written"

    def connect():
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return "connected"

    attempt("host file", lambda: Path(outside).read_text())
    attempt("host programs", lambda: sorted(os.listdir("/usr/bin"))[:3] if len(os.listdir("/usr/bin")) > 5 else "few")
    attempt("other outputs", lambda: len(os.listdir(others)))
    attempt("input file", lambda: write(folder / "file.txt"))
    attempt("input folder", lambda: write(folder / "new.txt"))
    attempt("inputs", lambda: write(folder.parent / "new.txt"))
    attempt("closure", lambda: write("/nix/store/new.txt"))
    attempt("own python", lambda: write(os.path.realpath("/proc/self/exe")))
    attempt("root", lambda: write("/repx-was-here"))
    attempt("etc", lambda: write("/etc/repx-was-here"))
    attempt("network", connect)
    attempt("interfaces", lambda: sorted(line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line))
    attempt("environment", lambda: os.environ.get("REPX_TEST_MARKER", "not there"))
    attempt("user", os.getuid)
    attempt("processes", lambda: sum(name.isdigit() for name in os.listdir("/proc")) < 10)
    attempt("shell", lambda: subprocess.run(["/bin/sh", "-c", "echo from sh"], capture_output=True, text=True).stdout)
    attempt("characters", lambda: subprocess.run(["wc", "-m"], input="ä€", capture_output=True, text=True).stdout)
    attempt("out", lambda: write("more.txt"))
    report.write_text(json.dumps(told))

@stage(packages=["python3"])
def escape(done: Output = out("done.txt"), *, mark: str):
    import os, shutil, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            null = os.open("/dev/null", os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            os.execv(shutil.which("sleep"), [f"escaped-{mark}", "300"])
        os._exit(0)
    time.sleep(0.3)
    done.write_text("gone")

@bash
def sleeper(done: Output = out("done.txt"), *, mark: str):
    return '( exec -a "child-$mark" sleep 300 ) & exec -a "sleeper-$mark" sleep 300; echo > "$done"'

@stage(packages=["python3"], resources=Resources(mem="64M"))
def hungry(done: Output = out("done.txt")):
    held = bytearray(300 * 1024 * 1024)
    held[::4096] = b"x" * len(held[::4096])
    done.write_text("not held")

def pipeline():
    attack(folder=victim().folder)

known = {"port": [PORT], "outside": [OUTSIDE], "others": [OTHERS]}
attacks = Run("attacks", pipeline, params={**known, "harm": [True]})
looks = Run("looks", pipeline, params={**known, "harm": [False]})
escapes = Run("escapes", escape, params={"mark": [MARK]})
sleeps = Run("sleeps", sleeper, params={"mark": [MARK]})
meals = Run("meals", hungry)
lab = Lab([attacks, looks, escapes, sleeps, meals], packages=packages)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """A port of this machine at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def hostile(common_store: Path, server: int, podman_settings: dict[str, str]) -> Iterator[World]:
    with world(common_store, REPX_TEST_MARKER="leaked", **podman_settings) as made:
        outside = made.folder / "outside.txt"
        outside.write_text("of the host")
        mark = f"{os.getpid()}-{time.monotonic_ns()}"
        made.environment["MARK"] = mark
        outputs = str(common_store / "outputs")
        made.realize(f"PORT, OUTSIDE, OTHERS, MARK = {server}, {str(outside)!r}, {outputs!r}, {mark!r}\n" + EXPERIMENT)
        yield made


def attacked(made: World, isolation: str, run: str = "attacks") -> dict[str, Any]:
    made.repx("run", run, isolation, "--force", "-j", "1")
    harm = "true" if run == "attacks" else "false"
    answer: dict[str, Any] = json.loads(made.output(f"attack[harm={harm}]", "report"))
    return answer


def marked(made: World) -> list[str]:
    """The processes of this machine that carry the mark in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            line = cmdline(int(entry.name)).replace(b"\0", b" ").decode()
            if line.startswith(("escaped-", "sleeper-", "child-")) and made.environment["MARK"] in line:
                found.append(line)
    return found


@pytest.mark.parametrize("isolation", ["--bwrap", "--podman"])
def test_a_job_in_a_sandbox_sees_and_changes_what_it_may_and_nothing_else(hostile: World, isolation: str) -> None:
    told = attacked(hostile, isolation)
    refused = {name: answer for name, answer in told.items() if str(answer).startswith("refused: ")}
    changes = {"input file", "input folder", "inputs", "closure", "own python", "root", "etc"}
    assert set(refused) == changes | {"host file", "other outputs", "network"}, told
    assert {refused[name] for name in changes} == {"refused: Read-only file system"}
    assert refused["host file"] == refused["other outputs"] == "refused: No such file or directory"
    assert told["host programs"] == "few"
    assert told["interfaces"] == ["lo"]
    assert told["environment"] == "not there"
    assert told["user"] != 0
    assert told["tmp"] == []
    assert told["processes"] is True
    assert told["shell"] == "from sh\n"
    assert told["characters"] == "2\n"
    assert told["out"] == "written"


def test_natively_a_job_sees_the_machine_and_gets_the_same_environment(hostile: World) -> None:
    told = attacked(hostile, "--native", "looks")
    assert told["host file"] == "of the host"
    assert told["host programs"] != "few"
    assert told["other outputs"] > 1
    assert told["network"] == "connected"
    assert told["environment"] == "not there"
    assert told["tmp"] == []


@pytest.mark.parametrize("isolation", ["--native", "--bwrap", "--podman"])
def test_a_process_that_leaves_its_job_behind_ends_with_it(hostile: World, isolation: str) -> None:
    hostile.repx("run", "escapes", isolation, "--force")
    deadline = time.monotonic() + 5
    while marked(hostile) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert marked(hostile) == []


@pytest.mark.parametrize("isolation", ["--native", "--bwrap", "--podman"])
@pytest.mark.parametrize("killed", ["runner", "worker", "group"])
def test_whoever_is_killed_the_job_ends(hostile: World, isolation: str, killed: str) -> None:
    command = [sys.executable, "-c", "from repx.cli.main import main; main()", "run", "sleeps", isolation]
    runner = subprocess.Popen(
        command, cwd=hostile.folder, env=hostile.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: len(marked(hostile)) >= 2)
        worker = next(child for child in children_of(runner.pid) if b"worker" in cmdline(child))
        if killed == "runner":
            runner.kill()
        elif killed == "worker":
            os.kill(worker, signal.SIGKILL)
            # The job is given to another worker once; what may kill workers is not tried for ever.
            time.sleep(0.5)
            runner.terminate()
        else:
            # What the worker has started: the script itself, bubblewrap, or the engine's client.
            os.killpg(children_of(worker)[0], signal.SIGKILL)
        wait_until(lambda: marked(hostile) == [])
    finally:
        runner.kill()
        runner.wait(PATIENCE_S)
    wait_until(lambda: marked(hostile) == [])


@pytest.mark.parametrize("isolation", ["--bwrap", "--podman"])
def test_a_job_that_takes_more_memory_than_it_asked_for_is_ended(hostile: World, isolation: str) -> None:
    if not os.access("/sys/fs/cgroup/memory", os.W_OK) and not os.access("/sys/fs/cgroup/cgroup.procs", os.W_OK):
        pytest.skip("no control groups to write here")
    done = hostile.start("run", "meals", isolation, "--force")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "it used more than the 67108864 bytes of memory it had asked for" in done.stderr


def wait_until(true: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""

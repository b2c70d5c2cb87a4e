"""The words that start a job in a sandbox, its /etc, what its end says, and the first process of a container."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from repx.agent.base.layout import Store
from repx.agent.base.record import Attempt
from repx.agent.exit_cause import add_exit_cause
from repx.agent.job import GRACE_S
from repx.agent.keeper import KEEPER, OUT_OF_MEMORY
from repx.agent.lab.lab import Lab
from repx.agent.messages import JobOrder
from repx.agent.resolve import FileInput
from repx.agent.resolved_job import resolve_order, resolved_job
from repx.agent.resolver import Resolver
from repx.agent.sandbox import (
    DESCRIPTOR,
    Sandbox,
    bwrap_words,
    container_argv,
    host_words,
    parse_sandbox,
    sandbox_command,
)
from repx.agent.sandbox_inputs import MOST_MOUNTS, SandboxInputs
from repx.agent.scratch import Scratch
from repx.agent.stage_start import StageStart
from tests.agent.mini_lab import RUN, MiniJob, job_id, write_mini_lab

BOX = Sandbox(
    kind="bwrap",
    program="/bin/bwrap",
    store="/lab/store",
    outputs="/store/outputs",
    shell="/nix/store/b/bin/bash",
    env="/nix/store/c/bin/env",
)
ENGINE = BOX._replace(kind="podman", program="/bin/podman", image="localhost/repx:1", client_env={"HOME": "/root"})
JOB = ["/nix/store/b/bin/bash", "/nix/store/s", "/repx/out"]


def pairs(words: list[str], *options: str) -> list[tuple[str, ...]]:
    """Options of two operands, in order."""
    return [(word, *words[place + 1 : place + 3]) for place, word in enumerate(words) if word in options]


def container(box: Sandbox, env: dict[str, str] | None = None, **limits: int) -> list[str]:
    return container_argv(box, "/s", [], JOB, env or {}, limits)


def test_bubblewrap_is_told_all_of_it_in_an_order_that_covers() -> None:
    assert bwrap_words(BOX, "/s", [("/store/outputs/j/out/d", "/repx/in/d/d")], {"A": "1", "B": ""}) == [
        "--unshare-all", "--die-with-parent", "--clearenv", "--setenv", "A", "1", "--setenv", "B", "",
        "--uid", "1000", "--gid", "1000", "--hostname", "repx",
        "--ro-bind", "/lab/store", "/nix/store", "--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev",
        "--ro-bind", "/s", "/repx", "--bind", "/s/tmp", "/tmp", "--bind", "/s/out", "/repx/out",
        "--symlink", "/repx/etc", "/etc", "--symlink", "/nix/store/b/bin/bash", "/bin/sh",
        "--symlink", "/nix/store/c/bin/env", "/usr/bin/env",
        "--ro-bind", "/store/outputs/j/out/d", "/repx/in/d/d",
        "--remount-ro", "/", "--chdir", "/repx/out",
    ]  # fmt: skip


def test_what_a_target_shows_is_bound_as_it_is() -> None:
    words = bwrap_words(
        BOX._replace(
            mounts=(
                "/data",
                "/dev/fuse",
                "/dev",
                "/devices",
                "/etc/ssl",
            )
        ),
        "/s",
        [],
        {},
    )
    shown = [pair for pair in pairs(words, "--bind", "--dev-bind") if not pair[1].startswith("/s/")]
    assert shown == [
        ("--bind", "/data", "/data"),
        ("--dev-bind", "/dev/fuse", "/dev/fuse"),
        ("--dev-bind", "/dev", "/dev"),
        ("--bind", "/devices", "/devices"),
        # /etc is a link to the scratch's.
        ("--bind", "/etc/ssl", "/repx/etc/ssl"),
    ]
    assert "--share-net" not in words


def test_host_and_network_are_two_things() -> None:
    host = bwrap_words(BOX._replace(host=True), "/s", [], {})
    assert "--share-net" not in host
    assert ("--bind", "/var", "/var") in pairs(host, "--bind")
    assert pairs(host, "--remount-ro") == [("--remount-ro", "/proc", "--dev")]
    network = bwrap_words(BOX._replace(network=True), "/s", [], {})
    assert "--share-net" in network
    assert ("--bind", "/var", "/var") not in pairs(network, "--bind")


def test_what_is_a_sandboxs_own_is_never_the_hosts() -> None:
    words = host_words()
    assert not {"/proc", "/dev", "/tmp", "/nix", "/repx", "/sys"} & set(words)
    for _, target, link in pairs(words, "--symlink"):
        assert str(Path(link).readlink()) == target


def test_a_container_has_no_rights_no_network_and_no_environment_of_the_runner() -> None:
    words = container(ENGINE, {"A": "x=1 \n2"}, mem=1 << 26, cpus=2)
    for word in (
        "--rm", "--read-only", "--pull=never", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=none",
        "--unsetenv-all", "--no-hosts", "--memory=67108864", "--cpus=2", "--entrypoint=", "--workdir=/repx/out",
    ):  # fmt: skip
        assert word in words
    assert words[words.index("--env") + 1] == "A=x=1 \n2"
    assert words[-len(JOB) :] == JOB
    assert words[words.index("localhost/repx:1") + 1 :][:3] == ["/nix/store/b/bin/bash", "-p", "-c"]
    command = sandbox_command(JOB, {"LD_PRELOAD": "/evil.so"}, ENGINE, "/s", [], {})
    assert command.env == {"HOME": "/root"}, "the client's own, the job's is in the words"
    assert command.argv[0] == "/bin/podman"


def test_a_container_is_given_what_passes_by_its_clients_environment() -> None:
    box = ENGINE._replace(client_env={"HOME": "/root", "API_TOKEN": "hush"})
    words = container(box, {"HOME": "/tmp", "API_TOKEN": "hush"})
    assert [words[at + 1] for at, word in enumerate(words) if word == "--env"] == ["HOME=/tmp", "API_TOKEN"]


def test_bubblewrap_itself_gets_nothing_of_the_jobs_environment() -> None:
    command = sandbox_command(JOB, {"LD_PRELOAD": "/evil.so"}, BOX, "/s", [], {})
    kept = [BOX.shell, "-p", "-c", KEEPER, "repx", *JOB]
    assert (command.env, command.argv) == ({}, ["/bin/bwrap", "--args", DESCRIPTOR, "--", *kept])
    assert command.words[:6] == [
        "--unshare-all", "--die-with-parent", "--clearenv", "--setenv", "LD_PRELOAD", "/evil.so",
    ]  # fmt: skip


@pytest.mark.parametrize("box", [None, BOX, ENGINE])
@pytest.mark.parametrize(
    ("argv", "env"), [(["a\0--bind\0/\0/host"], {}), (["a"], {"A": "1\0--bind"}), (["a"], {"\0": ""})]
)
def test_a_nul_is_refused_and_ends_no_word(box: Sandbox | None, argv: list[str], env: dict[str, str]) -> None:
    with pytest.raises(OSError, match="it has a NUL"):
        sandbox_command(argv, env, box, "/s", [], {})


@pytest.mark.parametrize("box", [BOX, ENGINE._replace(mounts=("/a",), host=True)])
def test_a_sandbox_is_read_back_as_it_was_written(box: Sandbox) -> None:
    assert parse_sandbox(json.loads(json.dumps(box.encoded()))) == box
    assert parse_sandbox(None) is None


def test_very_many_directories_are_not_mounted_one_by_one(tmp_path: Path) -> None:
    for number in range(MOST_MOUNTS + 2):
        (tmp_path / f"made/{number}/d").mkdir(parents=True)
        (tmp_path / f"made/{number}/d/f").write_text(str(number))
    inputs = SandboxInputs(str(tmp_path / "in"), str(tmp_path / "results"), BOX)
    inputs.place("parts", [FileInput(str(tmp_path / f"made/{number}/d"), "d", "") for number in range(MOST_MOUNTS + 2)])
    assert len(inputs.binds) == MOST_MOUNTS
    assert len(bwrap_words(BOX, "/s", inputs.binds, {})) < 9000
    assert (tmp_path / f"in/parts/{MOST_MOUNTS + 1}/d/f").read_text() == str(MOST_MOUNTS + 1)


def test_docker_is_not_given_what_only_podman_knows() -> None:
    words = container(ENGINE._replace(kind="docker", program="/bin/docker"))
    assert not [word for word in words if word in ("--unsetenv-all", "--no-hosts") or word.startswith("--userns")]
    assert not [word for word in words if word.startswith("--read-only-tmpfs")]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/a b:c", "source=/a b:c"),
        ("/a,b", '"source=/a,b"'),
        ('/a"b', '"source=/a""b"'),
        ("/a\nb", '"source=/a\nb"'),
        ("/a=b", "source=/a=b"),
    ],
)
def test_a_mount_is_quoted_as_the_engines_read_it(tmp_path: Path, path: str, field: str) -> None:
    words = container(ENGINE._replace(mounts=(path,)))
    (mount,) = [word for word in words if field in word]
    assert mount == f"type=bind,{field},{field.replace('source', 'destination')}"


def test_a_device_is_given_as_one() -> None:
    words = container(
        ENGINE._replace(
            mounts=(
                "/dev/null",
                "/dev/shm",
            )
        )
    )
    assert "--device=/dev/null" in words
    assert "type=bind,source=/dev/shm,destination=/dev/shm" in words


def test_etc_has_a_place_for_what_is_mounted_there(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path / "slot"))
    box = BOX._replace(
        mounts=(
            "/etc/hostname",
            "/etc/ssl",
            "/data",
        )
    )
    root = write_mini_lab(tmp_path / "lab", MiniJob(job_id("job"), {}))
    lab, order, start = Lab(str(root)), JobOrder(RUN, job_id("job")), StageStart((), "", {}, box)
    found = resolve_order(lab, Resolver(lab, Store(str(tmp_path / "store"))), order)
    assert found is not None
    here = Path.cwd()
    try:
        scratch.prepare(resolved_job(lab, order, *found, start, str))
    finally:
        os.chdir(here)
    etc = tmp_path / "slot" / "etc"
    assert (etc / "hostname").is_file()
    assert (etc / "ssl").is_dir() is Path("/etc/ssl").is_dir()
    assert sorted(path.name for path in etc.iterdir()) == ["group", "hostname", "hosts", "passwd", "ssl"]
    assert "repx:x:1000:" in (etc / "passwd").read_text()


def ended(
    status: int, *, kills: int = 0, memory: int | None = None, tmp: str = "/none", cause: str = "exit"
) -> Attempt:
    return add_exit_cause(Attempt(cause=cause if status else "", exit=status), "bwrap", tmp, kills, memory)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGINT, signal.SIGABRT])
def test_a_status_that_stands_for_a_signal_is_told_as_one(number: signal.Signals) -> None:
    told = ended(128 + number)
    assert (told.cause, told.signal, told.exit, told.isolation) == ("signal", number, None, "bwrap")


@pytest.mark.parametrize("status", [1, 127, 128, 129, 200, 255])
def test_other_statuses_are_a_programs_own(status: int) -> None:
    told = ended(status)
    assert (told.cause, told.signal, told.exit) == ("exit", None, status)


def test_memory_is_the_cause_where_the_kernel_says_so(tmp_path: Path) -> None:
    assert ended(137, kills=1, memory=100).detail.endswith("more than the 100 bytes of memory it had asked for")
    assert ended(1, kills=1, memory=100).cause == "memory"
    assert ended(0, kills=1, memory=100).cause == "", "who goes on without what was killed has succeeded"
    assert ended(137, kills=1, memory=100, cause="timeout").cause == "timeout"
    (tmp_path / OUT_OF_MEMORY).touch()
    assert ended(137, memory=100, tmp=str(tmp_path)).cause == "memory"
    assert ended(137, tmp=str(tmp_path)).cause == "signal", "a job that has asked for none cannot have used it up"


class Kept:
    """The first process of a container, here, around a job."""

    def __init__(self, *job: str) -> None:
        bash = shutil.which("bash")
        assert bash is not None
        words = container_argv(ENGINE._replace(shell=bash), "/s", [], job, {}, {})
        pipe = subprocess.PIPE
        # Begun as the agent begins a job: with no signal ignored, whatever this process ignores (nohup, a shell's `&`).
        self.process = subprocess.Popen(
            ["env", "--default-signal", *words[words.index("localhost/repx:1") + 1 :]],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == line + "\n"

    def let_go(self) -> None:
        """Close its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def end(self, within_s: float = 10) -> tuple[int, str, str]:
        """Its exit status, and what was said; in a container all goes with its first process, which is done here."""
        status = self.process.wait(within_s)
        self.end_the_others()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        return status, self.process.stdout.read(), self.process.stderr.read()

    def end_the_others(self) -> None:
        for pid in session(self.process.pid):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def kept(*job: str) -> Iterator[Kept]:
    keeper = Kept(*job)
    with keeper.process:
        try:
            yield keeper
        finally:
            keeper.process.kill()
            keeper.end_the_others()


def session(leader: int) -> list[int]:
    """The processes of a session that are not its leader."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != leader:
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 137", 137),
        ("kill -9 $$", 137),
        ("kill -INT $$", 130),
        ("kill -SEGV $$", 139),
    ],
)
def test_the_keeper_ends_as_its_job_does_and_says_nothing(script: str, status: int) -> None:
    with kept("bash", "-c", f"echo said; echo complained >&2; {script}") as keeper:
        assert keeper.end() == (status, "said\n", "complained\n")


def test_a_kept_job_ignores_no_signal_reads_nothing_and_knows_no_host() -> None:
    script = "grep SigIgn /proc/self/status; readlink /proc/self/fd/0; echo ${HOSTNAME:-none}"
    with kept("sh", "-c", script) as keeper:
        _, ignored, standard_input, host = keeper.end()[1].split()
    assert int(ignored, 16) == 0
    assert (standard_input, host) == ("/dev/null", "none")


def test_the_keeper_ends_when_nobody_holds_its_input_whatever_the_job_does() -> None:
    with kept("bash", "-c", "trap '' TERM INT HUP; echo ready; while :; do sleep 1; done") as keeper:
        keeper.wait_for("ready")
        time.sleep(0.2)
        assert keeper.process.poll() is None
        keeper.let_go()
        assert keeper.process.wait(5) == 137


def test_the_keeper_tells_the_whole_job_to_end_and_hears_what_it_says_then() -> None:
    with kept("bash", "-c", "trap 'echo tidied; exit 5' TERM; sleep 300 & echo ready; wait") as keeper:
        keeper.wait_for("ready")
        keeper.process.terminate()
        assert keeper.end(3) == (5, "tidied\n", "")


def test_the_keeper_waits_for_what_a_script_has_started() -> None:
    with kept("bash", "-c", "{ sleep 0.3; echo late; } & echo early") as keeper:
        assert keeper.end() == (0, "early\nlate\n", "")


def test_the_keeper_waits_for_a_stubborn_job_less_long_than_its_client_is_waited_for() -> None:
    with kept("bash", "-c", "trap '' TERM; echo ready; sleep 300") as keeper:
        keeper.wait_for("ready")
        began = time.monotonic()
        keeper.process.terminate()
        assert keeper.process.wait(10) == 137
        assert 3 < time.monotonic() - began < GRACE_S

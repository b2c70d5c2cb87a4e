"""What a job in a sandbox sees, and the words that start it there, by bubblewrap or a container engine; starts nothing.

    /nix/store       the Lab's store: scripts, stored inputs, the closure; in a container the image's, and the script
    /repx/out        $out, the working directory
    /repx/in         the inputs; a job that takes the results of a run sees those as well, where they are
    /repx/*.json     the arguments
    /tmp             its own, empty, and its home as well: each mount costs a third of a millisecond
    /bin/sh /usr/bin/env   the closure's, for programs that insist on them

Everything but $out and /tmp is read-only, the root too. The network is off. `mounts`, `host` and `network` open
what they name and nothing else.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from repx.agent.keeper import CONTAINER_KEEPER, KEEPER

INSIDE = "/repx"
"""Where a slot's scratch stands in a sandbox, whatever it is called outside: a job cannot see where it was run."""

STORE_DIR = "/nix/store"
USER = 1000
"""The ordinary user that a job is in a sandbox."""

PASSWD = "root:x:0:0:root:/:/bin/sh\nrepx:x:%d:%d:repx:/tmp:/bin/sh\n" % (USER, USER)
GROUP = "root:x:0:\nrepx:x:%d:\n" % USER
HOSTS = "127.0.0.1 localhost repx\n::1 localhost repx\n"

_OWN = frozenset(["proc", "dev", "tmp", "nix", "repx", "sys"])
"""Entries of the root that are a sandbox's own, also where the machine's are shown."""


class Sandbox(NamedTuple):
    """What the jobs of a stage are shut in with.

    `kind` is "bwrap", "podman" or "docker"; `program` is theirs. `store` is the Lab's store and `outputs` that of the
    results, outside; `shell` and `env` are programs inside. An engine also needs the `image`, the name of the `stage`'s
    script in `store`, and the environment of its own client.
    """

    kind: str
    program: str
    store: str
    outputs: str
    shell: str
    env: str
    mounts: tuple[str, ...] = ()
    host: bool = False
    network: bool = False
    image: str = ""
    stage: str = ""
    client_env: Mapping[str, str] = {}

    def encoded(self) -> dict[str, Any]:
        """As JSON has it."""
        return self._asdict()


def parse_sandbox(value: Any) -> Sandbox | None:
    """The sandbox of a stage out of JSON; None where there is none."""
    return None if value is None else Sandbox(**{**value, "mounts": tuple(value["mounts"])})


class Command(NamedTuple):
    """What starts a job: `argv` and `env` of the program that is executed, and words that it reads from a descriptor.

    Where there are `words`, `argv` has `DESCRIPTOR` where the number of that descriptor is to stand. Told to end, it is
    the process so many `generations` below that is told, and all of its group without.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    words: Sequence[str] = ()
    generations: int = 0


DESCRIPTOR = "{descriptor}"


def sandbox_command(
    argv: Sequence[str],
    env: Mapping[str, str],
    box: Sandbox | None,
    scratch: str,
    shown: Sequence[tuple[str, str]],
    limits: Mapping[str, Any],
) -> Command:
    """What to start a job with, so that it gets `argv` and `env` in its sandbox.

    The job's environment never reaches a program outside of the sandbox: what a loader does with LD_PRELOAD there, it
    would do with the runner's rights. OSError where a word or a variable has a NUL, which no program can be given.
    """
    for word in (*argv, *env, *env.values()):
        if "\0" in word:
            raise OSError(errno.EINVAL, "it has a NUL, which no program can be given", word.replace("\0", "\\0")[:80])
    if box is None:
        return Command(argv, env)
    if box.kind == "bwrap":
        # By descriptor: a command line has room for 128 KiB a word and 2 MiB in all.
        kept = [box.shell, "-p", "-c", KEEPER, "repx", *argv]
        # Bubblewrap, its process 1, the keeper: telling the first or the second to end would kill all of it.
        return Command(
            [box.program, "--args", DESCRIPTOR, "--", *kept], {}, bwrap_words(box, scratch, shown, env), generations=2
        )
    return Command(container_argv(box, scratch, shown, argv, env, limits), box.client_env)


def bwrap_words(box: Sandbox, scratch: str, shown: Sequence[tuple[str, str]], env: Mapping[str, str]) -> list[str]:
    """The options of bubblewrap. `shown` are (path outside, path inside) beyond the scratch, read-only."""
    words = ["--unshare-all", "--die-with-parent", "--clearenv"]
    for name, value in env.items():
        words += ["--setenv", name, value]
    words += ["--uid", str(USER), "--gid", str(USER), "--hostname", "repx"]
    if box.network:
        words.append("--share-net")
    if box.host:
        words += host_words()
    # Root is nobody else in a user namespace of its own, and what /proc/sys asks is whether it is root who writes.
    words += ["--ro-bind", box.store, STORE_DIR, "--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"]
    words += ["--ro-bind", scratch, INSIDE, "--bind", scratch + "/tmp", "/tmp"]
    words += ["--bind", scratch + "/out", INSIDE + "/out"]
    if not box.host:
        for link, target in (("/etc", INSIDE + "/etc"), ("/bin/sh", box.shell), ("/usr/bin/env", box.env)):
            if target:
                words += ["--symlink", target, link]
    for outside, inside in shown:
        words += ["--ro-bind", outside, inside]
    for path in box.mounts:
        # /etc is a link here, and its files are where that leads.
        inside = INSIDE + path if path.startswith("/etc/") and not box.host else path
        words += ["--dev-bind" if (path + "/").startswith("/dev/") else "--bind", path, inside]
    if not box.host:
        words += ["--remount-ro", "/"]
    return [*words, "--chdir", INSIDE + "/out"]


def host_words() -> list[str]:
    """The machine's own root, as it is, but for what is a sandbox's own."""
    words = []
    for name in sorted(os.listdir("/")):
        if name not in _OWN:
            path = "/" + name
            if os.path.islink(path):
                words += ["--symlink", os.readlink(path), path]
            elif os.path.isdir(path):
                words += ["--bind", path, path]
    return words


def container_argv(
    box: Sandbox,
    scratch: str,
    shown: Sequence[tuple[str, str]],
    argv: Sequence[str],
    env: Mapping[str, str],
    limits: Mapping[str, Any],
) -> list[str]:
    """The command of a job in Podman or Docker: a container of its own from the run's image, gone with the job."""
    engine = box.kind
    words = [box.program, "run", "--rm", "--interactive", "--read-only", "--pull=never", "--log-driver=none"]
    words += ["--cap-drop=all", "--security-opt=no-new-privileges", "--hostname=repx"]
    words += ["--network=host" if box.network else "--network=none"]
    if engine == "podman" and os.geteuid():
        words += ["--userns=keep-id"]
    words += ["--user=%d:%d" % container_user()]
    if engine == "podman":
        # Podman is to put no files of its own into /tmp, /run and /etc: a host name resolves by our own table.
        words += ["--read-only-tmpfs=false", "--no-hosts", "--unsetenv-all"]
    if limits.get("mem"):
        # Half of it, as a machine gives half of its memory: 64 MB would be the engine's own idea.
        words += ["--memory=%d" % limits["mem"], "--shm-size=%d" % (limits["mem"] // 2)]
    if limits.get("cpus"):
        words += ["--cpus=%d" % limits["cpus"]]
    mounts = [(scratch, INSIDE, "ro"), (scratch + "/tmp", "/tmp", "rw"), (scratch + "/out", INSIDE + "/out", "rw")]
    mounts += [(outside, inside, "ro") for outside, inside in shown]
    for path in box.mounts:
        if _is_device(path):
            # Of a device that is only mounted, the container's control group forbids the use.
            words.append("--device=" + path)
        else:
            mounts.append((path, path, "rw"))
    if not box.host:
        mounts.append((scratch + "/etc/hosts", "/etc/hosts", "ro"))
    else:
        mounts += [("/" + name, "/" + name, "rw") for name in sorted(os.listdir("/")) if _is_shown(name)]
    for outside, inside, mode in mounts:
        # Not --volume: a colon in a path would end it.
        words += ["--mount", _mount(outside, inside, mode)]
    for name, value in env.items():
        # One that the client has itself is named alone.
        words += ["--env", name if box.client_env.get(name) == value else "%s=%s" % (name, value)]
    words += ["--workdir=" + INSIDE + "/out", "--entrypoint=", box.image]
    return [*words, box.shell, "-p", "-c", CONTAINER_KEEPER, "repx", *argv]


def container_user() -> tuple[int, int]:
    """Who a job is in a container: the user who runs it, or an ordinary one for root."""
    user = os.geteuid()
    return (user, os.getegid()) if user else (USER, USER)


def _is_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def _is_shown(name: str) -> bool:
    return name not in _OWN and not os.path.islink("/" + name) and os.path.isdir("/" + name)


def _mount(outside: str, inside: str, mode: str) -> str:
    words = ["type=bind", _field("source", outside), _field("destination", inside)]
    return ",".join(words + (["readonly"] if mode == "ro" else []))


def _field(name: str, value: str) -> str:
    """One field of a mount: quoted as CSV when it has to be."""
    text = "%s=%s" % (name, value)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\n') else text

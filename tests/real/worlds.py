"""Real Nix, Podman and bubblewrap for tests: what they need to be told here, and experiments realized with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repx.agent.base.files import remove_tree
from tests.forked import run_repx

ROOT = Path(__file__).parents[2]
PACKAGE_SET = ROOT / "examples" / "nix-debian"

NIX_CONFIG = "build-users-group =\nsubstituters =\nsandbox = true\nsandbox-fallback = false\n"
"""A single user, root, who has no cache to ask: said by the environment, so that no file of the machine changes."""

# As root in namespaces of its own: what is mounted here is seen by nobody else, and gone when the command ends.
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private", "sh", "-euc")

ENTER_ROOT = """
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cd "$root"
pivot_root . old
/bin/busybox umount -l /old
exec "$@"
"""
"""Goes into another root for good: a directory with proc/, dev/, an empty old/ and bin/busybox."""

PATIENCE_S = 280


@dataclass
class World:
    """A folder for an experiment, with the package set in `nix/`, and the environment of its commands."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, text: str, name: str = "experiment.py") -> None:
        """An experiment; `packages` in it is the package set."""
        head = f"from repx import *\npackages = nix({str(PACKAGE_SET)!r})\n"
        (self.folder / name).write_text(head + text.removeprefix("\n"))

    def start(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run `repx` in a process of its own."""
        return run_repx(words, cwd or self.folder, self.environment, PATIENCE_S)

    def repx(self, *words: str, cwd: Path | None = None) -> str:
        """What a command prints; it must end well."""
        done = self.start(*words, cwd=cwd)
        assert done.returncode == 0, f"repx {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *words: str) -> str:
        """What a command complains about; it must not end well, and not with a traceback."""
        done = self.start(*words)
        assert done.returncode in (1, 2), done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr.replace(str(self.folder), "<here>")

    def realize(self, text: str, *words: str) -> Path:
        """The Lab of an experiment."""
        self.write(text)
        answer = json.loads(self.repx("realize", "experiment.py", "--json", *words))
        return Path(answer["path"])

    def report(self, *words: str) -> dict[str, Any]:
        """What a run says of itself."""
        answer: dict[str, Any] = json.loads(self.start("run", "--json", *words).stdout)
        return answer

    def output(self, job: str, name: str) -> str:
        """The text of an output."""
        return self.repx("show", "output", job, name)


@contextmanager
def world(store: Path, **environment: str) -> Iterator[World]:
    """A world on a store, which several may share: what has been built and copied once is there for all of them."""
    # Paths of some length make Podman wait 20 s for every container.
    folder = Path(tempfile.mkdtemp(prefix="repx-", dir="/tmp"))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    made = {
        "PATH": path,
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "NIX_CONFIG": NIX_CONFIG,
        "REPX_STORE": str(store),
        "XDG_CACHE_HOME": str(store.parent / "cache"),
    }
    try:
        yield World(folder, {**made, **environment})
    finally:
        remove_tree(str(folder))


@contextmanager
def podman_environment() -> Iterator[dict[str, str]]:
    """What a Podman needs to be told on a machine with cgroups v1, with a storage of its own, gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="pod-", dir="/tmp"))
    for name in ("graph", "run", "state", "tmp"):
        (root / name).mkdir()
    (root / "containers.conf").write_text(
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        f'lock_type = "file"\ntmp_dir = "{root}/state"\n'
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n'
    )
    (root / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{root}/graph"\nrunroot = "{root}/run"\n'
    )
    environment = {
        "CONTAINERS_CONF": f"{root}/containers.conf",
        "CONTAINERS_STORAGE_CONF": f"{root}/storage.conf",
        "TMPDIR": f"{root}/tmp",
    }
    try:
        yield environment
    finally:
        # A container whose client was killed may be there still, with its mounts and control groups.
        told = {**os.environ, **environment}
        subprocess.run(["podman", "rm", "--all", "--force", "--time=0"], env=told, capture_output=True, check=False)
        for mount in reversed([line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]):
            if mount.startswith(f"{root}/"):
                subprocess.run(["umount", "-l", mount], check=False)
        remove_tree(str(root))

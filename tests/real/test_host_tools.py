"""The programs that a Lab carries, on a machine that has the Lab, a static shell and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from repx.agent.base.layout import Store
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from tests.machine import needs_programs
from tests.real.worlds import ENTER_ROOT, NAMESPACES, World

pytestmark = pytest.mark.real

EXPERIMENT = """
@stage(packages=["python3"])
def count(text: Input, result: Output = out("count.json"), *, factor: int):
    import json, os
    told = {"words": len(text.read_text().split()) * factor, "root": sorted(os.listdir("/"))}
    result.write_text(json.dumps(told))

@bash
def text(data: Output = out("data.txt")):
    return 'seq 5 > "$data"'

lab = Lab([Run("run", lambda: count(text=text().data), params={"factor": [3]})], packages=packages)
"""


class Bare:
    """A root directory of its own, with the Lab at /lab and a store at /data."""

    def __init__(self, root: Path, lab: Path) -> None:
        self.root = root
        for name in ("bin", "proc", "dev", "tmp", "old", "data"):
            (root / name).mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin" / "busybox")
        (root / "bin" / "sh").symlink_to("busybox")
        shutil.copytree(lab, root / "lab", symlinks=True)
        (tools,) = (root / "lab" / "host-tools").iterdir()
        self.tools = f"/lab/host-tools/{tools.name}/bin"

    def command(self, *words: str) -> list[str]:
        return [*NAMESPACES, ENTER_ROOT, "sh", str(self.root), *words]

    def start(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return subprocess.run(self.command(*words), env=environment, capture_output=True, text=True, check=False)

    def says(self, tool: str, *words: str) -> str:
        done = self.start(f"{self.tools}/{tool}", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def bare(nix_world: World, tmp_path: Path) -> Iterator[Bare]:
    needs_programs("busybox", "unshare", "bwrap")
    yield Bare(tmp_path / "machine", nix_world.realize(EXPERIMENT))
    remove_tree(str(tmp_path / "machine"))


def test_tools_and_agent_work_where_there_is_nothing_else(bare: Bare) -> None:
    assert not (bare.root / "nix").exists()
    assert not (bare.root / "usr").exists()
    assert bare.says("python3", "-c", "import json, ssl, sys; print(json.dumps(sys.argv), end='')", "a b", "") == (
        '["-c", "a b", ""]'
    )
    assert bare.says("bash", "-c", 'echo "${BASH_VERSION%%.*} $*"', "x", "a  b") == "5 a  b\n"
    assert bare.says("ls", "/").split() == ["bin", "data", "dev", "lab", "old", "proc", "tmp"]
    assert bare.says("bwrap", "--version").startswith("bubblewrap ")
    # By a link to their folder, and by a name without one, too.
    tools = f"PATH={bare.tools}; /bin/busybox ln -s {bare.tools} /tmp/tools; "
    assert bare.start("/bin/sh", "-euc", tools + "bash -c 'echo 1'; /tmp/tools/bash -c 'echo 2'").stdout == "1\n2\n"
    failed = bare.start(f"{bare.tools}/python3", "-c", "raise SystemExit(7)")
    assert failed.returncode == 7

    # The agent alone brings one job after the other to its end, in the sandbox that works there.
    lab = LabDirectory(bare.root / "lab")
    store = Store(str(bare.root / "data" / "store"))
    jobs = {job.stage.name: job.id for job in lab.jobs()}

    def run(stage: str) -> str:
        return bare.says("repx-agent", "run", "--store", "/data/store", "--lab", "/lab", jobs[stage])

    assert run("text") == f"{jobs['text']} succeeded\n"
    assert run("count") == f"{jobs['count']} succeeded\n"
    assert run("count") == f"{jobs['count']} found\n"
    result = json.loads(Path(store.job(jobs["count"]), "out", "count.json").read_text())
    assert result["words"] == 15
    assert "lab" not in result["root"]
    assert {"nix", "repx"} <= set(result["root"])
    assert list(Path(store.tmp).iterdir()) == []
    verify(lab)

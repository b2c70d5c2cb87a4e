"""The programs that a Lab carries, on a machine that has the Lab, a static shell and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repx.agent.base.files import remove_tree
from repx.agent.base.layout import Store
from repx.agent.processes import this_process
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from repx.runtime.closure import ClosurePrograms
from repx.runtime.isolation import Isolation
from repx.runtime.orders import stage_order
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


def worker_says(bare: Bare, orders: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The first answers of the Lab's own agent, as a runner elsewhere would hear them."""
    command = bare.command(f"{bare.tools}/repx-agent", "worker", "/data/store", "runner", "0")
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("".join(json.dumps(order) + "\n" for order in orders))
        process.stdin.flush()
        answers = [process.stdout.readline() for _ in range(count)]
        process.stdin.close()
        assert process.wait(60) == 0, process.stderr.read()
        assert all(answers), process.stderr.read()
    return [json.loads(line) for line in answers]


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

    # What the worker of another machine is told: places are those of the machine where it works.
    lab = LabDirectory(bare.root / "lab")
    store = Store(str(bare.root / "data" / "store"))
    store.create()
    runner = Path(store.tmp) / "runner"
    runner.mkdir()
    (runner / "heartbeat").write_text(json.dumps(this_process()._asdict()))
    isolation = Isolation("bwrap", f"{bare.tools}/bwrap")
    programs = ClosurePrograms(lab, store, isolation)
    jobs = {job.stage.name: job for job in lab.jobs()}
    told = [stage_order(jobs[name].stage, "", programs, jobs[name].stage.fingerprint) for name in ("text", "count")]
    there = json.loads(json.dumps(told).replace(str(bare.root), ""))
    common = {"index": 0, "cpus": 1, "time_s": 30, "force": False, "lab": lab.lab_id}
    text, count = jobs["text"], jobs["count"]
    first = {"job": text.id, "stage": there[0]["stage"]["id"], "key": "1" * 32, "inputs": {}, "params": {}, **common}
    second = {"job": count.id, "stage": there[1]["stage"]["id"], "key": "2" * 32, "params": {"factor": 3}, **common}
    inputs = {"text": {"path": f"/data/store/outputs/{text.id}/out/data.txt", "file": "data.txt", "digest": "0" * 64}}
    answers = worker_says(bare, [*there, first, {"commit": True}, {**second, "inputs": inputs}], 3)

    assert [answer.get("state") for answer in answers] == ["succeeded", None, "succeeded"], answers
    result = json.loads(Path(store.job(count.id), "out", "count.json").read_text())
    assert result["words"] == 15
    assert "lab" not in result["root"]
    assert {"nix", "repx"} <= set(result["root"])
    assert list(Path(store.tmp).iterdir()) == []
    verify(lab)

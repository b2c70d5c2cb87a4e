"""What a sandbox costs a job: through a real worker, natively and in bubblewrap in turns, beside a bare `bwrap true`.

    python benchmarks/isolation.py                  medians of 200 each
    python benchmarks/isolation.py --jobs 50        quicker, less trustworthy

Needs bwrap and a static busybox. A mount costs more on a machine that has many mounts; how many there are is said.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from repx.agent.base.files import remove_tree  # noqa: E402
from repx.agent.base.layout import Store  # noqa: E402
from repx.agent.claim import beat  # noqa: E402 - the tree beside this file, installed or not

GOAL_MS = 2.0
"""What a job's sandbox may cost beyond a bare bwrap."""

_START = """
import sys, types
package = types.ModuleType("repx")
package.__path__ = [sys.argv.pop(1)]
sys.modules["repx"] = package
from repx.agent.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


class Slot:
    """A worker with a stage of each kind, whose job does nothing."""

    def __init__(self, root: Path, bwrap: str, busybox: str) -> None:
        store, lab = Store(str(root / "store")), root / "lab" / "store"
        store.create()
        lab.mkdir(parents=True)
        shutil.copy(busybox, lab / "busybox")
        runner = Path(store.tmp) / "runner"
        runner.mkdir()
        beat(str(runner))
        argv = [sys.executable, "-I", "-S", "-c", _START, str(ROOT / "repx"), "worker", store.root, "runner", "0"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self._jobs = 0
        box = {
            "kind": "bwrap", "program": bwrap, "store": str(lab), "outputs": store.outputs, "mounts": [],
            "shell": "/nix/store/busybox", "env": "/nix/store/busybox", "host": False, "network": False,
        }  # fmt: skip
        shared = {"kind": "bash", "name": "s", "version": "1", "path": "", "env": {}, "outputs": {}}
        self._tell({"stage": {"id": "native", "argv": [str(lab / "busybox"), "true"], **shared}})
        self._tell({"stage": {"id": "bwrap", "argv": ["/nix/store/busybox", "true"], "sandbox": box, **shared}})

    def job_ms(self, kind: str, input_file: Path) -> float:
        """One job from its order to its answer."""
        self._jobs += 1
        order = {
            "job": f"{self._jobs:032d}-s-1", "stage": kind, "index": 0, "key": f"{self._jobs:032d}", "params": {},
            "inputs": {"data": {"path": str(input_file), "file": "data", "digest": "0"}}, "cpus": 1, "time_s": None,
            "force": False, "lab": "lab",
        }  # fmt: skip
        began = time.perf_counter()
        self._tell(order)
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        took = time.perf_counter() - began
        if answer["state"] != "succeeded":
            sys.exit(f"a job in {kind} failed: {answer}")
        return took * 1000

    def end(self) -> None:
        """Let the worker leave."""
        self._process.communicate()

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


def bare_ms(command: list[str]) -> float:
    """A process from its start to its end."""
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure all in turns, so that whatever else the machine does falls on each alike."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=200)
    jobs = parser.parse_args().jobs
    bwrap, busybox = shutil.which("bwrap"), shutil.which("busybox")
    if bwrap is None or busybox is None:
        sys.exit("this needs bwrap and busybox")
    root = Path(tempfile.mkdtemp(prefix="repx-isolation-"))
    slot = Slot(root, bwrap, busybox)
    given = root / "data"
    given.write_text("data\n")
    bare = [bwrap, "--unshare-all", "--ro-bind", "/", "/", busybox, "true"]
    times: dict[str, list[float]] = {"native": [], "bwrap": [], "bare": [], "true": []}
    try:
        for number in range(jobs + 5):
            measured = {
                "native": slot.job_ms("native", given),
                "bwrap": slot.job_ms("bwrap", given),
                "bare": bare_ms(bare),
                "true": bare_ms([busybox, "true"]),
            }
            for name, took in measured.items() if number >= 5 else ():
                times[name].append(took)
    finally:
        slot.end()
        remove_tree(str(root))
    median = {name: statistics.median(all_times) for name, all_times in times.items()}
    sandbox = statistics.median(shut - free for shut, free in zip(times["bwrap"], times["native"], strict=True))
    bare_cost = statistics.median(shut - free for shut, free in zip(times["bare"], times["true"], strict=True))
    mounts = len(Path("/proc/self/mountinfo").read_text().splitlines())
    print(f"medians of {jobs}, in ms; this machine has {mounts} mounts")
    print(f"  a job natively             {median['native']:6.2f}")
    print(f"  a job in bubblewrap        {median['bwrap']:6.2f}   its sandbox: {sandbox:.2f}")
    print(f"  bwrap true                 {median['bare']:6.2f}   its sandbox: {bare_cost:.2f}")
    beyond = sandbox - bare_cost
    print(f"  a job's sandbox beyond it  {beyond:6.2f}   goal: {GOAL_MS:.2f}{'' if beyond <= GOAL_MS else '  MISSED'}")


if __name__ == "__main__":
    main()

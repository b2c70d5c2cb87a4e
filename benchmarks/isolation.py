"""What a sandbox costs a job: through a real worker, natively and in bubblewrap in turns, beside a bare `bwrap true`.

    python benchmarks/isolation.py                  medians of 200 each
    python benchmarks/isolation.py --jobs 50        quicker, less trustworthy

Needs bwrap and a static busybox. A mount costs more on a machine that has many mounts; how many there are is said.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# The tree beside this file, installed or not.
from repx.agent.base.files import remove_tree  # noqa: E402
from repx.agent.base.layout import Store  # noqa: E402
from repx.agent.makers import maker_name  # noqa: E402
from repx.agent.messages import (  # noqa: E402
    JobAnswer,
    JobOrder,
    Message,
    UseLab,
    UseStage,
    decode_answer,
    encode_message,
)
from repx.agent.programs import StageStart  # noqa: E402
from repx.agent.runner import make_runner_directory  # noqa: E402
from repx.agent.sandbox import Sandbox  # noqa: E402
from tests.agent.mini_lab import EXECUTABLE, RUN, MiniJob, job_id, write_mini_lab  # noqa: E402

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
    """A worker whose jobs, natively or in bubblewrap, do nothing."""

    def __init__(self, root: Path, lab: Path, start: StageStart) -> None:
        store = Store(str(root / "store"))
        store.create()
        runner = maker_name("run")
        make_runner_directory(store, runner)
        argv = [sys.executable, "-I", "-S", "-c", _START, str(ROOT / "repx"), "worker", store.root, runner, "0"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self._jobs = 0
        self._tell(UseLab(str(lab)))
        self._tell(UseStage(EXECUTABLE, "", start))

    def job_ms(self) -> float:
        """One job from its order to its answer; each is another realization of the same."""
        self._jobs += 1
        began = time.perf_counter()
        self._tell(JobOrder(RUN, job_id("job"), self._jobs))
        assert self._process.stdout is not None
        answer = decode_answer(self._process.stdout.readline())
        took = time.perf_counter() - began
        if not isinstance(answer, JobAnswer) or answer.state != "succeeded":
            sys.exit(f"a job failed: {answer}")
        return took * 1000

    def end(self) -> None:
        """Let the worker leave."""
        self._process.communicate()

    def _tell(self, message: Message) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(encode_message(message))
        self._process.stdin.flush()


def slots(root: Path, bwrap: str, busybox: str, given: Path) -> dict[str, Slot]:
    """A worker for each kind, on a Lab whose one job takes a file."""
    lab = write_mini_lab(root / "lab", MiniJob(job_id("job"), {}, inputs={"data": given}))
    shutil.copy(busybox, lab / "store" / "busybox")
    inside = "/nix/store/busybox"
    box = Sandbox("bwrap", bwrap, str(lab / "store"), str(root / "store" / "outputs"), inside, inside)
    starts = {
        "native": StageStart((str(lab / "store" / "busybox"), "true"), "", {}, None),
        "bwrap": StageStart((inside, "true"), "", {}, box),
    }
    return {kind: Slot(root / kind, lab, start) for kind, start in starts.items()}


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
    given = root / "data"
    given.write_text("data\n")
    workers = slots(root, bwrap, busybox, given)
    bare = [bwrap, "--unshare-all", "--ro-bind", "/", "/", busybox, "true"]
    times: dict[str, list[float]] = {"native": [], "bwrap": [], "bare": [], "true": []}
    try:
        for number in range(jobs + 5):
            measured = {
                "native": workers["native"].job_ms(),
                "bwrap": workers["bwrap"].job_ms(),
                "bare": bare_ms(bare),
                "true": bare_ms([busybox, "true"]),
            }
            for name, took in measured.items() if number >= 5 else ():
                times[name].append(took)
    finally:
        for worker in workers.values():
            worker.end()
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

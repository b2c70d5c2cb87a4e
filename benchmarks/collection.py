"""Time `repx gc --dry-run` over many done jobs: all of them needed, then none.

    python benchmarks/collection.py [JOBS] [DIRECTORY]        100,000 in a temporary directory

The results are written by hand, one small file and a record each, as a run would leave them. Where others share the
machine, CPU time says more than wall time.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from repx.agent.base.layout import RECORD, Store
from repx.agent.base.record import Attempt, Outcome, OutputRecord, encode_record
from repx.agent.base.state import State
from repx.agent.resolve import key_of
from repx.dsl.experiment import Run
from repx.store.roots import keep_link
from tests.small_labs import make, small_lab


def fill(root: Path, jobs: int) -> Store:
    """A store with one Lab of so many jobs, all done, that a link leads to."""
    lab = small_lab(root, [Run("run", make, params={"n": list(range(jobs))})])
    store = Store(str(root / "store"))
    for job in lab.jobs():
        directory = store.job(job.id)
        os.makedirs(directory + "/out")
        Path(directory, "out", "data.txt").write_text("1\n")
        outputs = {"data": OutputRecord("data.txt", "d" * 64, 2)}
        key = key_of(job.recipe, 0, {})
        outcome = Outcome(job.id, "make", "1", 0, key, State.SUCCEEDED, lab.lab_id, {}, outputs)
        Path(directory, RECORD).write_bytes(encode_record(outcome, [Attempt()]))
        os.link(f"{directory}/{RECORD}", store.key(key))
    (root / "result").symlink_to(lab.path)
    keep_link(store, str(root / "result"), lab.lab_id)
    return store


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as directory:
        store = fill(Path(directory), jobs)
        for what, options in (("all needed", []), ("none needed", ["--pinned-only"])):
            began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
            argv = [sys.executable, "-m", "repx", "gc", "--dry-run", *options, "--store", store.root]
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"{jobs} jobs, {what}: {time.monotonic() - began:.1f} s, {cpu:.1f} s of CPU")


if __name__ == "__main__":
    main()

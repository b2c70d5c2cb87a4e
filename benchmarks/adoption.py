"""What adopting costs beside running: N jobs are run, their upstream is rewritten, and they adopt what is there.

python benchmarks/adoption.py [JOBS]        10,000 unless given; the limit is 0.3 of running them
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXPERIMENT = Path(__file__).resolve().parent / "experiments" / "adopted.py"
REPX = [sys.executable, "-m", "repx"]


def run(made: str, directory: str, jobs: int) -> tuple[float, float, int]:
    """Wall time, processors' time in seconds, and how many jobs adopted a result, of one `repx run`."""
    env = {**os.environ, "REPX_STORE": f"{directory}/store", "REPX_BENCH_JOBS": str(jobs), "REPX_BENCH_MADE": made}
    subprocess.run([*REPX, "realize", str(EXPERIMENT)], cwd=directory, env=env, check=True, capture_output=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*REPX, "run", "--json", "-j", "2"], cwd=directory, env=env, check=True, capture_output=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, json.loads(done.stdout)["adopted"]


def main(jobs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="repx-bench-") as directory:
        ran_wall, ran_cpu, _ = run("echo 7", directory, jobs)
        wall, cpu, adopted = run("seq 7 7", directory, jobs)
    assert adopted == jobs, f"{adopted} of {jobs} were adopted"
    print(f"run    {jobs:,} jobs  {ran_wall:8.2f} s  {ran_cpu:8.2f} s CPU")
    print(f"adopt  {jobs:,} jobs  {wall:8.2f} s  {cpu:8.2f} s CPU")
    print(f"       adopting / running: {wall / ran_wall:.2f} × wall, {cpu / ran_cpu:.2f} × CPU; ≤ 0.3")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)

"""Run very many trivial jobs and say how much memory the runner and each worker have had at most.

    nice python benchmarks/large.py             100,000 jobs; limit 300 MB each
    nice python benchmarks/large.py 30000       fewer

Then the same command with nothing to do, with its note of complete runs and without: limit 3 s without, for 100,000.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXPERIMENT = Path(__file__).resolve().parent / "experiments" / "trivial.py"
REPX = [sys.executable, "-m", "repx"]
LOOK_EVERY_S = 0.5


def peaks_of(process: int) -> dict[int, float]:
    """The peak memory, in MB, of a process and of those that it has started itself."""
    found = {}
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for pid in (process, *map(int, children)):
            with contextlib.suppress(OSError):
                peak = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
                if peak:
                    found[pid] = int(peak[1]) / 1024
    return found


def children_cpu_s() -> float:
    """The processors' time of all commands that have ended, with whatever these have started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(title: str, argv: list[str], environment: dict[str, str]) -> None:
    """Run a command to its end; one line of figures."""
    began, cpu = time.monotonic(), children_cpu_s()
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL)
    peaks: dict[int, float] = {}
    while process.poll() is None:
        peaks.update(peaks_of(process.pid))
        time.sleep(LOOK_EVERY_S if time.monotonic() - began > 5 else 0.02)
    took = time.monotonic() - began
    if process.returncode:
        sys.exit(f"{' '.join(argv)} failed")
    runner = peaks.pop(process.pid, 0.0)
    workers = ", ".join(f"{peak:.0f}" for peak in peaks.values()) or "none"
    spent = children_cpu_s() - cpu
    print(f"{title:44} {took:8.2f} s {spent:8.2f} s CPU  runner {runner:5.0f} MB  workers {workers} MB", flush=True)


def main() -> None:
    jobs = sys.argv[1] if len(sys.argv) > 1 else "100000"
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "REPX_BENCH_JOBS": jobs, "REPX_STORE": f"{directory}/store"}
        link = f"{directory}/result"
        timed(f"realize {jobs}", [*REPX, "realize", str(EXPERIMENT), "-o", link], environment)
        run = [*REPX, "run", "--lab", link, "-j", "2"]
        timed(f"run {jobs}", run, environment)
        timed("the same with nothing to do", run, environment)
        for note in Path(directory, "store", "verified").glob("*.done"):
            note.unlink()
        timed("the same without its note of complete runs", run, environment)
        print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

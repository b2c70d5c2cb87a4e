"""Time repx as whole processes, side by side with ninja and with a bare loop that starts the same scripts.

    python benchmarks/bench.py                  everything, medians of 5
    python benchmarks/bench.py run chain        some: instantiate million realize closure listing run chain small again
                                                help
    python benchmarks/bench.py --rounds 1       quicker, less trustworthy

Wall time is what counts; where others share the machine, CPU time (user + system, children included) says more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXPERIMENTS = HERE / "experiments"
REPX = [sys.executable, "-m", "repx"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One run of a process tree: seconds on the wall, seconds of CPU, MB of its largest process."""

    wall: float
    cpu: float
    peak: float


def measured(argv: list[str], *, env: dict[str, str] | None = None, cwd: Path | None = None) -> Measure:
    """Run a command to its end. Its resources are asked of the kernel for it alone (wait4)."""
    began = time.monotonic()
    process = subprocess.Popen(
        argv, env={**os.environ, **(env or {})}, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    words = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(argv)} failed:\n{words.decode()}")
    return Measure(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median_of(rounds: int, once: Callable[[], Measure]) -> Measure:
    """The median of each figure over several rounds."""
    all_rounds = [once() for _ in range(rounds)]
    return Measure(*(statistics.median(getattr(one, name) for one in all_rounds) for name in ("wall", "cpu", "peak")))


def show(name: str, measure: Measure, limit: str = "", per: int = 0) -> None:
    """One line of the table."""
    each = f"{measure.wall / per * 1e3:8.3f} ms each" if per else ""
    print(
        f"{name:44} {measure.wall:8.2f} s {measure.cpu:8.2f} s CPU {measure.peak:7.0f} MB {each:18} {limit}", flush=True
    )


class Bench:
    """The measurements; each works in a directory of its own."""

    def __init__(self, base: Path, rounds: int) -> None:
        self.base = base
        self.directory = base
        self.rounds = rounds

    def env(self, jobs: int) -> dict[str, str]:
        return {"REPX_BENCH_JOBS": str(jobs), "REPX_STORE": str(self.directory / "store")}

    @property
    def link(self) -> str:
        """Where a Lab is linked."""
        return str(self.directory / "result")

    def fresh(self) -> None:
        """A new directory. The old one stays until the end: for minutes ext4 gives no inode out again, and looks past
        each of 100,000 that were just freed whenever it makes a new one.
        """
        self.directory = self.base / str(len(list(self.base.iterdir())))
        self.directory.mkdir()

    def instantiate(self, jobs: int = 100_000, limit: str = "≤ 2.5 s, 250 MB") -> None:
        program = (
            "import repx.api as api, sys; graph = api.instantiate(api.load(sys.argv[1]));"
            "assert sum(1 for _ in graph.jobs()) == int(sys.argv[2])"
        )
        argv = [sys.executable, "-c", program, str(EXPERIMENTS / "sweep.py"), str(jobs)]
        show(f"instantiate {jobs:,}", median_of(self.rounds, lambda: measured(argv, env=self.env(jobs))), limit)

    def million(self) -> None:
        self.instantiate(1_000_000, "≤ 30 s, 2 GB")

    def realize(self, jobs: int = 100_000) -> None:
        argv = [*REPX, "realize", str(EXPERIMENTS / "sweep.py"), "-o", str(self.directory / "result")]

        def first() -> Measure:
            self.fresh()
            return measured(argv, env=self.env(jobs))

        show(f"realize {jobs:,}", median_of(self.rounds, first), "≤ 8 s")
        again = median_of(self.rounds, lambda: measured(argv, env=self.env(jobs)))
        show(f"realize {jobs:,} again", again, "≤ 4 s")

    def closure(self) -> None:
        """The same Lab with software of the machine and with a closure that Nix has built already, in turn.

        Needs Nix and examples/nix-debian with its files fetched. "new" is a Lab that is not there yet.
        """
        self.fresh()
        lab = str(EXPERIMENTS / "sweep.py")
        sets = {"host": "host", "nix": str(HERE.parent / "examples" / "nix-debian")}
        for packages in sets.values():
            measured([*REPX, "realize", lab, "--packages", packages, "-o", self.link], env=self.env(10))
        for title in ("new", "again"):
            results: dict[str, list[Measure]] = {name: [] for name in sets}
            for number in range(self.rounds):
                for name, packages in sets.items():
                    argv = [*REPX, "realize", lab, "--packages", packages, "-o", self.link]
                    jobs = 1000 + (number if title == "new" else self.rounds - 1)
                    results[name].append(measured(argv, env=self.env(jobs)))
            medians = {name: median_of(len(one), iter(one).__next__) for name, one in results.items()}
            for name, median in medians.items():
                show(f"realize 1,000, {name}, {title}", median)
            more = statistics.median(a.wall - b.wall for a, b in zip(results["nix"], results["host"], strict=True))
            print(f"{'':8}nix - host: {more:.2f} s; ≤ 2 s")

    def listing(self, jobs: int = 100_000) -> None:
        self.realized("sweep.py", jobs)
        argv = [*REPX, "list", "runs", "--lab", str(self.directory / "result")]
        show(
            f"list runs of {jobs:,} jobs",
            median_of(self.rounds, lambda: measured(argv, env=self.env(jobs))),
            "≤ 0.3 s, 80 MB",
        )

    def run(self, jobs: int = 10_000) -> None:
        """repx, a bare loop and ninja in turn, so that all see the same machine."""
        results: dict[str, list[Measure]] = {"bare loop": [], "ninja": [], "repx run": []}
        for _ in range(self.rounds):
            self.realized("trivial.py", jobs)
            results["bare loop"].append(self.loop(jobs))
            if shutil.which("ninja"):
                results["ninja"].append(self.ninja(jobs))
            argv = [*REPX, "run", "--lab", str(self.directory / "result"), "-j", "2"]
            results["repx run"].append(measured(argv, env=self.env(jobs)))
        self.compare(results, jobs, "≤ 1.8 × the bare loop")

    def chain(self, jobs: int = 1_000) -> None:
        results: dict[str, list[Measure]] = {"bare loop": [], "repx run": []}
        for _ in range(self.rounds):
            self.realized("chain.py", jobs)
            results["bare loop"].append(self.loop(jobs, slots=1))
            argv = [*REPX, "run", "--lab", str(self.directory / "result")]
            results["repx run"].append(measured(argv, env=self.env(jobs)))
        self.compare(results, jobs, "≤ 2 ms a link more than the bare loop")

    def small(self) -> None:
        """What a first try costs: `repx run experiment.py` as a whole, in an empty store; others do the same work.

        The scripts have been checked before, as they have for whoever changes a param, but for the first figure.
        """
        for experiment, jobs, limit in (("small.py", 1_000, "≤ 1.6 s"), ("chain.py", 200, "≤ 0.8 s")):
            results: dict[str, list[Measure]] = {"repx run": [], "make": [], "ninja": []}
            cache = {"XDG_CACHE_HOME": str(self.base / f"cache-{jobs}")}
            self.fresh()
            argv = [*REPX, "run", str(EXPERIMENTS / experiment)]
            first = measured(argv, env={**self.env(jobs), **cache}, cwd=self.directory)
            show(f"repx run {experiment}, scripts never seen", first)
            for _ in range(self.rounds):
                self.fresh()
                results["repx run"].append(measured(argv, env={**self.env(jobs), **cache}, cwd=self.directory))
                for tool in ("make", "ninja"):
                    if shutil.which(tool):
                        results[tool].append(self.other(tool, jobs, is_chain=experiment == "chain.py"))
            for name, measures in results.items():
                if measures:
                    median = median_of(len(measures), iter(measures).__next__)
                    show(f"{name}, {experiment}, {jobs:,} jobs", median, limit if name == "repx run" else "")

    def other(self, tool: str, jobs: int, *, is_chain: bool) -> Measure:
        """The same work as a makefile or for ninja: a file for each job, and one made of all of them, or a chain."""
        outside = Path(tempfile.mkdtemp(prefix="other-", dir=self.directory))
        steps = [(f"{number}.txt", [], f"echo {number} > {number}.txt") for number in range(jobs)]
        if is_chain:
            steps = [("0.txt", [], "echo 1 > 0.txt")]
            for number in range(1, jobs):
                command = f"read -r n < {number - 1}.txt && echo $$((n + 1)) > {number}.txt"
                steps.append((f"{number}.txt", [f"{number - 1}.txt"], command))
        else:
            steps.append(("total", [name for name, _, _ in steps], "cat *.txt > total"))
        if tool == "make":
            rules = [f"{name}: {' '.join(needs)}\n\t{command}\n" for name, needs, command in reversed(steps)]
            (outside / "Makefile").write_text("SHELL = /bin/bash\n" + "\n".join(rules))
            return measured(["make", "-s", "-j2", steps[-1][0]], cwd=outside)
        lines = ["rule job", "  command = bash -c '$do'"]
        for name, needs, command in steps:
            lines += [f"build {name}: job {' '.join(needs)}", f"  do = {command}"]
        (outside / "build.ninja").write_text("\n".join(lines) + "\n")
        return measured(["ninja", "-j2", "--quiet"], cwd=outside)

    def again(self) -> None:
        """A run with nothing to do: 10,000 jobs, then 100,000, which are really run first."""
        for jobs, limit in ((10_000, "≤ 0.5 s"), (100_000, "≤ 3 s")):
            self.realized("sweep.py", jobs)
            self.nothing_to_do(jobs, limit)

    def nothing_to_do(self, jobs: int, limit: str) -> None:
        argv = [*REPX, "run", "--lab", str(self.directory / "result"), "-j", "2"]
        show(f"run {jobs:,} (once)", measured(argv, env=self.env(jobs)), per=jobs)
        show(
            f"run {jobs:,} with nothing to do",
            median_of(self.rounds, lambda: measured(argv, env=self.env(jobs))),
            limit,
        )
        for file in (self.directory / "store" / "verified").glob("*.done"):
            file.unlink()
        show("the same without its note of complete runs", measured(argv, env=self.env(jobs)))

    def help(self) -> None:
        bare = median_of(self.rounds, lambda: measured([sys.executable, "-c", "import click"]))
        show('python -c "import click"', bare)
        command = shutil.which("repx", path=str(Path(sys.executable).parent)) or "repx"
        ours = median_of(self.rounds, lambda: measured([command, "--help"]))
        show("repx --help", ours, f"{ours.wall / bare.wall:.2f} ×, ≤ 2 ×")

    def realized(self, experiment: str, jobs: int) -> None:
        self.fresh()
        measured(
            [*REPX, "realize", str(EXPERIMENTS / experiment), "-o", str(self.directory / "result")], env=self.env(jobs)
        )

    def compare(self, results: dict[str, list[Measure]], jobs: int, limit: str) -> None:
        medians = {}
        for name, measures in results.items():
            if measures:
                medians[name] = median_of(len(measures), iter(measures).__next__)
                show(f"{name}, {jobs:,} jobs", medians[name], per=jobs)
        ours, bare = medians["repx run"], medians["bare loop"]
        more = (ours.wall - bare.wall) / jobs * 1e3
        ratios = statistics.median(
            a.wall / b.wall for a, b in zip(results["repx run"], results["bare loop"], strict=True)
        )
        said = f"{ratios:.2f} × wall, {ours.cpu / bare.cpu:.2f} × CPU, {more:.3f} ms a job more"
        print(f"{'':8}repx / bare loop: {said}; {limit}")

    def scripts(self, jobs: int) -> tuple[Path, list[list[str]]]:
        """A new directory with prepared arguments, and an argv for every job: the Lab's script, its own output."""
        outside = Path(tempfile.mkdtemp(prefix="outside-", dir=self.directory))
        lab = (self.directory / "result").resolve()
        script = next(path for path in sorted(lab.glob("store/*/bin/*")))
        (outside / "inputs.json").write_text("{}")
        (outside / "params.json").write_text("{}")
        (outside / "params.sh").write_text("seed=1 place=1 before=''\ndeclare -A inputs=() params=([seed]=1)\n")
        given = [f"{outside}/inputs.json", f"{outside}/params.json"]
        return outside, [["bash", str(script), f"{outside}/{number}", *given] for number in range(jobs)]

    def loop(self, jobs: int, slots: int = 2) -> Measure:
        """Start the scripts, `slots` at once, with nothing around them but a directory each."""
        outside, _ = self.scripts(jobs)
        return measured([sys.executable, str(HERE / "bare_loop.py"), str(outside), str(jobs), str(slots)])

    def ninja(self, jobs: int) -> Measure:
        outside, scripts = self.scripts(jobs)
        lines = ["rule job", "  command = mkdir $out && bash $script $out $inputs $params 2>/dev/null"]
        for _, script, out, inputs, params in scripts:
            lines += [f"build {out}: job", f"  script = {script}", f"  inputs = {inputs}", f"  params = {params}"]
        (outside / "build.ninja").write_text("\n".join(lines) + "\n")
        return measured(["ninja", "-j2", "--quiet"], cwd=outside)


def main() -> None:
    names = ["instantiate", "million", "realize", "closure", "listing", "run", "chain", "small", "again", "help"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[*names, []], default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, default=None, help="where to work; default: a temporary one")
    arguments = parser.parse_args()
    base = Path(tempfile.mkdtemp(dir=arguments.directory))
    try:
        bench = Bench(base, arguments.rounds)
        bench.fresh()
        for name in arguments.what or names:
            getattr(bench, name)()
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(base)], check=False)
        subprocess.run(["rm", "-rf", str(base)], check=True)


if __name__ == "__main__":
    main()

"""Kill `repx run` again and again, anywhere and anything of it, and look whether anything is lost, doubled or wrong.

    python benchmarks/torture.py                    500 kills over 300 jobs, gc beside them
    python benchmarks/torture.py --kills 20 --seed 7

A graph with diamonds, fan-in, a scatter-gather, realizations with selections, and results that are adopted. Each round
starts the run and kills, after a random while, the runner, one worker, all of them, a job, or the whole group. In the
end all jobs are done, hold what an undisturbed run holds, and no claim, scratch or half result is left.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

REPX = [sys.executable, "-m", "repx"]
EXPERIMENT = """
from repx import Input, Inputs, Lab, Output, Results, Run, WorkItem, bash, best, every, latest, out, stage
from repx import scatter_gather
@bash
def make(data: Output = out("data.txt"), *, n: int):
    return 'SAID "$n" > "$data"'
@bash
def left(data: Input, a: Output = out("a.txt")):
    return 'sleep 0.0$((RANDOM % 6)); sed s/^/left/ "$data" > "$a"'
@bash
def right(data: Input, b: Output = out("d/b.txt")):
    return 'sed s/^/right/ "$data" > "$b"'
@bash
def join(a: Input, b: Input, both: Output = out("both.txt")):
    return 'cat "$a" "$b" > "$both"'
@bash(realizations=3)
def draw(data: Input, score: Output = out("score.txt"), *, index: int = 0):
    return 'read -r n < "$data"; echo "$(( (n * 7 + index * 5) % 11 ))" > "$score"'
@bash
def pick(score: Input, picked: Output = out("picked.txt")):
    return 'cat "$score" > "$picked"'
@bash
def total(scores: Inputs, sum: Output = out("sum.txt")):
    return 'cat "${scores[@]}" > "$sum"'
@stage
def split(data: Input, items: Output = out("items.json")):
    n = int(data.read_text())
    items.write_text(str([n, n + 1, n + 2]))
@stage
def part(item: WorkItem, result: Output = out("r.txt")):
    result.write_text(str(item))
@stage
def gather(result: Inputs, all: Output = out("all.txt")):
    all.write_text(" ".join(one.read_text() for one in result))
@scatter_gather(scatter=split, gather=gather)
def parts(item: WorkItem):
    return part(item=item)
@stage
def table(work: Results, text: Output = out("table.txt")):
    text.write_text("\\n".join(sorted(str(job.params) + job.outputs["both"].read_text() for job in work.jobs("join"))))
def chain():
    made = make()
    join(left(made), right(made))
    drawn = draw(made)
    pick(best(drawn, largest="score"))
    pick(latest(drawn))
    total(scores=every(drawn).score)
    parts(made)
work = Run("work", chain, params={"n": range(JOBS)})
lab = Lab([work, Run("post", table, after=[work])])
"""
PER_N = 16
"""Jobs for each value of the axis, with the parts of its scatter-gather and further realizations."""


class Torture:
    """A store that is disturbed."""

    def __init__(self, root: Path, jobs: int, chance: random.Random) -> None:
        self.root = root
        self.chance = chance
        self.jobs = jobs
        self.kills: Counter[str] = Counter()

    def write(self, said: str) -> None:
        (self.root / "experiment.py").write_text(
            EXPERIMENT.replace("JOBS", str(max(1, self.jobs // PER_N))).replace("SAID", said)
        )
        self.repx("realize", "experiment.py")

    def repx(self, *argv: str, store: str = "store") -> str:
        """A command that is left alone."""
        done = subprocess.run([*REPX, *argv], cwd=self.root, env=self.env(store), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def env(self, store: str = "store") -> dict[str, str]:
        return {**os.environ, "REPX_STORE": str(self.root / store)}

    def disturbed(self, kills: int) -> None:
        """Run, and kill, so often; then once to the end."""
        for _ in range(kills):
            run = subprocess.Popen(
                [*REPX, "run", "-k", "-j", "3"], cwd=self.root, env=self.env(), start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            time.sleep(0.4 + self.chance.random() ** 2 * 3)
            if run.poll() is None:
                self.kill(run.pid)
            if self.chance.random() < 0.1:
                self.repx("gc", "--yes")
            if self.chance.random() < 0.7:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(run.pid, signal.SIGKILL)
            said = run.communicate(timeout=120)[1]
            assert "Traceback" not in said, said

    def kill(self, runner: int) -> None:
        """Kill something of a run, if it is still there."""
        workers = list(children(runner))
        jobs = [job for worker in workers for job in children(worker)]
        what = self.chance.choice(["runner", "worker", "workers", "job", "group"])
        targets = {
            "runner": [runner],
            "worker": workers[:1],
            "workers": workers,
            "job": jobs[:1],
            "group": [],
        }[what]
        self.kills[what] += 1
        for pid in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if what == "group":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(runner, signal.SIGKILL)

    def finish(self) -> dict[str, int]:
        """Run to the end, and again: what is done then is all there is to do."""
        ended = json.loads(self.repx("run", "--json", "-j", "3"))
        assert ended["succeeded"] == ended["jobs"], ended
        again = json.loads(self.repx("run", "--json", "-j", "3"))
        assert again["found"] == again["jobs"], again
        records = (self.root / "store" / "outputs").rglob("record.jsonl")
        return {"jobs": ended["jobs"], "adopted": sum('"adopted":' in record.read_text() for record in records)}

    def contents(self, store: str = "store") -> dict[str, str]:
        """What every job of the Lab has made: a digest of its `out`, and of those of its realizations."""
        ids = {path.name for path in (self.root / "result" / "jobs").iterdir()}
        found = {}
        for record in sorted((self.root / store / "outputs").rglob("record.jsonl")):
            # Without the key: for the other store the Lab is one from elsewhere, whose keys are others.
            job, _, index = str(record.parent.relative_to(self.root / store / "outputs")).partition("/")
            if job in ids:
                found[f"{job}#{index.partition('-')[0]}"] = digest_of(record.parent / "out")
        return found

    def check_left(self) -> None:
        """Nothing is left of what was killed: no claim, no scratch, nothing pending, no process."""
        store = self.root / "store"
        names = re.compile(r"claim.*|pending|.*\.tmp")
        left = [path for path in store.rglob("*") if names.fullmatch(path.name)]
        assert not left, left[:10]
        assert not [path for path in (store / "tmp").iterdir() if path.name.startswith("run")], "scratch is left"
        for record in store.glob("outputs/**/record.jsonl"):
            lines = record.read_text().splitlines()
            outputs = json.loads(lines[0])["outputs"]
            assert all((record.parent / "out" / one["path"]).exists() for one in outputs.values()), record


def children(pid: int) -> Iterator[int]:
    """The living children of a process."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)


def digest_of(tree: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        digest.update(f"{path.relative_to(tree)} {path.stat().st_mode:o}\n".encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="repx-torture-") as directory:
        torture = Torture(Path(directory), arguments.jobs, random.Random(arguments.seed))
        for number, said in enumerate(["echo", 'printf ""; echo']):
            # The second time the first jobs are rewritten and say the same: what follows is adopted.
            torture.write(said)
            torture.disturbed(arguments.kills // 2)
            ended = torture.finish()
            torture.repx("run", "-j", "3", store=f"undisturbed-{number}")
            found, right = torture.contents(), torture.contents(f"undisturbed-{number}")
            wrong = [place for place in sorted(found.keys() | right.keys()) if found.get(place) != right.get(place)]
            assert not wrong, f"other results than undisturbed: {wrong[:5]}"
            torture.check_left()
            print(f"{ended['jobs']} jobs right after {dict(torture.kills)}; {ended['adopted']} adopted", flush=True)


if __name__ == "__main__":
    main()

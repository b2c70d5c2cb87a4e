"""One small Lab, realized and run for real once, with successes, a failure, what it blocks, steps; and its commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from repx.agent.base.files import remove_tree
from repx.cli.main import cli
from repx.errors import RepxError
from tests.forked import run_repx
from tests.golden_texts import golden_fixture

__all__ = ["golden_fixture"]

PATIENCE_S = 120

REPX = (sys.executable, "-c", "from repx.cli.main import main; main()")

EXPERIMENT = '''
from repx import Input, Inputs, Lab, Output, Resources, Results, Run, WorkItem, bash, out, scatter_gather, soft

@bash(resources=Resources(mem="256M"))
def make(data: Output = out("data.txt"), *, seed: int, label: str = "a\\nb"):
    "Writes its seed."
    return """
        for line in 1 2 3; do echo "line $line of $seed"; done
        echo "$seed" > "$data"
    """

@bash(resources=Resources(cpus=2))
def double(data: Input, table: Output = out("sub/table.csv"), extra: Output = out("extra"), *, factor: int = 2):
    return """
        read n < "$data"
        echo "n,m" > "$table"; echo "$n,$((n * factor))" >> "$table"
        mkdir "$extra"; echo one > "$extra/one.txt"
        printf '\\\\0\\\\1\\\\2' > "$extra/raw.bin"
        echo more > undeclared.txt
    """

@bash
def fragile(data: Input, result: Output = out("result.json")):
    return """
        echo "before" >&2
        if [ "$(< "$data")" = 2 ]; then echo "two is too much" >&2; exit 3; fi
        echo "[$(< "$data")]" > "$result"
    """

@bash
def after_fragile(result: Input, end: Output = out("end.txt")):
    return """cat "$result" > "$end" """

@bash
def split(data: Input, items: Output = out("items.json")):
    return """echo '[1, 2, {"deep": [3]}]' > "$items" """

@bash
def work(item: WorkItem, one: Output = out("one.txt"), *, power: int = 1):
    return """echo "working on $(< "$item")"; echo "$(< "$item")" > "$one" """

@bash
def collect(ones: Inputs, all: Output = out("all.txt")):
    return """cat "${ones[@]}" > "$all" """

@scatter_gather(scatter=split, gather=collect)
def parts(item: WorkItem):
    return work(item=item)

@bash
def report(sweep: Results, summary: Output = out("summary.txt"), *, title: str = "strict"):
    return """grep -c succeeded "$sweep" > "$summary" """

@bash(realizations=2)
def noisy(noise: Output = out("noise.txt"), *, index: int = 0):
    return """echo "$index" > "$noise" """

def simulate():
    data = make()
    double(data=data.data)
    after_fragile(result=fragile(data=data.data).result)

sweep = Run("sweep", simulate, params={"seed": [1, 2, 3]})
scatter = Run("scatter", lambda: parts(data=make(seed=1).data))
strict = Run("strict", report, after=[sweep])
lenient = Run("lenient", report, after=[soft(sweep)], params={"title": "lenient"})
repeat = Run("repeat", noisy)
groups = {"all": [sweep, scatter], "one": [repeat]}
lab = Lab(runs=[sweep, scatter, strict, lenient, repeat], groups=groups, version="2")
'''


@dataclass(frozen=True)
class Shown:
    """What a command has answered."""

    status: int
    stdout: str
    stderr: str
    raw: bytes

    @property
    def answer(self) -> Any:
        """What it printed with `--json`."""
        return json.loads(self.stdout)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of a table, without its titles."""
        return [line.split() for line in self.stdout.splitlines()[1:]]


@dataclass(frozen=True)
class World:
    """A Lab, its store, and the commands that look at them."""

    directory: Path

    @property
    def lab(self) -> str:
        """The Lab."""
        return str(self.directory / "result")

    @property
    def store(self) -> str:
        """The store."""
        return str(self.directory / "store")

    def see(self, *args: str) -> Shown:
        """Run a command that looks, in this process."""
        done = CliRunner().invoke(cli, [*args, "--lab", self.lab, "--store", self.store])
        if isinstance(done.exception, RepxError):
            return Shown(
                done.exception.exit_code, done.stdout, "\n".join(done.exception.lines()) + "\n", done.stdout_bytes
            )
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Shown(done.exit_code, done.stdout, done.stderr, done.stdout_bytes)

    def plain(self, text: str) -> str:
        """A text without what differs from machine to machine: digests, paths, times."""
        text = text.replace(os.path.realpath(self.directory), "<here>").replace(str(self.directory), "<here>")
        text = re.sub(r"[0-9a-df-np-sv-z]{32}", "<digest>", text)
        text = re.sub(r"/\d-[0-9a-df-np-sv-z]{8}/", "/<key>/", text)
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}, \S+ s on \S+,", "<when>, <how long> on <host>,", text)
        text = re.sub(r"\b[0-9a-df-np-sv-z]{12}\b", "<start of an id>", text)
        # How long a job took, in the column of times.
        text = re.sub(r"(?<=  ) *\d\S* (?:s|min|h)(?=  |$)", "<how long>", text, flags=re.MULTILINE)
        text = re.sub(r"status *took(?: +(?=\S))?", "status  took  ", text).replace("took  \n", "took\n")
        # Jobs stand in the order of their ids, which depend on this machine's programs.
        text = re.sub(
            r"(?:^<digest>.*\n)+", lambda rows: "".join(sorted(rows[0].splitlines(True))), text, flags=re.MULTILINE
        )
        return re.sub(r"\S+ of memory at most, \S+ s of CPU", "<memory> of memory at most, <CPU>", text)

    def run(self, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """A command in a process of its own."""
        return run_repx(args, cwd or self.directory, {**os.environ, "REPX_STORE": self.store}, PATIENCE_S)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The Lab of EXPERIMENT after `repx run --continue-on-failure`."""
    made = World(tmp_path_factory.mktemp("world"))
    (made.directory / "experiment.py").write_text(EXPERIMENT)
    done = made.run("run", "experiment.py", "--continue-on-failure")
    assert done.returncode == 1, done.stderr + done.stdout
    yield made
    remove_tree(str(made.directory))

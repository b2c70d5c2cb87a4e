"""Inputs and params of every kind in a sandbox: what arrives there is what arrives natively, down to the bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from repx.agent.base.record import decode_outcome
from tests.machine import needs_programs
from tests.real.worlds import World, world

pytestmark = pytest.mark.real

KINDS = ("native", "bwrap", "podman")
NAMES = ("a b.txt", "q\"u'o.txt", "c,o:m=a.txt", "new\nline.txt", "$(x)`y`\\.txt", "-n", "ünï", "*?[a]", "end ", "#~")

FOLDERS = ("d i,r", "d\"q:'", "d\nl")
FILES = {"stored.txt": "stored\nlines\nof it\n", "folder/sub/deeper.txt": "deeper\n"}
TEXT = "two\nlines, 'quoted' \"twice\" $HOME `x` \\ ü"

EXPERIMENT = """
import repx
from pathlib import Path

@bash
def odd(part: Input, seen: Output = out("seen")):
    return 'if [[ -d "$part" ]]; then find "$part/" -type f -exec cat {} +; else cat -- "$part"; fi > "$seen"'

@bash
def number(made: Output = out("made.txt"), folder: Output = out("folder"), *, n: int):
    return '''echo "$n" > "$made"
mkdir -p "$folder/below"
echo "$n" > "$folder/below/deep.txt"
ln -s deep.txt "$folder/below/link" '''

@bash(outputs=lambda p: {f"o{n}": f"many/{n}.txt" for n in range(200)})
def many(outputs: Outputs):
    return 'for name in "${!outputs[@]}"; do echo "$name" > "${outputs[$name]}"; done'

@bash
def fan_in(parts: Inputs, folders: Inputs, all: Output = out("all.txt")):
    return '''cat "${parts[@]}" > "$all"
for folder in "${folders[@]}"; do cat "$folder/below/link"; done >> "$all"
echo "${#parts[@]} ${#folders[@]}" >> "$all" '''

@bash
def optional(data: Input | None = None, said: Output = out("said.txt")):
    return 'echo "[$data] ${#inputs[@]}" > "$said"'

@bash
def params(
    said: Output = out("said.txt"), *, text: str, file: Path, folder: Path, tool: Path, nothing: str | None = None
):
    return '''cat "$file" "$folder/sub/deeper.txt" > "$said"
printf '%s\\n' "$text" "[$nothing]" >> "$said"
"$tool/bin/jq" -n 6*7 >> "$said" '''

@stage(packages=["python3", "numpy"], env={"GREETING": "hello"})
def python(
    data: Input, folder: Input, parts: Inputs, said: Output = out("said.json"), *, text: str, file: Path, tool: Path
):
    import json, os, subprocess
    import numpy
    jq = subprocess.run([tool / "bin" / "jq", "-n", "6*7"], capture_output=True, text=True).stdout
    said.write_text(json.dumps([
        data.read_text(), (folder / "below" / "deep.txt").read_text(), [part.read_text() for part in parts], text,
        file.read_text(), jq, os.environ["GREETING"], float(numpy.linalg.norm([3, 4])),
    ]))

@bash
def items(first: Input, list: Output = out("list.json")):
    return 'jq -n "[range($(wc -l < "$first"))]" > "$list"'

@bash
def square(item: WorkItem, squared: Output = out("squared.txt")):
    return 'echo "$(( $(<"$item") * $(<"$item") ))" > "$squared"'

@bash
def total(results: Inputs, sum: Output = out("sum.txt")):
    return 'cat "${results[@]}" | paste -sd+ > "$sum"'

@scatter_gather(scatter=items, gather=total)
def squares(item: WorkItem):
    return square(item=item)

@bash
def private(said: Output = out("said.txt")):
    return 'umask 077; echo private > "$said"'

@bash
def reads_private(private: Input, said: Output = out("said.txt")):
    return 'cat "$private" > "$said"'

@stage(packages=["python3"])
def summary(first: Results, table: Output = out("table.json")):
    import json, os
    seen = {job.params["n"]: job.outputs["made"].read_text() for job in first.jobs("number")}
    # <store>/outputs/<job>/out/made.txt
    places = {job.outputs["made"].parents[1].name: job.outputs["made"].parents[2] for job in first.jobs()}
    (outputs,) = set(places.values())
    table.write_text(json.dumps({
        "read": sorted(seen.items()),
        "others": sorted(set(os.listdir(outputs)) - set(places)),
        "beside": sorted(os.listdir(outputs.parent)),
        "in a job": sorted({name for job in places for name in os.listdir(outputs / job)}),
        "in out": sorted({name for job in places for name in os.listdir(outputs / job / "out")}),
        "below": sorted({path.name for job in places for path in (outputs / job / "out" / "folder").rglob("*")}),
    }))

def work():
    made = [number(n=n) for n in (7, 8)]
    parts = many()
    whole = fan_in(parts=[getattr(parts, f"o{n}") for n in range(200)], folders=[one.folder for one in made])
    optional()
    params(text=TEXT, file=repx.path("stored.txt"), folder=repx.path("folder"), tool=package("jq"))
    python(
        data=whole.all, folder=made[0].folder, parts=[made[1].made, repx.path("stored.txt")], text=TEXT,
        file=repx.path("stored.txt"), tool=package("jq"),
    )
    squares(first=repx.path("stored.txt"))
    reads_private(private=private())

first = Run("first", number, params={"n": [1, 2, 3]})
lab = Lab([
    Run("odd", odd, params={"part": repx.scan("odd")}),
    first,
    Run("work", work),
    Run("summary", summary, after=[first]),
], packages=packages)
"""


@pytest.fixture(scope="module")
def lab(common_store: Path, podman_settings: dict[str, str]) -> Iterator[tuple[World, Path]]:
    needs_programs("bwrap")
    with world(common_store, **podman_settings) as made:
        for name, text in FILES.items():
            (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (made.folder / name).write_text(text)
        for name in NAMES:
            (made.folder / "odd").mkdir(exist_ok=True)
            (made.folder / "odd" / name).write_text(f"content of {name}")
        for name in FOLDERS:
            (made.folder / "odd" / name).mkdir()
            for inner in (os.fsencode(name), b"bytes \xff\xfe"):
                (made.folder / "odd" / name / os.fsdecode(inner)).write_text("inner\n")
        yield made, made.realize(f"TEXT = {TEXT!r}\n{EXPERIMENT}")


@dataclass(frozen=True)
class Ran:
    """A Lab that one isolation has run, in a store of its own."""

    world: World
    options: tuple[str, ...]
    store: Path
    done: subprocess.CompletedProcess[str]

    def output(self, job: str, name: str) -> str:
        return self.world.repx("show", "output", job, name, *self.options)

    def digests(self) -> dict[str, dict[str, str]]:
        """Of each job the digests of its outputs."""
        found = {}
        for record in (self.store / "outputs").glob("*/record.jsonl"):
            outcome = decode_outcome(record.read_bytes())
            found[outcome.job] = {name: one.digest for name, one in outcome.outputs.items()}
        return found


@pytest.fixture(scope="module")
def runs(lab: tuple[World, Path]) -> dict[str, Ran]:
    made, path = lab
    found = {}
    for kind in KINDS:
        store = made.folder / kind
        options = ("--lab", str(path), "--store", str(store))
        found[kind] = Ran(made, options, store, made.start("run", f"--{kind}", "--continue-on-failure", *options))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_everything_runs(runs: dict[str, Ran], kind: str) -> None:
    assert runs[kind].done.returncode == 0, runs[kind].done.stderr


@pytest.mark.parametrize("kind", ["bwrap", "podman"])
def test_the_same_bytes_as_natively(runs: dict[str, Ran], kind: str) -> None:
    """All but what depends on where the store is: there nothing of it is to be seen but the results."""
    native, shut_in = runs["native"].digests(), runs[kind].digests()
    assert len(native) > 25
    (summary,) = [job for job in native if job.split("-")[1] == "summary"]
    for one in (native, shut_in):
        assert one.pop(summary)
    assert shut_in == native


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_given_is_what_arrives(runs: dict[str, Ran], kind: str) -> None:
    ran = runs[kind]
    many = "".join(f"o{number}\n" for number in range(200))
    assert ran.output("fan_in", "all") == f"{many}7\n8\n200 2\n"
    assert ran.output("optional", "said") == "[] 0\n"
    assert ran.output("params", "said") == f"stored\nlines\nof it\ndeeper\n{TEXT}\n[]\n42\n"
    stored = "stored\nlines\nof it\n"
    answer = json.loads(ran.output("python", "said"))
    assert answer == [f"{many}7\n8\n200 2\n", "7\n", ["8\n", stored], TEXT, stored, "42\n", "hello", 5.0]


@pytest.mark.parametrize("kind", KINDS)
def test_scatter_gather(runs: dict[str, Ran], kind: str) -> None:
    assert runs[kind].output("squares", "sum") == "0+1+4\n"


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_any_name(runs: dict[str, Ran], kind: str) -> None:
    contents = [path.read_text() for path in (runs[kind].store / "outputs").glob("*-odd-*/out/seen")]
    assert sorted(contents) == sorted([*(f"content of {name}" for name in NAMES), *["inner\ninner\n"] * len(FOLDERS)])


@pytest.mark.parametrize("kind", ["bwrap", "podman"])
def test_results_are_those_of_their_run_and_nothing_else(runs: dict[str, Ran], kind: str) -> None:
    assert json.loads(runs[kind].output("summary", "table")) == {
        "read": [[1, "1\n"], [2, "2\n"], [3, "3\n"]],
        "others": [],
        "beside": ["outputs"],
        "in a job": ["out"],
        "in out": ["folder", "made.txt"],
        "below": ["below", "deep.txt", "link"],
    }


@pytest.mark.parametrize("kind", ["bwrap", "podman"])
def test_forced_again_it_makes_the_same(runs: dict[str, Ran], kind: str) -> None:
    ran = runs[kind]
    before = ran.digests()
    ran.world.repx("run", f"--{kind}", "--force", "fan_in", "summary", *ran.options)
    assert ran.digests() == before


def test_a_runner_that_keeps_its_files_to_itself(lab: tuple[World, Path], runs: dict[str, Ran]) -> None:
    """With umask 077 a container's ordinary user would not see what root has made for it."""
    made, path = lab
    options = ("--lab", str(path), "--store", str(made.folder / "private"))
    command = ["sh", "-c", 'umask 077; exec "$@"', "sh", sys.executable, "-c"]
    command += [
        "from repx.cli.main import main; main()",
        "run",
        "--podman",
        "fan_in",
        "summary",
        "reads_private",
        *options,
    ]
    done = subprocess.run(command, cwd=made.folder, env=made.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

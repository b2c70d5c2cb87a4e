"""Every example, copied, realized and run for real by the commands of its README; imports nothing of repx."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

Said = dict[str, str]
"""What each command of a README printed."""

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/experiment.py"))
IN_A_CLOSURE_ONLY = ["hello", "impure-incremental"]
"""Their commands are for a machine with Nix: see tests/real, where the READMEs' sections on closures are, too."""


class Example:
    """A copy of an example, with a store of its own."""

    def __init__(self, name: str, place: Path) -> None:
        self.folder = place / name
        shutil.copytree(EXAMPLES / name, self.folder, ignore=shutil.ignore_patterns("result", "__pycache__"))
        # The scripts of this environment first, so that `repx` and `python3` in a README are those under test.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.store = place / "store"
        self.environment = {**os.environ, "PATH": path, "REPX_STORE": str(self.store)}

    def command(self, *words: str) -> str:
        """What a command prints; it must end well."""
        ended = subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=250, check=False
        )
        assert ended.returncode == 0, f"{' '.join(words)}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def line(self, line: str) -> str:
        """What a line of a README prints, as a shell takes it."""
        return self.command("bash", "-euc", line)

    def run(self) -> int:
        """Realize and run everything; how many jobs were not done before."""
        self.command("repx", "realize", "experiment.py")
        report = json.loads(self.command("repx", "run", "--json"))
        assert report["jobs"] == report["succeeded"], report
        new: int = report["jobs"] - report["found"]
        return new

    def jobs(self) -> Counter[str]:
        """How many jobs of each stage the Lab has."""
        return Counter(identity[33:].rpartition("-")[0] for identity in self.ids())

    def ids(self, stage: str = "") -> set[str]:
        """The ids of the Lab's jobs, of one stage if given."""
        ids = {path.name for path in (self.folder / "result" / "jobs").iterdir()}
        return {identity for identity in ids if not stage or identity[33:].rpartition("-")[0] == stage}

    def output(self, stage: str, file: str) -> list[Path]:
        """An output of every job of a stage."""
        return [self.store / "outputs" / identity / "out" / file for identity in sorted(self.ids(stage))]


def commands_of(name: str, section: str = "") -> list[str]:
    """The commands of a section of an example's README, by default of what stands above all: its indented lines."""
    head, *others = (EXAMPLES / name / "README.md").read_text().split("\n## ")
    sections = {"": head, **dict(other.split("\n", 1) for other in others)}
    return re.findall(r"^    (\S.*)$", sections[section], re.MULTILINE)


def test_every_example_is_here() -> None:
    assert sorted([*CLAIMS, *IN_A_CLOSURE_ONLY]) == NAMES
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {*NAMES, "nix-debian"}
    assert all((EXAMPLES / name / "README.md").is_file() for name in folders)
    listed = (EXAMPLES / "README.md").read_text()
    assert set(re.findall(r"\]\(([^)]*)\)", listed)) == folders


@pytest.mark.parametrize("name", [name for name in NAMES if name not in IN_A_CLOSURE_ONLY])
def test_the_commands_of_a_readme_work_and_a_second_run_runs_nothing(name: str, tmp_path: Path) -> None:
    example = Example(name, tmp_path)
    commands = commands_of(name)
    assert commands[0] == "repx realize experiment.py"
    assert commands[1].startswith("repx run --lab ./result")
    said = {line: example.line(line) for line in commands}
    assert example.run() == 0
    CLAIMS[name](example, said)


def simple(example: Example, said: Said) -> None:
    assert example.jobs() == Counter(series=1, total=1, plot=1)
    assert example.output("total", "sum.txt")[0].read_text() == "2470\n"
    assert is_picture(example.output("plot", "series.png")[0])
    assert "2470" in said["repx show output total result"]
    assert is_picture(example.folder / "series.png")
    assert "20 numbers up to 361; their sum is 2470\n" in said["python3 analysis.py"]


def param_sweep(example: Example, said: Said) -> None:
    assert example.jobs() == Counter(generator=3, total=3, plotter=1)
    assert sorted(float(path.read_text()) for path in example.output("total", "sum.txt")) == [2470, 4940, 12350]
    assert is_picture(example.output("plotter", "plot.png")[0])
    listed = [line.split() for line in said["repx list jobs -p slope"].splitlines()]
    assert sorted(words[-1] for words in listed if "generator" in words[0]) == ["1.0", "2.0", "5.0"]
    assert is_picture(example.folder / "plot.png")


def grading(example: Example, said: Said) -> None:
    assert example.jobs() == Counter(grade=3, report=1)
    table = ["submission,passed,failed", "alice,3/3,", "bob,2/3,even", "carol,0/3,digits even odd"]
    assert example.output("report", "grades.csv")[0].read_text().splitlines() == table
    assert table[2] in said["repx show output report table"]


def digits(example: Example, said: Said) -> None:
    assert example.jobs() == Counter(train=4, pick=1, confusion=1)
    accuracies = [float(path.read_text()) for path in example.output("train", "accuracy.txt")]
    best = json.loads(example.output("pick", "best.json")[0].read_text())
    assert best["accuracy"] == max(accuracies) > 0.9
    assert (best["model"], best["learning_rate"]) in [("linear", 0.01), ("network", 0.2)]
    assert is_picture(example.output("confusion", "confusion.png")[0])
    assert said["repx list jobs -p model -p seed"].count("network") == 2
    assert is_picture(example.folder / "confusion.png")
    assert f'"accuracy": {best["accuracy"]}' in said["repx show output pick best"]


def ten_trainings(example: Example, said: Said) -> None:
    assert example.jobs() == Counter(dataset=1, train=1, compare=1)
    assert len(set(said["repx show output compare table"].splitlines()[1:])) == 10
    assert said["python3 analysis.py"].startswith("10 models; ")


def quickstart(example: Example, said: Said) -> None:
    assert example.jobs() == Counter(anneal=1, plot=1)
    assert "smallest lowest of" in said["repx show job plot"]
    assert is_drawing(example.folder / "trace.svg", lines=1)


def mnist(example: Example, said: Said) -> None:
    assert example.jobs() == Counter(digits=1, train=1, show=1)
    assert 0.5 < float(said["repx show output train accuracy"]) <= 1
    readings = said["repx show output show readings"].splitlines()
    assert [line[: len("0 is read as ")] for line in readings] == [f"{digit} is read as " for digit in range(10)]


def repl(example: Example, said: Said) -> None:
    assert example.jobs() == Counter(train=1, report=1)
    assert "model.json\n" in said["repx debug-run train -c 'run_job || ls -l'"]
    assert said["repx show output report page"] == "1.414214: loss below 1e-30\n"
    assert "made by hand: run_job || echo" in said["repx show job train"]


def ultimatum(example: Example, said: Said) -> None:
    assert example.jobs() == Counter(history=1, plot=1)
    assert is_drawing(example.folder / "histories.svg", lines=20)
    assert len(set((example.folder / "histories.svg").read_text().splitlines())) == 22


def mdrun(example: Example, said: Said) -> None:
    assert example.jobs() == Counter(section=3, paste=1)
    page = said["repx show output paste page"]
    results = ["10000 throws\n", "3.50\n", "5 is the next throw; the mean was 3.5\n"]
    assert re.findall(r"```result\n(.*?)```", page, re.DOTALL) == results
    assert re.sub(r"\n```result\n.*?```\n", "", page, flags=re.DOTALL) == (example.folder / "document.md").read_text()


def reference_lab(example: Example, said: Said) -> None:
    simulation = {
        "low_numbers": 4,
        "high_numbers": 4,
        "joined": 16,
        "partial_sums": 16,
        "total": 16,
        "scaled-fast": 16,
        "scaled-slow": 16,
        "workload": 64,
    }
    assert sum(simulation.values()) == 152
    assert example.jobs() == Counter({**simulation, "analysis": 1})
    assert Counter(path.read_text() for path in example.output("total", "total.sum.txt")) == {"540\n": 8, "595\n": 8}
    # 64 = 2 offsets × 2 modes × 2 templates × 2 configs × 2 scalings × 2 workloads; A=1, B=2.
    expected = Counter(
        {total * m * s + words + 3: 8 for total in (540, 595) for m, s in ((2, 10), (3, 100)) for words in (60, 45)}
    )
    assert Counter(int(path.read_text()) for path in example.output("workload", "result.txt")) == expected
    summary = json.loads(example.output("analysis", "summary.json")[0].read_text())
    assert summary == {"totals": {"540": 8, "595": 8}, "stages": simulation}
    titles = Counter(path.read_text() for path in example.output("low_numbers", "title.txt"))
    assert titles == {"FIVE NUMBERS AND AN OFFSET\n": 2, "FIVE NUMBERS, AN OFFSET, AND A LONGER TITLE\n": 2}
    assert re.findall(r"^(all|compute)\b", said["repx list groups"], re.MULTILINE) == ["all", "compute"]
    assert '"540": 8' in said["repx show output analysis summary"]


CLAIMS = {
    "simple": simple,
    "param-sweep": param_sweep,
    "grading": grading,
    "digits": digits,
    "mdrun": mdrun,
    "mnist": mnist,
    "quickstart": quickstart,
    "repl": repl,
    "ten-trainings": ten_trainings,
    "ultimatum": ultimatum,
    "reference-lab": reference_lab,
}


def test_a_new_submission_adds_its_job_and_the_report(tmp_path: Path) -> None:
    example = Example("grading", tmp_path)
    assert example.run() == 4
    before = example.ids("grade")
    added = example.folder / "submissions" / "dave"
    added.mkdir()
    (added / "median.py").write_text("print(2)\n")
    assert example.run() == 2
    assert before < example.ids("grade")
    assert "dave,1/3,digits even\n" in example.output("report", "grades.csv")[0].read_text()


def test_a_new_slope_adds_two_jobs_and_the_plot(tmp_path: Path) -> None:
    example = Example("param-sweep", tmp_path)
    assert example.run() == 7
    experiment = example.folder / "experiment.py"
    experiment.write_text(experiment.read_text().replace("[1, 2, 5]", "[1, 2, 5, 7]"))
    assert example.run() == 3


def test_editing_one_swept_directory_changes_some_jobs_of_a_and_c_and_none_of_b(tmp_path: Path) -> None:
    example = Example("reference-lab", tmp_path)
    stages = ("low_numbers", "high_numbers", "joined", "workload")
    example.command("repx", "realize", "experiment.py")
    before = {stage: example.ids(stage) for stage in stages}
    (example.folder / "templates" / "rich" / "title.txt").write_text("another\n")
    example.command("repx", "realize", "experiment.py")
    kept = {stage: len(before[stage] & example.ids(stage)) for stage in stages}
    assert kept == {"low_numbers": 2, "high_numbers": 4, "joined": 8, "workload": 32}
    assert len(example.ids()) == 153


def test_a_lab_is_the_same_bytes_wherever_it_is_made(tmp_path: Path) -> None:
    one, two = Example("reference-lab", tmp_path / "one"), Example("reference-lab", tmp_path / "another place")
    two.environment |= {"PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    made = [json.loads(example.command("repx", "realize", "experiment.py", "--json")) for example in (one, two)]
    assert made[0]["lab"] == made[1]["lab"]
    assert tree(one.folder / "result") == tree(two.folder / "result")


def tree(root: Path) -> dict[str, object]:
    """Everything below a directory: modes, links and bytes."""
    found: dict[str, object] = {}
    for path in sorted(root.resolve().rglob("*")):
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(root.resolve()))] = (path.lstat().st_mode, content)
    return found


def is_picture(path: Path) -> bool:
    """Whether a file is a PNG of some size."""
    return path.read_bytes().startswith(b"\x89PNG\r\n") and path.stat().st_size > 3000


def is_drawing(path: Path, *, lines: int) -> bool:
    """Whether a file is an SVG with so many lines of several points."""
    drawn = ElementTree.parse(path).getroot().findall("{http://www.w3.org/2000/svg}polyline")
    return len(drawn) == lines and all(len(line.attrib["points"].split()) > 100 for line in drawn)

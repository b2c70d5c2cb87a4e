"""The README, taken at its word: each of its snippets is run for real, as a reader would, in an empty directory."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.reader import Reader, a_reader

__all__ = ["a_reader"]

TEXT = (Path(__file__).parent.parent / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
PIECES = """import repx
from repx import Input, Inputs, Lab, Output, Outputs, Results, Run, WorkItem, out, scatter_gather, stage
"""


def commands_of(section: str) -> list[str]:
    """The indented lines of a section that are commands of repx."""
    _, _, after = TEXT.partition(f"\n## {section}\n")
    return re.findall(r"^    (repx [^#\n]*?) *(?:#.*)?$", after.partition("\n## ")[0], re.MULTILINE)


def test_no_snippet_is_left_out() -> None:
    beginnings = [
        "# experiment.py\n",
        "@stage(outputs=",
        "@stage(realizations=",
        'Run("train", pipeline, ',
        "from repx import Experiment",
    ]
    assert [any(one.startswith(start) for start in beginnings) for one in SNIPPETS] == [True] * len(beginnings)


def test_a_first_experiment_and_everything_that_is_done_with_it(reader: Reader) -> None:
    for wish in ("matplotlib", "pandas"):
        pytest.importorskip(wish, reason=f"optional: no {wish}")
    reader.write("experiment.py", SNIPPETS[0])
    first = commands_of("A first experiment")
    assert first[:2] == ["repx realize experiment.py", "repx run --lab ./result"]
    for line in first:
        reader.type(line)
    assert (reader.place / "plot.png").read_bytes().startswith(b"\x89PNG")
    for line in commands_of("Running"):
        reader.type(line.replace("RUN @GROUP STAGE JOB-PREFIX …", "sweep @all plotter").replace("train", "plotter"))
    for line in commands_of("Seeing"):
        for each in re.split(r" {2,}", line):
            for kind in ("runs", "jobs", "groups") if "|groups" in each else ("",):
                asked = each.replace("runs|jobs|groups", kind).replace("[-f] [--stderr|--trace]", "--stderr")
                reader.type(asked.replace("JOB NAME", "plotter plot >/dev/null").replace("JOB", "plotter"))
    frame, results = SNIPPETS[4].split("\n\n")[:2], SNIPPETS[4].split("\n\n")[2:]
    reader.write("look.py", "\n".join(frame) + "\nassert sorted(frame['slope']) == [2, 5]\n")
    reader.type("python3 look.py")
    train = """
from repx import Output, out, realize_many, stage
@stage
def train(model: Output = out("m.txt"), metrics: Output = out("m.json"), *, lr: float = 1.0):
    model.write_text(str(lr))
    metrics.write_text("[1]")
"""
    ending = "\nassert results[1].outputs['model'].read_text() == '0.0001'\n"
    reader.write("notebook.py", train + "\n".join(results) + ending)
    reader.type("python3 notebook.py")


def test_what_was_made_is_shared(reader: Reader) -> None:
    pytest.importorskip("matplotlib", reason="optional: no matplotlib")
    reader.write("experiment.py", SNIPPETS[0])
    reader.type("repx run experiment.py")
    for line in commands_of("Sharing"):
        reader.type(line.replace("../shared", "shared"))
    assert (reader.place / "plots" / "total" / "2.0" / "result.txt").is_file()


def test_selections(reader: Reader) -> None:
    reader.write(
        "experiment.py", "import repx\n" + PIECES + SNIPPETS[2] + '\nlab = repx.Lab(runs=[Run("work", work)])\n'
    )
    assert json.loads(reader.type("repx run experiment.py --json"))["failed"] == 0
    assert reader.type("repx show output compare o") == "3 models"


def test_results_are_checked_and_jobs_done_by_hand(reader: Reader) -> None:
    pytest.importorskip("matplotlib", reason="optional: no matplotlib")
    reader.write("experiment.py", SNIPPETS[0])
    reader.type("repx run experiment.py")
    lines = [line for line in commands_of("Checking") if "train" not in line]
    assert len(lines) == 4
    for line in lines:
        reader.type(line)
    assert reader.type("repx debug-run plotter -c 'run_job; ls'") == "plot.png\n"


def test_the_rest_in_one_piece(reader: Reader) -> None:
    reader.write("experiment.py", PIECES + SNIPPETS[1])
    reader.write("raw/a.csv", "1\n")
    reader.write("raw/b.csv", "2\n")
    assert json.loads(reader.type("repx run experiment.py --json"))["failed"] == 0
    assert "2 models, 0.75" in reader.type("repx show output 'folds[table=b.csv]' all")
    assert reader.type("repx show output report o").startswith("a.csv /")
    assert "deep.pt" in reader.type("repx show job 'fit[kind=deep]'")
    assert json.loads(reader.type("repx list jobs noisy --json"))


def test_sweeps_have_as_many_assignments_as_is_said(reader: Reader) -> None:
    (reader.place / "submissions" / "alice").mkdir(parents=True)
    (reader.place / "submissions" / "bob").mkdir()
    lines = ["runs = []"]
    for line in SNIPPETS[3].splitlines():
        code = line.split("  #")[0].strip()
        lines.append(f"runs += {code}" if code.startswith("[") else f"runs.append({code})")
    reader.write(
        "sweeps.py",
        """
import repx
from repx import Input, Output, Run, instantiate, Lab, out, stage
@stage
def train(o: Output = out("o"), *, seed: int = 0, model: str = "", lr: float = 0.0):
    o.write_text("")
@stage
def grade(submission: Input | None, o: Output = out("o")):
    o.write_text("")
def pipeline():
    train()
    grade()
"""
        + "\n".join(lines)
        + """
for run in runs:
    (one,) = instantiate(Lab([run])).runs
    counted = "grade" if run.name == "grade" else "train"
    print(run.name, len([job for job in one.jobs if job.stage.name == counted]))
""",
    )
    said = reader.type("python3 sweeps.py").splitlines()
    assert said == ["train 6", "train 2", "train 15", "grade 2", "rate-0.1 1", "rate-0.2 1"]

"""What upstreams do not agree on is nobody's value: told by the way it comes, found by each of its values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repx import Experiment
from repx.agent.base.files import remove_tree
from repx.errors import UsageError
from tests.cli.conftest import World

EXPERIMENT = """
from typing import Any
import repx
from repx import Input, Inputs, Lab, Output, Results, Run, out, stage

@stage
def gen(o: Output = out("o.txt"), *, v: Any = 0, name: str = "x,y"):
    o.write_text(str(v))

@stage
def train(o: Output = out("o.txt"), *, seed: int = 0, lr: float = 1.0):
    o.write_text("x")

@stage
def test(model: Input, o: Output = out("o.txt"), *, lr: float = 5.0):
    o.write_text("x")

@stage
def fan(parts: Inputs, o: Output = out("o.txt")):
    o.write_text("x")

@stage
def merge(left: Input, right: Input, o: Output = out("o.txt")):
    o.write_text("x")

@stage
def after(merged: Input, o: Output = out("o.txt")):
    o.write_text("x")

@stage
def take(data: Input, o: Output = out("o.txt")):
    o.write_text("x")

@stage
def values(sweep: Results, o: Output = out("o.txt")):
    import json
    asked = [1, 1.0, True, "1", 2.0, 3]
    o.write_text(json.dumps([[job.params["v"] for job in sweep.jobs("gen", v=one)] for one in asked]))

@stage
def merges(seeds: Results, o: Output = out("o.txt")):
    import json
    asked = [{"seed": 1}, {"seed": 3}, {"left.seed": 1}, {"right.seed": 1}]
    o.write_text(json.dumps([len(seeds.jobs("merge", **one)) for one in asked]))

def seeds():
    fan(parts=[train(seed=seed) for seed in (1, 2, 3)])
    for left, right in ((1, 2), (1, 3), (1, 1)):
        after(merged=merge(left=train(seed=left), right=train(seed=right)))

def dotted():
    test(model=train())

sweep = Run("sweep", gen, params={"v": [1, True, "1", 1.0, 2, 9007199254740993]})
merging = Run("seeds", seeds)
lab = Lab(runs=[
    sweep,
    merging,
    Run("dotted", dotted, params={"train.lr": [1, 2], "test.lr": [5, 6]}),
    Run("paths", lambda data: after(merged=take(data=data)), params={"data": repx.dirs("data")}),
    Run("values", values, after=[sweep]),
    Run("merges", merges, after=[merging]),
])
"""


@pytest.fixture(name="world", scope="module")
def a_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("inherited"))
    (made.directory / "experiment.py").write_text(EXPERIMENT)
    for name in ("alice", "bob"):
        (made.directory / "data" / name).mkdir(parents=True)
        (made.directory / "data" / name / "x").write_text(name)
    done = made.run("run", "experiment.py", "values", "merges")
    assert done.returncode == 0, done.stderr
    yield made
    remove_tree(str(made.directory))


@pytest.fixture(name="experiment")
def an_experiment(world: World) -> Experiment:
    return Experiment(world.lab, world.store)


def test_a_fan_in_has_no_value_of_its_own(experiment: Experiment) -> None:
    job = experiment.get_job("fan")
    assert job.effective_params == {"lr": 1.0}
    assert sorted(job.values("seed")) == [1, 2, 3]
    assert [len(experiment.jobs().filter(stage="fan", seed=seed)) for seed in (1, 2, 3, 4)] == [1, 1, 1, 0]


def test_two_inputs_that_disagree_are_told_apart(experiment: Experiment) -> None:
    merged = [one.effective_params for one in experiment.jobs().filter(stage="merge")]
    assert {"lr": 1.0, "left.seed": 1, "right.seed": 3} in merged
    assert {"lr": 1.0, "seed": 1} in merged
    asked: list[dict[str, Any]] = [{"seed": 1}, {"seed": 2}, {"left.seed": 1}, {"right.seed": 1}, {"seed__ne": 1}]
    assert [len(experiment.jobs().filter(stage="merge", **one)) for one in asked] == [3, 1, 3, 1, 0]
    assert [len(experiment.jobs().filter(stage="after", **one)) for one in asked[:2]] == [3, 1]


def test_an_axis_of_one_stage_is_kept_behind_another_with_that_param(experiment: Experiment) -> None:
    tests = experiment.jobs().filter(stage="test")
    pairs = sorted((job.effective_params["train.lr"], job.params["lr"]) for job in tests)
    assert pairs == [(1.0, 5.0), (1.0, 6.0), (2.0, 5.0), (2.0, 6.0)]
    asked: dict[str, Any] = {"train.lr": 2}
    assert len(experiment.jobs().filter(run="dotted", **asked)) == 3


def test_values_are_compared_by_identity(experiment: Experiment) -> None:
    gens = experiment.jobs().filter(stage="gen")
    found = [[job.params["v"] for job in gens.filter(v=one)] for one in (1, 1.0, True, "1", 2.0, 3)]
    assert json.dumps(found) == '[[1], [1.0], [true], ["1"], [2], []]'
    assert len(gens.filter(v__in=[1, "1"])) == 2
    assert len(gens.filter(v__ne=1)) == 5


def test_a_job_is_answered_as_an_analysis_is(world: World) -> None:
    assert world.see("show", "output", "values", "o").answer == [[1], [1.0], [True], ["1"], [2], []]
    assert world.see("show", "output", "values", "o").stdout == '[[1], [1.0], [true], ["1"], [2], []]'
    assert world.see("show", "output", "merges", "o").answer == [3, 1, 3, 1]


@pytest.mark.parametrize(
    ("typed", "values"),
    [("v=1", [1]), ("v=1.0", [1.0]), ('v="1"', ["1"]), ("v=true", [True]), ("v=9007199254740993", [9007199254740993])],
)
def test_the_command_line_compares_so_too(world: World, typed: str, values: list[Any]) -> None:
    listed = world.see("list", "jobs", "gen", "-w", typed, "--json").answer
    assert json.dumps([job["params"]["v"] for job in listed]) == json.dumps(values)
    (job,) = world.see("list", "jobs", f"gen[{typed},name=x,y]", "-q").stdout.split()
    assert job == listed[0]["id"]


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({"stage": "trian"}, "did you mean train"),
        ({"run": "sweeep"}, "did you mean sweep"),
        ({"status": "done"}, "valid"),
    ],
)
def test_a_name_that_nothing_has_is_refused(experiment: Experiment, conditions: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        experiment.jobs().filter(**conditions)


def test_paths_are_told_by_the_name_that_was_swept(world: World, experiment: Experiment) -> None:
    jobs = experiment.jobs().filter(run="paths")
    assert {job.effective_params["data"] for job in jobs} == {"alice", "bob"}
    assert set(jobs.to_dataframe()["data"]) == {"alice", "bob"}
    shown = world.see("show", "job", "after[data=bob]").stdout
    assert "data  bob  from" in shown
    assert "\ninherited" not in world.see("show", "job", "take[data=bob]").stdout


def test_integers_stay_integers_in_a_table(experiment: Experiment) -> None:
    table = experiment.jobs().filter(run="seeds").to_dataframe()
    assert str(table["seed"].dtype) == "Int64"
    assert str(table["left.seed"].dtype) == "Int64"
    values = experiment.jobs().filter(lambda job: job.stage in ("gen", "take")).to_dataframe()["v"]
    kept = [value for value in values if value is not None]
    assert json.dumps(sorted(kept, key=repr)) == json.dumps(sorted([1, True, "1", 1.0, 2, 9007199254740993], key=repr))
    assert values.isna().sum() == 2


def test_a_listing_goes_along_the_pipeline_and_shows_what_varies(world: World) -> None:
    listed = world.see("list", "jobs", "seeds")
    assert listed.stdout.split("\n")[0].split() == ["job", "status", "took", "seed", "left.seed", "right.seed"]
    stages = [row[0].split("-")[1] for row in listed.rows]
    assert stages == ["train"] * 3 + sorted(stages[3:], key=["fan", "merge", "after"].index)
    assert [row[-3] for row in listed.rows[:3]] == ["1", "2", "3"]


ARGUMENTS = """
import repx
from repx import Input, Lab, Output, Results, Run, out, stage

@stage
def data(d: Output = out("d.txt"), *, n: int = 1):
    d.write_text(str(n))

@stage
def large(d: Input, o: Output = out("o.txt")):
    o.write_text("large")

@stage
def small(d: Input, o: Output = out("o.txt")):
    o.write_text("small")

@stage
def score(o: Input, s: Output = out("s.txt"), *, rate: float = 1.0):
    s.write_text(o.read_text())

def simulate(model, depth=1, extra=None):
    made = data()
    score(o=(large if model == "large" else small)(d=made).o, rate=0.5 * depth)

@stage
def report(sweep: Results, o: Output = out("o.txt")):
    jobs = sweep.jobs("score", model="large", extra={"a": [1]})
    lines = [f"{job.params['model']} {job.params['depth']} {job.outputs['s'].read_text()}" for job in jobs]
    o.write_text("\\n".join(lines))

params = {"model": ["large", "small"], "depth": [1, 2], "extra": [{"a": [1]}], "data.n": [7, 8]}
sweep = Run("sweep", simulate, params=params)
lab = Lab(runs=[sweep, Run("report", report, after=[sweep])])
"""


def test_what_only_the_pipeline_takes_tells_its_jobs_apart(tmp_path: Path) -> None:
    world = World(tmp_path)
    (tmp_path / "experiment.py").write_text(ARGUMENTS)
    done = world.run("run", "experiment.py")
    assert done.returncode == 0, done.stderr
    experiment = Experiment(world.lab, world.store)
    asked: dict[str, Any] = {"model": "large", "depth": 2, "data.n": 8}
    scores = experiment.jobs().filter(stage="score", **asked)
    assert [job.effective_params for job in scores] == [
        {"n": 8, "model": "large", "depth": 2, "extra": {"a": [1]}, "rate": 1.0}
    ]
    # One job for all of them has none as its own; what it shares with no other, it has.
    data = [job.effective_params for job in experiment.jobs().filter(stage="data")]
    assert sorted(data, key=str) == [{"extra": {"a": [1]}, "n": 7}, {"extra": {"a": [1]}, "n": 8}]
    assert [job.effective_params["model"] for job in experiment.jobs().filter(stage="large")] == ["large", "large"]
    (report,) = experiment.jobs().filter(stage="report")
    assert sorted(report.outputs["o"].read_text().splitlines()) == [*["large 1 large"] * 2, *["large 2 large"] * 2]
    listed = world.see("list", "jobs", "score", "-w", "model=small", "-p", "model", "-p", "depth").stdout.split()
    assert listed[-2:] == ["small", "2"]
    assert "pipeline   " in world.see("show", "job", "score[model=small,depth=1,data.n=7]").stdout
    assert "did you mean model?" in world.see("list", "jobs", "-w", "modl=small").stderr


def test_a_swept_argument_is_in_no_id(tmp_path: Path) -> None:
    world = World(tmp_path)
    found = []
    for names in ('["large"]', '["large", "small"]'):
        (tmp_path / "experiment.py").write_text(ARGUMENTS.replace('["large", "small"]', names))
        found.append(json.loads(world.run("run", "experiment.py", "sweep", "--json").stdout)["found"])
    assert found == [0, 2 + 2 + 4]

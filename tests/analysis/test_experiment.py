"""Experiment, its jobs and tables, on a Lab that was run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repx import Experiment
from repx.analysis.jobs import JobCollection, JobView
from repx.errors import LabError, UsageError
from tests.cli.conftest import World


def test_a_collection_is_a_sequence(experiment: Experiment) -> None:
    jobs = experiment.jobs()
    assert len(jobs) == len(list(jobs)) == 16
    assert jobs[0] == next(iter(jobs))
    assert jobs[-1] == list(jobs)[-1]
    assert isinstance(jobs[2:4], JobCollection)
    assert list(jobs[2:4]) == list(jobs)[2:4]
    assert jobs[3] in jobs
    assert repr(jobs) == "<JobCollection of 16 jobs>"
    with pytest.raises(IndexError):
        jobs[16]


def test_a_job_knows_its_recipe(experiment: Experiment) -> None:
    job = experiment.get_job("double[seed=3]")
    assert (job.stage, job.version, job.name, job.run, job.status) == ("double", "1", "double-1", "sweep", "succeeded")
    assert job.params == {"factor": 2}
    assert job.effective_params == {"seed": 3, "label": "a\nb", "factor": 2}
    assert [one.stage for one in job.dependencies] == ["make"]
    assert experiment.get_job(job.id[:8]) == job
    assert set(experiment.get_job("make[seed=1]").runs) == {"sweep", "scatter"}
    assert repr(job).startswith(f"<JobView {job.id} ")


def test_a_job_gives_its_files(experiment: Experiment) -> None:
    job = experiment.get_job("double[seed=3]")
    assert job.load_csv("table").to_dict("list") == {"n": [3], "m": [6]}
    assert job.load_csv("sub/table.csv", header=None).shape == (2, 2)
    assert job.load_text("undeclared.txt") == "more\n"
    assert experiment.get_job("fragile[seed=1]").load_json("result") == [1]
    assert set(job.outputs) == {"table", "extra"}
    assert job.path("extra").is_dir()
    assert experiment.get_job("noisy").path("noise", index=1).parent.parent.name.startswith("1-")


def test_a_job_gives_its_log(experiment: Experiment) -> None:
    assert experiment.get_job("make[seed=1]").log().splitlines()[0] == "line 1 of 1"
    assert "two is too much" in experiment.get_job("fragile[seed=2]").log(stderr=True, attempt=1)
    with pytest.raises(UsageError, match="has 1 attempts, not 2"):
        experiment.get_job("make[seed=1]").log(attempt=2)


def test_without_a_result_there_are_no_files(experiment: Experiment) -> None:
    with pytest.raises(UsageError, match="no result for today's inputs"):
        experiment.get_job("fragile[seed=2]").path("result")
    with pytest.raises(UsageError, match="did you mean table"):
        experiment.get_job("double[seed=1]").path("tables")


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        ({"seed": 1}, 5),
        ({"seed": 1.0, "stage": "double"}, 1),
        ({"seed": True}, 0),
        ({"seed": "1"}, 0),
        ({"seed__in": [1, 2]}, 9),
        ({"seed__gt": 1, "stage__startswith": "frag"}, 2),
        ({"seed__ge": 1, "seed__lt": 3, "stage": "make"}, 2),
        ({"seed__ne": 1, "stage": "make"}, 2),
        ({"seed__le": 0}, 0),
        ({"name__contains": "fragile"}, 6),
        ({"id__endswith": "-noisy-1"}, 1),
        ({"stage__regex": "^(make|noisy)$"}, 4),
        ({"run": "scatter"}, 2),
        ({"status": "failed"}, 1),
        ({"status__in": ["failed", "blocked"]}, 3),
        ({"label": "a\nb", "factor": 2}, 3),
    ],
)
def test_filters_ask_params_then_attributes(experiment: Experiment, conditions: dict[str, Any], count: int) -> None:
    assert len(experiment.jobs().filter(**conditions)) == count


def test_filters_take_a_predicate_and_follow_each_other(experiment: Experiment) -> None:
    makes = experiment.jobs().filter(lambda job: job.stage == "make")
    assert [job.params["seed"] for job in makes.filter(seed__gt=2)] == [3]


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({"sead": 1}, "did you mean seed"),
        ({"sead__gt": 1}, "did you mean seed"),
        ({"seed__gte": 1}, "did you mean ge or gt"),
        ({"seed__": 1}, "no operator"),
        ({"seed__in": 3}, "not a list of values"),
        ({"stage__in": "make"}, "not a list of values"),
        ({"stage__regex": "("}, "not a regular expression"),
        ({"label__gt": 1}, "cannot be compared"),
        ({"seed__gt": True}, "cannot be compared"),
    ],
)
def test_filters_refuse_what_nobody_can_mean(experiment: Experiment, conditions: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        experiment.jobs().filter(**conditions)


def test_tables_have_params_as_columns(experiment: Experiment) -> None:
    table = experiment.jobs().filter(stage="double").to_dataframe(outputs=True)
    assert list(table.columns[:4]) == ["job_id", "stage", "run", "status"]
    assert sorted(table["seed"]) == [1, 2, 3]
    assert all(Path(path).is_file() for path in table["output.table"])
    assert list(experiment.jobs().filter(seed=99).to_dataframe().columns) == ["job_id", "stage", "run", "status"]


def test_a_param_named_like_a_column_keeps_out_of_its_way(tmp_path: Path) -> None:
    world = World(tmp_path)
    (tmp_path / "experiment.py").write_text(
        "from repx import Lab, Output, Run, bash, out\n\n@bash\n"
        'def make(data: Output = out("d"), *, run: str, stage: int):\n    return \'echo "$run" > "$data"\'\n\n'
        'lab = Lab(runs=[Run("only", make, params={"run": ["x", "y"], "stage": [1]})])\n'
    )
    assert world.run("realize", "experiment.py").returncode == 0
    experiment = Experiment(world.lab, world.store)
    table = experiment.jobs().to_dataframe()
    assert set(table["run"]) == {"only"}
    assert set(table["stage"]) == {"make"}
    assert set(table["param.run"]) == {"x", "y"}
    assert set(table["param.stage"]) == {1}
    assert len(experiment.jobs().filter(run="x")) == 1


def test_runs_by_name(experiment: Experiment) -> None:
    runs = experiment.runs()
    assert set(runs) == {"sweep", "scatter", "strict", "lenient", "repeat"}
    assert runs["lenient"].after == {"sweep": "soft"}
    assert len(runs["sweep"].jobs()) == 12


def test_get_job_names_the_candidates(experiment: Experiment) -> None:
    with pytest.raises(UsageError, match="seed=1"):
        experiment.get_job("make")
    with pytest.raises(UsageError, match="did you mean make"):
        experiment.get_job("maek")


def test_a_place_without_a_lab_is_said(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no Lab at"):
        Experiment(tmp_path / "result")


def test_jobs_are_values(experiment: Experiment) -> None:
    assert len({*experiment.jobs(), *experiment.jobs()}) == 16
    assert isinstance(experiment.jobs()[0], JobView)

"""`repx export`: outputs under names that people read; for two under one name, what would tell them apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.world import World

EXPERIMENT = """
@bash
def fit(model_file: Output = out("deep/model.tar.gz"), log: Output = out("log"), plots: Output = out("plots"), *,
        model: str, seed: int = 0, lr: float = 0.5):
    return '''
        echo "$model $seed" > "$model_file"; echo x > "$log"; mkdir "$plots"; echo p > "$plots/a.svg"; chmod +x "$log"
        ln -s ../deep/model.tar.gz "$plots/outside"; ln -s a.svg "$plots/inside"
    '''

@bash
def score(model_file: Input, result: Output = out("score.txt")):
    return '''cat "$model_file" > "$result"'''

@bash(realizations=2)
def noisy(noise: Output = out("noise.txt"), *, index: int = 0):
    return '''echo "$index" > "$noise"'''

@bash
def broken(never: Output = out("never.txt"), *, seed: int = 0):
    return '''[ "$seed" = 1 ] && echo x > "$never"'''

def work():
    score(model_file=fit().model_file)

train = Run("train", work, params={"model": ["a/b", "c"], "seed": [1, 2]})
lab = Lab(runs=[train, Run("noise", noisy), Run("broken", broken, params={"seed": [1, 2]})], version="3")
"""


@pytest.fixture(name="world", scope="module")
def a_world_with_results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One that all tests look at; each exports to a place of its own."""
    world = World(tmp_path_factory.mktemp("world"))
    world.realize(EXPERIMENT)
    assert world.run("--continue-on-failure").status == 1
    yield world
    world.tidy()


def exported(world: World, place: Path, *argv: str) -> dict[str, str]:
    """What an export has made: each file with its text, each link with where it leads."""
    done = world.repx("export", *argv, str(place))
    assert done.status == 0, done.stderr
    found = {}
    for path in sorted(place.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(place))] = f"-> {path.readlink()}"
        elif path.is_file():
            found[str(path.relative_to(place))] = path.read_text()
    return found


def test_a_layout_says_how_everything_is_called(world: World, tmp_path: Path) -> None:
    found = exported(world, tmp_path, "fit", "--layout", "{stage}/{model}-{seed:03d}/{output}", "--output", "log")
    assert found == {f"fit/{model}-00{seed}/log": "x\n" for model in ("a_b", "c") for seed in (1, 2)}
    assert (tmp_path / "fit/c-001/log").stat().st_mode & 0o777 == 0o755, "a copy is its owner's"


def test_an_output_has_its_name_and_the_ending_of_its_file(world: World, tmp_path: Path) -> None:
    found = exported(world, tmp_path, "fit[model=c,seed=1]", "--layout", "{output}")
    assert found == {
        "log": "x\n",
        "model_file.tar.gz": "c 1\n",
        "plots/a.svg": "p\n",
        "plots/inside": "-> a.svg",
        "plots/outside": "c 1\n",
    }


def test_without_a_layout_jobs_are_told_apart_by_what_differs(world: World, tmp_path: Path) -> None:
    found = exported(world, tmp_path, "score", "noise")
    assert sorted(found) == [
        "noisy/0/noise.txt",
        "noisy/1/noise.txt",
        *(f"score/model={model},seed={seed}/result.txt" for model in ("a_b", "c") for seed in (1, 2)),
    ]


def test_what_is_inherited_is_a_field_too(world: World, tmp_path: Path) -> None:
    found = exported(world, tmp_path, "score", "--layout", "{run}-{version}-{lr}/{seed}{model}.{file}")
    assert found["train-1-0.5/1c.score.txt"] == "c 1\n"
    assert len(found) == 4


def test_links_lead_into_the_store(world: World, tmp_path: Path) -> None:
    found = exported(world, tmp_path, "score", "--layout", "{model}{seed}", "--link")
    assert all(text.startswith(f"-> {world.store}/outputs/") for text in found.values())
    assert (tmp_path / "c2").read_text() == "c 2\n"


def test_a_second_export_changes_nothing_and_one_of_something_else_is_refused(world: World, tmp_path: Path) -> None:
    argv = ("score", "--layout", "{model}{seed}")
    first = exported(world, tmp_path, *argv)
    again = world.repx("export", *argv, str(tmp_path))
    assert "4 outputs, 4 of them there already" in again.stdout
    (tmp_path / "c2").write_text("mine\n")
    (tmp_path / "c1").unlink()
    refused = world.repx("export", *argv, str(tmp_path))
    assert (refused.status, "under 1 of the names" in refused.stderr, "c2" in refused.stderr) == (2, True, True)
    assert not (tmp_path / "c1").exists(), "nothing is half done"
    assert exported(world, tmp_path, *argv, "--replace") == first


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["score", "--layout", "{model}/{output}"], ["2 outputs would be called", "{seed}"]),
        (["score", "--layout", "{stage}.txt"], ["4 outputs would be called score.txt", "{model}, {seed}"]),
        (
            ["fit", "score", "--output", "log", "--output", "result", "--layout", "{seed}{model}"],
            ["{output}", "{stage}"],
        ),
        (["noise", "--layout", "{output}"], ["2 outputs would be called noise.txt", "{index}"]),
        (["fit[model=c,seed=1]", "--layout", "{model}"], ["3 outputs would be called c", "{output}"]),
        (["score", "--layout", "x{model}/{seed}", "--layout", "{stage}/{sed}"], ["{sed}", "did you mean seed"]),
        (["score", "noise", "--layout", "{model}"], ["not every job has one value of model", "noisy"]),
        (["score", "--layout", "{seed"], ["cannot be read"]),
        (["score", "--layout", "{seed:zz}"], ["cannot write seed = "]),
        (["score", "--layout", "all"], ["has no field"]),
        (["score", "--layout", "/abs/{seed}"], ["leads out of the directory"]),
        (["score", "--layout", "{seed}/../{model}"], ["leads out of the directory"]),
        (["score", "--layout", "{seed}/." * 2], ["cannot be a name"]),
        (["score", "--output", "nothing"], ["there is no output 'nothing'", "result"]),
        (["nothing"], ["there is no run, group, stage or job 'nothing'"]),
        (["broken[seed=2]"], ["there is nothing to export: 1 job without a result"]),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    world: World, tmp_path: Path, argv: list[str], said: list[str]
) -> None:
    done = world.repx("export", *argv, str(tmp_path / "out"))
    assert done.status == 2
    assert all(text in done.stderr for text in said), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_name_inside_another_is_refused(world: World, tmp_path: Path) -> None:
    # The score has no index, so its name is 1/1, and that of a realization of the other 1/1/1.
    layout = ("--layout", "{version}/{index}/{version}")
    done = world.repx("export", "noise", "score[model=c,seed=1]", str(tmp_path), *layout)
    assert (done.status, "would be called 1/1" in done.stderr) == (2, True), done.stderr


def test_jobs_without_a_result_are_counted(world: World, tmp_path: Path) -> None:
    done = world.repx("export", "broken", str(tmp_path))
    assert done.stdout.splitlines() == [f"{tmp_path}: 1 output", "  1 job without a result"]

"""Commands that name nothing, or what cannot be: the nearest is named, exit status 2, and nothing is written."""

from __future__ import annotations

import re

import pytest

from tests.cli.test_bad_experiments import shown
from tests.golden_texts import Golden, golden_fixture
from tests.runtime.world import World, a_world, tree

__all__ = ["a_world", "golden_fixture"]

EXPERIMENT = '''
@bash
def generator(data: Output = out("data.txt"), *, slope: float = 1.0):
    return """echo "$slope" > "$data" """

@bash
def total(data: Input, result: Output = out("sum.txt")):
    return """cp "$data" "$result" """

def simulate():
    total(generator())

sweep = Run("sweep", simulate, params={"slope": [1, 2, 5]})
lab = Lab(runs=[sweep], groups={"all": [sweep]})
'''

COMMANDS: dict[str, list[str]] = {
    "command": ["rnu"],
    "command_far_from_any": ["qqq"],
    "run_option": ["run", "--dryrun"],
    "run_option_value": ["run", "-j", "0"],
    "run_option_value_text": ["run", "-j", "many"],
    "run_option_memory": ["run", "--mem", "lots"],
    "run_option_without_value": ["run", "--lab"],
    "run_names_no_run": ["run", "swep"],
    "run_names_no_group": ["run", "@everything"],
    "run_names_no_stage": ["run", "totl"],
    "run_names_no_job": ["run", "0000000"],
    "run_names_no_value": ["run", "generator[slope=3]"],
    "run_names_no_param": ["run", "generator[slop=1]"],
    "run_names_nothing": ["run", ""],
    "run_no_file": ["run", "experimnt.py"],
    "run_a_directory": ["run", "folder.py"],
    "run_two_experiments": ["run", "experiment.py", "other.py"],
    "run_experiment_and_lab": ["run", "experiment.py", "--lab", "result"],
    "run_lab_missing": ["run", "--lab", "reslt"],
    "run_lab_is_a_file": ["run", "--lab", "experiment.py"],
    "run_lab_is_a_folder": ["run", "--lab", "folder.py"],
    "run_empty_store": ["run", "--store", ""],
    "run_store_is_a_file": ["run", "--store", "experiment.py"],
    "realize_nothing": ["realize"],
    "realize_no_file": ["realize", "missing.py"],
    "realize_no_folder": ["realize", "missing/experiment.py"],
    "realize_a_directory": ["realize", "folder.py"],
    "realize_the_directory": ["realize", "."],
    "realize_no_python": ["realize", "notes.txt"],
    "realize_no_run": ["realize", "experiment.py", "--run", "swep"],
    "realize_onto_a_directory": ["realize", "experiment.py", "-o", "folder.py"],
    "realize_onto_a_file": ["realize", "experiment.py", "-o", "notes.txt"],
    "realize_below_a_file": ["realize", "experiment.py", "-o", "notes.txt/result"],
    "realize_two": ["realize", "experiment.py", "other.py"],
    "list_jobs_of_no_run": ["list", "jobs", "swep"],
    "list_no_such_thing": ["list", "job"],
    "list_no_param": ["list", "jobs", "-p", "slop"],
    "show_no_job": ["show", "job", "totl"],
    "show_several_jobs": ["show", "job", "total"],
    "show_no_output": ["show", "output", "total[slope=1.0]", "resul"],
    "log_no_job": ["log", "totl"],
    "log_of_several": ["log", "total"],
}


@pytest.mark.parametrize("case", COMMANDS)
def test_what_names_nothing_is_told_with_the_nearest(case: str, world: World, golden: Golden) -> None:
    world.realize(EXPERIMENT)
    (world.root / "folder.py").mkdir()
    (world.root / "notes.txt").write_text("no Python\n")
    before = files_of(world)
    done = world.repx(*COMMANDS[case])
    assert done.status == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    golden(
        f"errors/commands/{case}.txt",
        re.sub(r"repx run [0-9a-z]{12}$", "repx run <id>", shown(done.stderr, world), flags=re.MULTILINE),
    )
    assert files_of(world) == before


def test_without_a_lab_the_answer_is_how_to_make_one(world: World, golden: Golden) -> None:
    for command in (["run"], ["list", "jobs"], ["status"]):
        done = world.repx(*command)
        assert (done.status, done.stdout) == (2, ""), done.stderr
        golden("errors/commands/no_result.txt", shown(done.stderr, world))
    assert files_of(world) == {}


def files_of(world: World) -> dict[str, tuple[int, int, float]]:
    """The user's folder and the store, without what the test keeps there; objects may be kept for the next attempt."""
    return {
        path: looks
        for path, looks in tree(world.root).items()
        if not path.startswith(("answers", "diary", "store/verified"))
    }

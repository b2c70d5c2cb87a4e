"""Examples changed as their READMEs say: what is run again, and what is chosen then; imports nothing of repx."""

from __future__ import annotations

import re
from pathlib import Path

from tests.test_examples import Example, commands_of

HEAD = ("repx realize experiment.py", "repx run --lab ./result")


def changed(name: str, place: Path, section: str) -> tuple[Example, list[str]]:
    """An example that has been run, and what each command of a section of its README then printed."""
    example = Example(name, place)
    for line in commands_of(name):
        example.line(line)
    return example, [example.line(line) for line in commands_of(name, section)]


def last_line(said: str) -> str:
    return said.splitlines()[-1]


def test_more_trainings_are_trained_beside_those_that_are_there(tmp_path: Path) -> None:
    _, said = changed("ten-trainings", tmp_path, "Two more")
    assert last_line(said[1]) == "3 jobs ran, 11 were done"
    assert len(set(said[2].splitlines()[1:])) == 12


def test_another_choice_runs_who_takes_it_and_the_old_one_runs_nothing(tmp_path: Path) -> None:
    _, said = changed("quickstart", tmp_path, "Another choice")
    assert last_line(said[1]) == "1 job ran, 4 were done"
    assert last_line(said[3]) == "all 5 jobs are done; nothing to run"


def test_two_people_run_what_neither_has_run(tmp_path: Path) -> None:
    _, said = changed("quickstart", tmp_path, "Two people")
    assert last_line(said[2]) == "all 5 jobs are done; nothing to run"
    assert last_line(said[4]) == "2 jobs ran, 5 were done"
    assert said[6].startswith("pulled 2 results ")
    assert last_line(said[7]) == "all 7 jobs are done; nothing to run"


def test_a_second_training_is_kept_beside_the_first_and_the_more_accurate_is_shown(tmp_path: Path) -> None:
    example, said = changed("mnist", tmp_path, "A second training")
    assert last_line(said[1]) == "2 jobs ran, 2 were done"
    accuracies = [float(example.line(f"repx show output train accuracy --index {index}")) for index in (0, 1)]
    assert accuracies[1] > accuracies[0]
    assert "model: realization 1\n" in said[2]
    assert re.search(r"/1-\w+/out/accuracy.txt$", said[3], re.MULTILINE)
    assert said[4].splitlines() == ["1 job ran, 4 were done", "  added: realization 2 of train"]


def test_a_late_section_runs_alone_and_an_early_one_spares_those_that_get_the_same_values(tmp_path: Path) -> None:
    _, said = changed("mdrun", tmp_path, "Edit it")
    assert last_line(said[1]) == "2 jobs ran, 2 were done"
    assert "5 came next; the mean was 3.5\n" in said[2]
    assert last_line(said[4]) == "2 jobs ran, 1 took the result of another that had the same inputs, 1 was done"


def test_a_value_that_no_section_can_hand_on_is_an_error_of_its_section(tmp_path: Path) -> None:
    example = Example("mdrun", tmp_path)
    with (example.folder / "document.md").open("a") as document:
        document.write("\n```python\nnumbers = (number for number in throws)\n```\n")
    example.line(HEAD[0])
    said = example.line("repx run -k || test $? = 1")
    assert last_line(said.partition("  failed")[0]) == "3 jobs ran, 1 failed, 1 blocked"
    assert "cannot pickle 'generator' object" in said


def test_what_was_made_by_hand_stays_with_the_script_that_it_was_made_for(tmp_path: Path) -> None:
    _, said = changed("repl", tmp_path, "Mend it")
    assert last_line(said[1]) == "2 jobs ran"
    assert said[2].startswith("1.414214: loss ")

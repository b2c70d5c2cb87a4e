"""Runs and Labs: their names, what comes after what, groups, cycles, and which file holds which Lab."""

from __future__ import annotations

import pytest

from repx.errors import DefinitionError
from tests.experiments import Experiments, counts, experiments_fixture, ids

__all__ = ["experiments_fixture"]

STAGES = """
@bash
def make(data: Output = out("data.txt"), *, n: int = 1):
    return 'echo "$n" > "$data"'
@bash
def other(data: Output = out("data.txt"), *, n: int = 1):
    return 'echo "$n$n" > "$data"'
"""


def test_runs_come_in_the_order_of_their_dependencies(experiments: Experiments) -> None:
    lab = experiments.lab(
        STAGES
        + """
d = Run("d", make)
b = Run("b", make, after=[d])
c = Run("c", make, after=soft(d))
a = Run("a", make, after=[b, soft(c), hard(d)])
lab = Lab([a, b, c, d])
"""
    )
    assert [run.name for run in lab.ordered_runs] == ["d", "b", "c", "a"]
    assert [(after.run.name, after.kind) for after in lab.runs[0].after] == [
        ("b", "hard"),
        ("c", "soft"),
        ("d", "hard"),
    ]


def test_a_graph_does_not_depend_on_the_order_of_declaration(experiments: Experiments) -> None:
    runs = STAGES + 'b = Run("b", make)\na = Run("a", other)\n'
    one = experiments.graph(runs + "lab = Lab([a, b], groups={'x': [a], 'y': [b, a]})")
    two = experiments.graph(runs + "lab = Lab([b, a], groups={'y': [b, a], 'x': a})")
    assert [run.name for run in one.runs] == [run.name for run in two.runs] == ["a", "b"]
    assert one.groups == two.groups == (("x", ("a",)), ("y", ("b", "a")))


def test_several_pipelines_are_one_run(experiments: Experiments) -> None:
    text = STAGES + "lab = Lab([Run('run', pipelines=[make, other], params={'n': [1, 2]})])"
    assert counts(experiments.graph(text)) == {"make": 2, "other": 2}
    both = STAGES + "lab = Lab([Run('run', make, pipelines=[other, make], params={'n': [1, 2]})])"
    assert ids(experiments.graph(both)) == ids(experiments.graph(text))


def test_jobs_of_two_runs_are_shared(experiments: Experiments) -> None:
    text = STAGES + "lab = Lab([Run('a', make, params={'n': [1, 2]}), Run('b', make, params={'n': [2, 3]})])"
    graph = experiments.graph(text)
    assert counts(graph) == {"make": 3}
    assert [len(run.jobs) for run in graph.runs] == [2, 2]


def test_one_run_can_be_sliced_out_with_what_it_comes_after(experiments: Experiments) -> None:
    graph = experiments.graph(
        STAGES
        + """
a = Run("a", make)
b = Run("b", other, after=[a])
c = Run("c", make, params={"n": [5]})
lab = Lab([a, b, c], groups={"ab": [a, b], "bc": [b, c], "c_only": [c]})
"""
    )
    sliced = graph.sliced("b")
    assert [run.name for run in sliced.runs] == ["a", "b"]
    assert sliced.groups == (("ab", ("a", "b")), ("bc", ("b",)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("lab = Lab([Run('a', make), Run('a', other)])", "two runs are called 'a'"),
        ("lab = Lab([Run('a', make)], groups={'a': []})", "group 'a' is called like a run"),
        ("lab = Lab([Run('a', make)], groups={'g': ['a']})", "group 'g' contains 'a', not a run"),
        ("lab = Lab([Run('a', make)], groups={'g': [Run('b', make)]})", "contains run 'b', which is not in this Lab"),
        ("lab = Lab([Run('a', make)], groups={'g/h': []})", "group 'g/h' cannot be part of a file name"),
        ("lab = Lab([])", "the Lab has no runs"),
        ("lab = Lab([make])", "runs was given <stage make>, not a run"),
        ("lab = Lab([Run('a', make)], version=1)", "the Lab's version is 1, not a text"),
        ("lab = Lab([Run('a', make)], packages=['jq'])", "the Lab's packages are ['jq']"),
        ("lab = Lab([Run('a', make)], container='docker')", "container is 'docker'"),
        ("lab = Lab([Run('a', make, container='docker')])", "container is 'docker'"),
        ("lab = Lab([Run('a', make)], container='unified')", "an image needs a closure"),
        ("lab = Lab([Run('a', make, after=[Run('b', make)])])", "comes after run 'b', which is not in this Lab"),
        ("lab = Lab([Run('a', make, after=[make])])", "after was given <stage make>, not a run"),
        ("lab = Lab([Run('a', make, after=['b'])])", "after was given 'b', not a run"),
        ("lab = Lab([Run('a/b', make)])", "run 'a/b' cannot be part of a file name"),
        ("lab = Lab([Run(1, make)])", "run 1 cannot be part of a file name"),
        ("lab = Lab([Run('a')])", "run 'a' has no pipeline"),
        ("lab = Lab([Run('a', make())])", "run 'a' was given the result of stage 'make', not a pipeline"),
        ("lab = Lab([Run('a', 'make')])", "the pipeline of run 'a' is 'make', not a function"),
        ("lab = Lab([Run('a', make, hash_mode='impure')])", "hash_mode of run 'a' is 'impure'"),
        ("lab = Lab([Run('a', make, params={'n': []})])", "axis 'n': has no values"),
        ("lab = Lab([Run('a', make, params=3)])", "3 is neither a mapping of names to lists nor a sweep"),
    ],
)
def test_what_a_lab_cannot_be(experiments: Experiments, text: str, reason: str) -> None:
    told = experiments.error(STAGES + text)
    assert reason in told
    assert "experiment.py:8" in told


def test_a_cycle_is_named_in_full(experiments: Experiments) -> None:
    text = experiments.error(
        STAGES
        + """
a = Run("a", make)
b = Run("b", make, after=[a])
c = Run("c", make, after=[b])
a.after = hard(c),
lab = Lab([a, b, c])
"""
    )
    assert "the runs come after each other in a circle: a → c → b → a" in text
    assert "experiment.py:9" in text


def test_two_runs_of_one_name_are_both_told(experiments: Experiments) -> None:
    assert experiments.error(STAGES + "\na = Run('a', make)\nlab = Lab([a, Run('a', other)])") == (
        "error: two runs are called 'a'\n  at         experiment.py:10\n  the other  experiment.py:9"
    )


def test_the_nearest_run_is_told(experiments: Experiments) -> None:
    text = STAGES + "lab = Lab([Run('train', make)], groups={'g': [Run('trains', make)]})"
    assert "did you mean train?" in experiments.error(text)


@pytest.mark.parametrize(
    ("text", "reason", "place"),
    [
        ("", "experiment.py defines no Lab", ":1"),
        ("\na = Lab([Run('a', make)])\nb = Lab([Run('b', make)])", "experiment.py defines 2 Labs", ""),
        ("\n\nraise SystemExit(3)", "experiment.py ended the program: SystemExit(3)", ""),
        ("\n\n1 / 0", "experiment.py failed: ZeroDivisionError: division by zero", ":10"),
        ("\n\nimport nowhere", "experiment.py failed: ModuleNotFoundError: No module named 'nowhere'", ":10"),
        ("\n\ndef f(:", "experiment.py is not valid Python", ":10"),
        ("\n\nimport helper", "experiment.py failed: KeyError: 1", "helper.py:2"),
    ],
)
def test_a_file_that_is_no_experiment(experiments: Experiments, text: str, reason: str, place: str) -> None:
    told = experiments.error(STAGES + text, {"helper.py": "\n{}[1]\n"})
    assert reason in told
    assert place in told


def test_a_lab_of_two_names_is_one(experiments: Experiments) -> None:
    assert experiments.lab(STAGES + "lab = Lab([Run('a', make)])\nsame = lab").version == "0"


def test_a_missing_file_names_those_that_are_there(experiments: Experiments) -> None:
    from repx.dsl.load import load_experiment

    experiments.write({"experiment.py": "", "other.py": ""})
    with pytest.raises(DefinitionError) as caught:
        load_experiment(str(experiments.folder / "experimnt.py"))
    assert "experiment.py" in caught.value.hint
    with pytest.raises(DefinitionError, match="is a directory"):
        load_experiment(str(experiments.folder))

"""Selectors where they are written: what they refuse, and what of them is in an id."""

from __future__ import annotations

import pytest

from tests.experiments import Experiments, experiments_fixture

__all__ = ["experiments_fixture"]

EXPERIMENT = """
from repx import best, every, exact, first, latest
@stage(realizations=3)
def train(model: Output = out("m.txt"), acc: Output = out("a.txt")):
    model.write_text(""); acc.write_text("1")
@stage
def plain(model: Output = out("m.txt")):
    model.write_text("")
@stage
def use(model: Input, r: Output = out("r.txt")):
    r.write_text(model.read_text())
@stage
def collect(models: Inputs, r: Output = out("r.txt")):
    r.write_text("")
def work():
    CALLS
lab = Lab([Run("r", work)])
"""


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ("use(train())", "takes from 'train', which has 3 realizations, and does not say which"),
        ("use(model=train().model)", "say latest(…), first(…), first(…, 3), every(…)"),
        ("collect(models=[train().model])", "does not say which"),
        ("use(latest(plain()))", "'plain', which has one realization"),
        ("use(model=latest(train().model))", "latest(…) was given <output model of train>"),
        ("use(model=every(train()).model)", "takes one path and was given a list: every"),
        ("use(first(train(), 2))", "takes one path and was given a list: first 2"),
        ("use(model=exact(train(), [1]).model)", "annotate it as model: Inputs"),
        ("collect(models=first(train(), 4).model)", "asks for realization 3 of stage 'train', which has 3: 0 to 2"),
        ("collect(models=exact(train(), [0, 3]).model)", "write realizations=4"),
        ("use(exact(train(), -1))", "different numbers from 0 on"),
        ("collect(models=exact(train(), [1, 1]).model)", "different numbers from 0 on"),
        ("use(first(train(), 0))", "a number ≥ 1"),
        ("use(best(train()))", 'such as best(node, largest="accuracy")'),
        ('use(best(train(), largest="acc", smallest="acc"))', "needs an output to go by"),
        ('use(best(train(), largest="ac"))', "acc"),
        ("[use(one) for one in every(train())]", "cannot be gone through"),
        ("latest(train()).nothing", "no output 'nothing'"),
        ('if latest(train()) == "x": use(plain())', "cannot be compared"),
    ],
)
def test_a_selector_that_cannot_be_meant_is_refused(experiments: Experiments, calls: str, words: str) -> None:
    told = experiments.error(EXPERIMENT.replace("CALLS", calls))
    assert words in told
    assert "experiment.py:" in told


def consumer(experiments: Experiments, calls: str, count: int = 3) -> str:
    text = EXPERIMENT.replace("CALLS", calls).replace("realizations=3", f"realizations={count}")
    return next(str(job.id) for job in experiments.graph(text).jobs() if job.stage.name != "train")


def test_the_selector_is_in_the_id_and_the_number_of_realizations_is_not(experiments: Experiments) -> None:
    calls = [
        "use(latest(train()))",
        "use(first(train()))",
        "use(exact(train(), 0))",
        'use(model=best(train(), largest="acc").model)',
        'use(model=best(train(), smallest="acc").model)',
        "collect(models=every(train()).model)",
        "collect(models=first(train()).model)",
        "collect(models=first(train(), 1).model)",
        "collect(models=first(train(), 2).model)",
        "collect(models=exact(train(), [0, 1]).model)",
        "collect(models=exact(train(), [1, 0]).model)",
    ]
    ids = [consumer(experiments, one) for one in calls]
    assert len(set(ids)) == len(calls)
    assert [consumer(experiments, one, count=7) for one in calls] == ids


def test_a_stage_says_how_many_it_has_before_it_has_several(experiments: Experiments) -> None:
    assert consumer(experiments, "use(latest(train()))", count=1) == consumer(experiments, "use(latest(train()))")

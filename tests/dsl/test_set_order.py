"""Pipelines that go through a set: refused where the order of what an input takes would be drawn."""

from __future__ import annotations

import pytest

from tests.experiments import Experiments, experiments_fixture, ids

__all__ = ["experiments_fixture"]

EXPERIMENT = """
LETTERS = {"a", "b", "c"}
NUMBERS = {1, 2, 3}
@bash
def make(o: Output = out("o.txt"), *, letter: str = "", n: int = 0):
    return 'echo "$letter $n" > "$o"'
@bash
def join(parts: Inputs, o: Output = out("o.txt")):
    return 'cat "${parts[@]}" > "$o"'
def pipeline():
BODY
lab = Lab([Run("r", pipeline)])
"""


def written(body: str) -> str:
    return EXPERIMENT.replace("BODY", "\n".join(f"    {line}" for line in body.splitlines()))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("join(parts=[make(letter=x).o for x in LETTERS])", 11),
        ('join(parts=[make(letter=x).o for x in {"a", "b"}])', 11),
        ('made = []\nfor x in set("ab"):\n    made.append(make(letter=x).o)\njoin(parts=made)', 12),
        ('join(parts=list({make(letter="a").o, make(letter="b").o}))', 11),
        ('letters = {"a", "b"} | LETTERS\njoin(parts=[make(letter=x).o for x in letters])', 12),
        ("join(parts=[*{make(n=x).o for x in (1, 2)}])", 11),
    ],
)
def test_an_order_that_is_drawn_is_refused_at_its_line(body: str, line: int, experiments: Experiments) -> None:
    told = experiments.error(written(body))
    assert "goes through a set" in told
    assert f"experiment.py:{line}" in told
    assert "sorted(" in told


@pytest.mark.parametrize(
    "body",
    [
        "join(parts=[make(letter=x).o for x in sorted(LETTERS)])",
        "for x in LETTERS:\n    make(letter=x)",
        "join(parts=[make(n=x).o for x in NUMBERS])",
        'join(parts=[make(letter=x).o for x in ("a", "b") if x in LETTERS])',
        "join(parts=[make(letter=x).o for x in sorted(y for y in LETTERS)])",
        "n = max(len(x) for x in LETTERS)\njoin(parts=[make(n=x).o for x in range(n + 1)])",
    ],
)
def test_a_set_without_an_order_does_no_harm(body: str, experiments: Experiments) -> None:
    assert len(list(ids(experiments.graph(written(body))))) >= 1


HELPED = """
import names
LETTERS = {"a", "b", "c"}
@bash
def make(o: Output = out("o.txt"), *, letter: str = "", n: int = 0):
    return 'echo "$letter $n" > "$o"'
@bash
def join(parts: Inputs, o: Output = out("o.txt")):
    return 'cat "${parts[@]}" > "$o"'
def all_letters():
    return LETTERS | {"d"}
def made():
    return [make(letter=x).o for x in LETTERS]
def joined():
    return made()
def pipeline():
    join(parts=BODY)
lab = Lab([Run("r", pipeline)])
"""


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("made()", "experiment.py:13"),
        ("joined()", "experiment.py:13"),
        ("[make(letter=x).o for x in all_letters()]", "experiment.py:17"),
        ("[make(letter=x).o for x in names.LETTERS]", "experiment.py:17"),
        ("[make(letter=x).o for x in names.others()]", "experiment.py:17"),
        ("[make(letter=x).o for x in names.ordered()]", "names.py:5"),
        ("[make(letter=x).o for x in LETTERS.union('x')]", "experiment.py:17"),
    ],
)
def test_a_set_behind_a_helper_is_found(body: str, place: str, experiments: Experiments) -> None:
    module = (
        "LETTERS = {'a', 'b'}\ndef others():\n    return set('ab')\ndef ordered():\n    return [x for x in LETTERS]\n"
    )
    told = experiments.error(HELPED.replace("BODY", body), {"names.py": module})
    assert "goes through a set" in told
    assert place in told

"""Functions that are called later: what they read from loops and closures is as it was, other changes are told."""

from __future__ import annotations

import pytest

from tests.experiments import Experiments, experiments_fixture

__all__ = ["experiments_fixture"]

GEN = """
import functools, types
@stage
def gen(made: Output = out("made.txt"), *, slope: int = 0):
    made.write_text(str(slope))
runs = []
def through(rate):
    return rate
"""

OWN_TURN = {
    "lambda": """
for rate in (1, 2, 3):
    runs.append(Run(f"r{rate}", lambda: gen(slope=rate)))
""",
    "def": """
for rate in (1, 2, 3):
    def work():
        gen(slope=rate)
    runs.append(Run(f"r{rate}", work))
""",
    "def before the loop": """
def work():
    gen(slope=rate)
for rate in (1, 2, 3):
    runs.append(Run(f"r{rate}", work))
""",
    "while": """
rate = 1
while rate < 4:
    runs.append(Run(f"r{rate}", lambda: gen(slope=rate)))
    rate += 1
""",
    "comprehension": """
runs = [Run(f"r{rate}", lambda: gen(slope=rate)) for rate in (1, 2, 3)]
""",
    "loop in a function": """
def main():
    for rate in (1, 2, 3):
        runs.append(Run(f"r{rate}", lambda: gen(slope=through(rate))))
main()
""",
    "partial": """
def work(factor):
    gen(slope=rate * factor)
for rate in (1, 2, 3):
    runs.append(Run(f"r{rate}", functools.partial(work, factor=1)))
""",
    "name worked out in the loop": """
for text in ("1", "2", "3"):
    rate = int(text)
    runs.append(Run(f"r{rate}", lambda: gen(slope=rate)))
""",
}


@pytest.mark.parametrize("text", OWN_TURN.values(), ids=OWN_TURN)
def test_runs_made_in_a_loop_have_the_value_of_their_own_turn(experiments: Experiments, text: str) -> None:
    graph = experiments.graph(f"{GEN}{text}lab = Lab(runs)\n")
    assert [job.params_dict() for job in graph.jobs()] == [{"slope": 1}, {"slope": 2}, {"slope": 3}]


CHANGED = {
    "rate": """
rate = 1
runs.append(Run("r1", lambda: gen(slope=rate)))
rate = 2
""",
    "conf": """
class conf:
    rate = 0
for conf.rate in (1, 2):
    runs.append(Run(f"r{conf.rate}", lambda: gen(slope=conf.rate)))
""",
    "table": """
table = {}
for rate in (1, 2):
    table["rate"] = rate
    runs.append(Run(f"r{rate}", lambda: gen(slope=table["rate"])))
""",
    "turn": """
def helper():
    return turn
for turn in (1, 2):
    runs.append(Run(f"r{turn}", lambda: gen(slope=helper())))
""",
    "values": """
def main():
    values = []
    for one in (1, 2):
        values.append(one)
        runs.append(Run(f"r{one}", lambda: gen(slope=values[-1])))
main()
""",
    "made": """
def made():
    gen(slope=1)
runs.append(Run("r1", lambda: made()))
def made():
    gen(slope=2)
""",
}


@pytest.mark.parametrize(("name", "text"), CHANGED.items(), ids=CHANGED)
def test_what_a_pipeline_reads_and_has_changed_since_is_told(experiments: Experiments, name: str, text: str) -> None:
    told = experiments.error(f"{GEN}{text}lab = Lab(runs)\n")
    assert f"pipeline '<lambda>' of run 'r1' reads {name}, which is another now" in told


def test_runs_with_the_same_jobs_are_told(experiments: Experiments) -> None:
    lab = "lab = Lab([Run('a', gen), Run('b', lambda: gen(slope=0)), Run('c', lambda: gen(slope=1))])\n"
    (note,) = experiments.graph(GEN + lab).notes
    assert (note.stage, note.message) == ("run 'b'", "it has exactly the jobs of run 'a'")


def test_what_a_pipeline_changes_itself_is_its_own_affair(experiments: Experiments) -> None:
    graph = experiments.graph(GEN + "def work():\n    runs.append(1)\n    gen()\nlab = Lab([Run('run', work)])\n")
    assert len(list(graph.jobs())) == 1


STAGES = """
made = []
for letter in "ab":
    @bash(NAMED)
    def one(outputs: Outputs, *, x: int = 1):
        return f'echo {letter} > "{outputs["a"]}"'
    made.append(one)
def both():
    for one in made:
        one()
lab = Lab([Run("run", both)])
"""


def test_a_stage_made_in_a_loop_has_text_and_options_of_its_own_turn(experiments: Experiments) -> None:
    named = 'name=lambda p: f"{letter}{p.x}", outputs=lambda p: {"a": letter}, resources=lambda p: sized(letter)'
    text = 'def sized(letter):\n    return Resources(cpus={"a": 2, "b": 3}[letter])\n' + STAGES.replace("NAMED", named)
    found = {}
    for job in experiments.graph(text).jobs():
        assert job.stage.script is not None
        found[job.stage.name] = (job.stage.script.text[:6], job.stage.outputs, job.resources.cpus)
    assert found == {"a1": ("echo a", (("a", "a"),), 2), "b1": ("echo b", (("a", "b"),), 3)}


def test_a_bash_body_may_read_what_stands_further_down(experiments: Experiments) -> None:
    body = '@bash\ndef run(made: Output = out("a")):\n    return f"echo {later()} > {made}"\n'
    lab = "def later():\n    return K\nK = 3\nlab = Lab([Run('run', run)])\n"
    (job,) = experiments.graph(body + lab).jobs()
    assert job.stage.script is not None
    assert job.stage.script.text == "echo 3 > ${made}"
    told = experiments.error(f"K = 1\n{body.replace('later()', 'K')}{lab}")
    assert "the body of @bash stage 'run' reads K, which is another now than when it was made" in told
    assert "then  1\n" in told
    assert "now   3\n" in told


MADE_STAGES = {
    "function": """
def make(letter):
    @stage
    def write(o: Output = out("o.txt")):
        o.write_text(letter)
    return write
stages = [make("a"), make("b")]
""",
    "loop of the module": """
stages = []
for letter in "ab":
    @stage
    def write(o: Output = out("o.txt")):
        o.write_text(letter)
    stages.append(write)
""",
    "loop in a function": """
def make():
    found = []
    for letter in "ab":
        @stage
        def write(o: Output = out("o.txt")):
            o.write_text(letter)
        found.append(write)
    return found
stages = make()
""",
}


@pytest.mark.parametrize("text", MADE_STAGES.values(), ids=MADE_STAGES.keys())
def test_a_stage_that_a_function_makes_has_the_values_of_its_making(text: str, experiments: Experiments) -> None:
    graph = experiments.graph(text + "lab = Lab([Run(f'r{n}', one) for n, one in enumerate(stages)])\n")
    scripts = [one.stage.script.text for run in graph.runs for one in run.jobs if one.stage.script is not None]
    assert [script.count(f"letter = '{letter}'") for script, letter in zip(scripts, "ab", strict=True)] == [1, 1]


def test_a_list_that_a_stage_has_from_around_and_that_changes_is_refused(experiments: Experiments) -> None:
    text = experiments.error(
        """
def make():
    rates = [1]
    @stage
    def write(o: Output = out("o.txt")):
        o.write_text(str(rates))
    rates.append(2)
    return write
lab = Lab([Run("r", make())])
"""
    )
    assert "stage 'write' reads rates, which is another now than when it was made" in text


def test_what_a_stage_made_in_a_loop_reads_by_a_helper_is_refused(experiments: Experiments) -> None:
    text = """
def said():
    return letter
stages = []
for letter in "ab":
    @stage
    def write(o: Output = out("o.txt")):
        o.write_text(said())
    stages.append(write)
lab = Lab([Run(f'r{n}', one) for n, one in enumerate(stages)])
"""
    assert "stage 'write' reads letter, which is another now than when it was made" in experiments.error(text)

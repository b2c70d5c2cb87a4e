"""Wiring: which source each input takes, by name, explicitly, in lists, from sweeps and from runs."""

from __future__ import annotations

import pytest

from repx.model.derivation import Derivation
from repx.model.values import StoredPath
from tests.experiments import Experiments, counts, experiments_fixture, job, jobs, sources

__all__ = ["experiments_fixture"]

STAGES = """
@bash
def make(data: Output = out("data.txt"), log: Output = out("log.txt"), *, n: int = 1):
    return 'echo "$n" > "$data"; echo made > "$log"'
@bash
def one(value: Output = out("value.txt")):
    return 'echo 1 > "$value"'
@bash
def use(data: Input, result: Output = out("result.txt")):
    return 'cp "$data" "$result"'
@bash
def both(data: Input, log: Input, result: Output = out("result.txt")):
    return 'cat "$data" "$log" > "$result"'
@bash
def collect(parts: Inputs, result: Output = out("result.txt")):
    return 'cat "${parts[@]}" > "$result"'
@bash
def maybe(data: Input | None, result: Output = out("result.txt")):
    return 'echo "$data" > "$result"'
"""


def pipeline(body: str, params: str = "{}", arguments: str = "") -> str:
    """An experiment whose pipeline has these lines, from line 22 on."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return f"{STAGES}\ndef simulate({arguments}):\n{lines}\nlab = Lab([Run('run', simulate, params={params})])\n"


@pytest.mark.parametrize(
    "call",
    [
        "use(data=make().data)",
        "use(data=make()['data'])",
        "use(make())",
        "use(data=make())",
    ],
)
def test_an_output_reaches_an_input(experiments: Experiments, call: str) -> None:
    graph = experiments.graph(pipeline(call))
    assert counts(graph) == {"make": 1, "use": 1}
    assert sources(job(graph, "use")) == [("data", "make.data")]


def test_all_spellings_of_one_wiring_are_one_job(experiments: Experiments) -> None:
    body = "made = make()\nuse(made)\nuse(data=made)\nuse(data=made.data)"
    assert counts(experiments.graph(pipeline(body))) == {"make": 1, "use": 1}


def test_an_input_may_take_an_output_of_another_name(experiments: Experiments) -> None:
    assert sources(job(experiments.graph(pipeline("use(data=make().log)")), "use")) == [("data", "make.log")]
    assert sources(job(experiments.graph(pipeline("use(data=one())")), "use")) == [("data", "one.value")]


def test_names_wire_as_many_inputs_as_match(experiments: Experiments) -> None:
    graph = experiments.graph(pipeline("both(make())"))
    assert sources(job(graph, "both")) == [("data", "make.data"), ("log", "make.log")]


def test_a_named_input_and_matching_names_go_together(experiments: Experiments) -> None:
    graph = experiments.graph(pipeline("both(use(make()), data=make(), log=one())".replace("use(make()), ", "")))
    assert sources(job(graph, "both")) == [("data", "make.data"), ("log", "one.value")]


def test_lists_fan_in_in_their_order(experiments: Experiments) -> None:
    graph = experiments.graph(pipeline("made = [make(n=n) for n in (3, 1, 2)]\ncollect(parts=[m.data for m in made])"))
    edges = job(graph, "collect").edges
    assert [edge.name for edge in edges] == ["parts"] * 3
    numbers = [edge.source.params_dict()["n"] for edge in edges if isinstance(edge.source, Derivation)]
    assert numbers == [3, 1, 2]


def test_a_list_may_be_empty_or_of_whole_nodes_and_paths(experiments: Experiments) -> None:
    assert sources(job(experiments.graph(pipeline("collect(parts=[])")), "collect")) == []
    body = "collect(parts=[one(), make().log, repx.path('x.txt')])"
    graph = experiments.graph(pipeline(body), {"x.txt": "x"})
    assert sources(job(graph, "collect")) == [("parts", "one.value"), ("parts", "make.log"), ("parts", "x.txt")]


def test_a_result_given_to_a_param_is_refused(experiments: Experiments) -> None:
    for given in ("one()", "one().value"):
        text = experiments.error(pipeline(f"make(n={given})"))
        assert "param 'n' of stage 'make' was given" in text
        assert "annotate it as n: Input" in text


def test_an_output_given_by_position_is_told_by_which_name_to_give_it(experiments: Experiments) -> None:
    assert "give it by name: both(log=…)" in experiments.error(pipeline("made = make()\nboth(made, made.log)"))
    assert "give it by name: both(data=…)" in experiments.error(pipeline("both(one().value)"))


def test_a_list_for_one_path_is_refused(experiments: Experiments) -> None:
    text = experiments.error(pipeline("use(data=[one(), one()])"))
    assert "input 'data' of stage 'use' takes one path and was given a list of 2" in text
    assert "experiment.py:22" in text
    assert "annotate it as data: Inputs" in text


def test_an_optional_input_may_be_left_out_given_or_none(experiments: Experiments) -> None:
    graph = experiments.graph(pipeline("maybe()\nmaybe(data=None)\nmaybe(data=one())"))
    assert counts(graph) == {"maybe": 2, "one": 1}
    assert sorted(map(sources, jobs(graph, "maybe"))) == [[], [("data", "one.value")]]


def test_a_required_input_may_not(experiments: Experiments) -> None:
    left_out = experiments.error(pipeline("use()"))
    assert "input 'data' of stage 'use' is not wired" in left_out
    assert "experiment.py:22" in left_out
    none = experiments.error(pipeline("use(data=None)"))
    assert "input 'data' of stage 'use' was given None" in none
    assert "data: Input | None" in none


def test_names_that_do_not_match_list_both_sides(experiments: Experiments) -> None:
    assert experiments.error(pipeline("use(one())")) == (
        "error: no output of 'one' is called like an input of 'use'\n"
        "  at           experiment.py:22\n"
        "  its outputs  value\n"
        "  the inputs   data\n"
        "hint: name the input: use(data=….value)"
    )


def test_two_sources_of_one_input_are_refused(experiments: Experiments) -> None:
    text = experiments.error(pipeline("use(make(), make(n=2))"))
    assert "input 'data' of stage 'use' has two sources" in text
    assert "two sources" in experiments.error(pipeline("use(make(), data=one())"))


def test_a_node_of_several_outputs_must_say_which(experiments: Experiments) -> None:
    text = experiments.error(pipeline("collect(parts=[make()])"))
    assert "input 'parts' was given the result of stage 'make', which has several outputs" in text
    assert "data, log" in text


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("use(data=make().dato)", "stage 'make' has no output 'dato'"),
        ("use(dato=make())", "stage 'use' has no input or param 'dato'"),
        ("make(m=1)", "stage 'make' has no input or param 'm'"),
        ("use('x.txt')", "stage 'use' was given 'x.txt' by position"),
        ("use(data='x.txt')", "input 'data' of stage 'use' was given 'x.txt'"),
        ("use(data=Path('x.txt'))", "input 'data' of stage 'use' was given"),
        ("make(n=one())", "param 'n' of stage 'make' was given <node one>"),
        ("make(n=one().value)", "param 'n' of stage 'make' was given <output value of one>"),
        ("make(n=[1])", "param 'n' of stage 'make': [1] (list) does not fit int"),
        ("data, log = make()", "the result of stage 'make' cannot be unpacked"),
        ("use(data=one()) if one() else None", "the result of stage 'one' is not known yet"),
        ("1 / 0", "pipeline 'simulate' of run 'run' failed: ZeroDivisionError"),
    ],
)
def test_a_mistake_in_a_pipeline_is_told_with_its_line(experiments: Experiments, call: str, reason: str) -> None:
    text = experiments.error(pipeline(call))
    assert reason in text
    assert "experiment.py:22" in text


def test_the_nearest_name_is_told(experiments: Experiments) -> None:
    assert "did you mean data?" in experiments.error(pipeline("use(dato=make())"))
    assert "did you mean data?" in experiments.error(pipeline("use(data=make().dato)"))


def test_a_node_from_outside_the_pipeline_is_refused(experiments: Experiments) -> None:
    text = experiments.error(
        STAGES + "\nmade = make()\ndef simulate():\n    use(made)\nlab = Lab([Run('run', simulate)])"
    )
    assert "stage 'use' takes from a call of 'make' outside this pipeline" in text
    assert "experiment.py:23" in text


def test_a_pipeline_without_stages_is_refused(experiments: Experiments) -> None:
    assert "pipeline 'simulate' of run 'run' calls no stage" in experiments.error(pipeline("pass"))


# --------------------------------------------------------------------------------------------------------------- paths


def test_a_path_may_stand_for_an_input(experiments: Experiments) -> None:
    graph = experiments.graph(pipeline("use(data=repx.path('data/x.csv'))"), {"data/x.csv": "1\n"})
    (edge,) = job(graph, "use").edges
    assert isinstance(edge.source, StoredPath)
    assert (edge.source.name, edge.source.kind) == ("x.csv", "file")


def test_a_path_may_be_the_default_of_an_input(experiments: Experiments) -> None:
    text = """
@bash
def use(data: Input = repx.path("x.csv"), result: Output = out("result.txt")):
    return 'cp "$data" "$result"'
@bash
def one(value: Output = out("value.txt")):
    return 'echo 1 > "$value"'
def simulate():
    use()
    use(data=one())
lab = Lab([Run("run", simulate)])
"""
    graph = experiments.graph(text, {"x.csv": "1\n"})
    assert sorted(map(sources, jobs(graph, "use"))) == [[("data", "one.value")], [("data", "x.csv")]]


def test_a_swept_directory_reaches_the_input_of_its_name(experiments: Experiments) -> None:
    files = {"data/a.txt": "a", "data/b.txt": "b"}
    graph = experiments.graph(pipeline("use()", "{'data': repx.files('data')}"), files)
    assert sorted(sources(one) for one in jobs(graph, "use")) == [[("data", "a.txt")], [("data", "b.txt")]]


def test_a_dotted_axis_of_paths_goes_before_a_plain_one(experiments: Experiments) -> None:
    files = {"data/a.txt": "a", "other/b.txt": "b"}
    params = "{'data': repx.files('data'), 'use.data': repx.files('other')}"
    graph = experiments.graph(pipeline("use()\nmaybe()", params), files)
    assert sources(job(graph, "use")) == [("data", "b.txt")]
    assert sources(job(graph, "maybe")) == [("data", "a.txt")]


def test_a_wired_input_goes_before_an_axis(experiments: Experiments) -> None:
    files = {"data/a.txt": "a", "data/b.txt": "b"}
    graph = experiments.graph(pipeline("use(data=one())\nmaybe()", "{'data': repx.files('data')}"), files)
    assert sources(job(graph, "use")) == [("data", "one.value")]
    assert len(jobs(graph, "maybe")) == 2


def test_paths_of_equal_name_and_content_are_one(experiments: Experiments) -> None:
    files = {"a/x.txt": "same", "b/x.txt": "same", "c/x.txt": "other", "d/y.txt": "same"}
    body = "\n".join(f"use(data=repx.path('{place}'))" for place in files)
    assert counts(experiments.graph(pipeline(body), files)) == {"use": 3}


# ------------------------------------------------------------------------------------------------------------- results

RESULTS = """
@bash
def make(data: Output = out("data.txt"), *, n: int = 1):
    return 'echo "$n" > "$data"'
@stage
def look(first_run: Results, result: Output = out("result.txt")):
    result.write_text(str(len(first_run.jobs())))
@stage
def look_again(sweep: Results, result: Output = out("result.txt")):
    result.write_text(str(len(sweep.jobs())))
first = Run("first-run", make, params={"n": [1, 2]})
"""


def test_results_are_those_of_the_run_of_that_name(experiments: Experiments) -> None:
    graph = experiments.graph(RESULTS + "lab = Lab([first, Run('second', look, after=[first])])")
    assert sources(job(graph, "look")) == [("first_run", "first-run")]
    assert graph.runs[1].jobs[0].edges[0].source.digest == graph.runs[0].digest  # type: ignore[union-attr]


def test_soft_runs_hand_their_results_over_too(experiments: Experiments) -> None:
    hard = experiments.graph(RESULTS + "lab = Lab([first, Run('second', look, after=[hard(first)])])")
    soft = experiments.graph(RESULTS + "lab = Lab([first, Run('second', look, after=[soft(first)])])")
    assert job(hard, "look").id == job(soft, "look").id
    assert [run.after[0].kind for run in (hard.runs[1], soft.runs[1])] == ["hard", "soft"]


def test_a_run_may_be_bound_explicitly(experiments: Experiments) -> None:
    text = (
        RESULTS + "def second():\n    look_again(sweep=first)\nlab = Lab([first, Run('second', second, after=[first])])"
    )
    assert sources(job(experiments.graph(text), "look_again")) == [("sweep", "first-run")]


def test_results_of_a_run_it_does_not_come_after_are_refused(experiments: Experiments) -> None:
    text = experiments.error(RESULTS + "lab = Lab([first, Run('second', look)])")
    assert "stage 'look' takes the results of run 'first_run', and run 'second' comes after no such run" in text
    assert "Run('second', …, after=[…])" in text
    bound = "def second():\n    look_again(sweep=first)\nlab = Lab([first, Run('second', second)])"
    assert "run 'second' comes after no such run" in experiments.error(RESULTS + bound)


def test_results_of_no_run_say_which_there_are(experiments: Experiments) -> None:
    text = experiments.error(RESULTS + "lab = Lab([first, Run('second', look_again, after=[first])])")
    assert "it comes after  first-run" in text


def test_a_run_for_an_ordinary_input_and_a_node_for_results_are_refused(experiments: Experiments) -> None:
    text = (
        RESULTS + "def second():\n    look(first_run=make())\nlab = Lab([first, Run('second', second, after=[first])])"
    )
    assert "takes a run, not <node make>" in experiments.error(text)
    use = "@bash\ndef use(data: Input, r: Output = out('r')):\n    return 'cp \"$data\" \"$r\"'\n"
    text = (
        RESULTS + use + "def second():\n    use(data=first)\nlab = Lab([first, Run('second', second, after=[first])])"
    )
    assert "input 'data' of stage 'use' was given the run 'first-run'" in experiments.error(text)


def test_the_results_of_a_run_change_with_its_jobs(experiments: Experiments) -> None:
    text = RESULTS + "lab = Lab([first, Run('second', look, after=[first])])"
    before = job(experiments.graph(text), "look").id
    assert job(experiments.graph(text.replace("[1, 2]", "[1, 3]")), "look").id != before
    assert job(experiments.graph(text.replace("[1, 2]", "[2, 1]")), "look").id == before

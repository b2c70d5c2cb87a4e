"""Scatter-gather: its interface, its diamonds of steps, what is wired by itself, and what is refused."""

# ruff: noqa: E501 - a case is a line

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from repx.agent.base.wire import Wire
from repx.model.derivation import Parts
from repx.model.lab import job_line
from tests.experiments import Experiments, counts, experiments_fixture, ids, job, jobs, sources, values

__all__ = ["experiments_fixture"]

STAGES = """
@stage
def split(numbers: Input, items: Output = out("items.json"), *, limit: int = 10):
    items.write_text("[]")
@stage
def extract(item: WorkItem, numbers: Input, number: Output = out("number.txt")):
    number.write_text("1")
@bash
def square(number: Input, squared: Output = out("squared.txt"), *, power: int = 2):
    return 'cp "$number" "$squared"; echo "$power"'
@bash
def double(number: Input, doubled: Output = out("doubled.txt")):
    return 'cp "$number" "$doubled"'
@bash
def combine(squared: Input, doubled: Input, result: Output = out("result.txt")):
    return 'cat "$squared" "$doubled" > "$result"'
@bash
def collect(results: Inputs, total: Output = out("total.txt"), *, header: str = ""):
    return 'cat "${results[@]}" > "$total"; echo "$header"'
@bash
def make(numbers: Output = out("numbers.txt"), *, seed: int = 1):
    return 'echo "$seed" > "$numbers"'
"""

DIAMOND = """
@scatter_gather(scatter=split, gather=collect)
def sums(item: WorkItem, numbers: Input):
    "Squares and doubles."
    number = extract(item=item, numbers=numbers)
    return combine(square(number), double(number))
"""


def experiment(pipeline: str, params: str = "{}", whole: str = DIAMOND) -> str:
    return f"{STAGES}{whole}\ndef simulate():\n    {pipeline}\nlab = Lab([Run('run', simulate, params={params})])\n"


def written(wires: Iterable[Wire]) -> tuple[tuple[str, ...], ...]:
    """Wires as a Lab says them."""
    return tuple(tuple(wire.json()) for wire in wires)


def parts_of(experiments: Experiments, whole: str = DIAMOND) -> Parts:
    """The inside of the scatter-gather called `sums`."""
    parts = job(experiments.graph(experiment("sums(numbers=make())", whole=whole)), "sums").stage.parts
    assert parts is not None
    return parts


def test_the_whole_is_one_job_with_the_inputs_and_params_of_its_parts(experiments: Experiments) -> None:
    graph = experiments.graph(experiment("sums(make())"))
    assert counts(graph) == {"make": 1, "sums": 1}
    recipe = job(graph, "sums").stage
    assert (recipe.kind, recipe.doc) == ("scatter-gather", "Squares and doubles.")
    assert [(spec.name, spec.kind) for spec in recipe.inputs] == [("numbers", "path")]
    assert dict(recipe.outputs) == {"total": "total.txt"}
    assert recipe.params == ("header", "limit", "power")
    assert sources(job(graph, "sums")) == [("numbers", "make.numbers")]


def test_the_steps_are_a_diamond(experiments: Experiments) -> None:
    parts = parts_of(experiments)
    assert [step.name for step in parts.steps] == ["extract", "square", "double", "combine"]
    assert {step.name: written(step.wires) for step in parts.steps} == {
        "extract": (("item", "item", ""), ("numbers", "input", "numbers")),
        "square": (("number", "step:extract", "number"),),
        "double": (("number", "step:extract", "number"),),
        "combine": (("doubled", "step:double", "doubled"), ("squared", "step:square", "squared")),
    }
    assert parts.items == "items"
    assert written(parts.gather_wires) == (("results", "step:combine", "result"),)


def test_item_and_inputs_of_the_whole_are_wired_by_themselves(experiments: Experiments) -> None:
    whole = DIAMOND.replace("extract(item=item, numbers=numbers)", "extract()")
    assert parts_of(experiments, whole).steps[0].wires == parts_of(experiments).steps[0].wires


def test_it_can_be_swept_wired_and_branched_like_a_stage(experiments: Experiments) -> None:
    more = "@bash\ndef last(total: Input, end: Output = out('end.txt')):\n    return 'cp \"$total\" \"$end\"'\n"
    text = experiment("last(sums(make()))", "{'limit': [1, 2], 'seed': [1, 2], 'sums.power': [3]}", DIAMOND + more)
    graph = experiments.graph(text)
    assert counts(graph) == {"make": 2, "sums": 4, "last": 4}
    assert set(values(graph, "sums", "power")) == {3}
    assert counts(experiments.graph(experiment("sums(make(), limit=3)", "{'power': [1, 2]}"))) == {"make": 1, "sums": 2}


def test_a_param_of_a_part_reaches_it_by_the_name_of_the_whole_only(experiments: Experiments) -> None:
    text = experiments.error(experiment("sums(make())", "{'square.power': [3]}"))
    assert "param 'square.power' of run 'run' reaches no stage" in text
    assert "sums.power" in text


def test_a_param_given_where_a_step_is_called_is_fixed(experiments: Experiments) -> None:
    whole = DIAMOND.replace("square(number)", "square(number, power=3)")
    graph = experiments.graph(experiment("sums(make())", whole=whole))
    assert job(graph, "sums").stage.params == ("header", "limit")
    parts = job(graph, "sums").stage.parts
    assert parts is not None
    assert {step.name: step.fixed for step in parts.steps if step.fixed} == {"square": (("power", 3),)}
    assert "reaches no stage" in experiments.error(experiment("sums(make())", "{'power': [1]}", whole))


def test_a_stage_may_be_several_steps(experiments: Experiments) -> None:
    whole = """
@scatter_gather(scatter=split, gather=collect)
def sums(item: WorkItem, numbers: Input):
    number = extract()
    once = square(number, power=1)
    return square(number=once, power=2)
"""
    parts = parts_of(experiments, whole)
    assert [(step.name, step.fixed) for step in parts.steps] == [
        ("extract", ()),
        ("square", (("power", 1),)),
        ("square_2", (("power", 2),)),
    ]
    assert written(parts.steps[2].wires) == (("number", "step:square", "squared"),)


def test_a_whole_function_may_return_an_output_or_nothing(experiments: Experiments) -> None:
    for last in ("return combine(square(number), double(number)).result", "combine(square(number), double(number))"):
        whole = DIAMOND.replace("return combine(square(number), double(number))", last)
        assert written(parts_of(experiments, whole).gather_wires) == (("results", "step:combine", "result"),)


ENDS = """
@bash
def ends(number: Input, a: Output = out("a"), b: Output = out("b")):
    return 'cp "$number" "$a"; cp "$number" "$b"'
@bash
def both(b: Inputs, a: Inputs, total: Output = out("total.txt"), *, header: str = ""):
    return 'cat "${a[@]}" "${b[@]}" > "$total"; echo "$header"'
@scatter_gather(scatter=split, gather=collect)
def sums(item: WorkItem, numbers: Input):
    return ends(extract())
"""
BOTH = ENDS.replace("gather=collect", "gather=both")


def test_a_sink_of_several_outputs_must_say_which(experiments: Experiments) -> None:
    text = experiments.error(experiment("sums(make())", whole=ENDS))
    assert "takes the list 'results', and its sink step 'ends' has 2 outputs, none of that name" in text
    assert "return {'results': ends.a}" in text
    one = parts_of(experiments, ENDS.replace("ends(extract())", "ends(extract()).b"))
    assert written(one.gather_wires) == (("results", "step:ends", "b"),)
    named = parts_of(experiments, ENDS.replace("ends(extract())", "{'results': ends(extract()).b}"))
    assert written(named.gather_wires) == written(one.gather_wires)


def test_a_gather_takes_each_output_of_the_sink_as_a_list_of_its_name(experiments: Experiments) -> None:
    assert written(parts_of(experiments, BOTH).gather_wires) == (("a", "step:ends", "a"), ("b", "step:ends", "b"))
    swapped = BOTH.replace("return ends(extract())", "end = ends(extract())\n    return {'a': end.b, 'b': end.a}")
    assert written(parts_of(experiments, swapped).gather_wires) == (("a", "step:ends", "b"), ("b", "step:ends", "a"))
    some = BOTH.replace("return ends(extract())", "return {'a': ends(extract()).b}")
    assert written(parts_of(experiments, some).gather_wires) == (("a", "step:ends", "b"), ("b", "step:ends", "b"))


def test_a_list_that_the_whole_takes_is_not_of_the_sink(experiments: Experiments) -> None:
    more = BOTH.replace("(b: Inputs, a: Inputs", "(titles: Inputs, a: Inputs").replace("${b[@]}", "${titles[@]}")
    whole = more.replace("numbers: Input)", "numbers: Input, titles: Inputs)")
    graph = experiments.graph(experiment("sums(make(), titles=[make(seed=2), make(seed=3)])", whole=whole))
    parts = job(graph, "sums").stage.parts
    assert parts is not None
    assert written(parts.gather_wires) == (("a", "step:ends", "a"), ("titles", "input", "titles"))
    assert "takes the list 'titles'" in experiments.error(experiment("sums(make())", whole=more))
    nothing = whole.replace("a: Inputs", "heads: Inputs").replace("${a[@]}", "${heads[@]}")
    text = experiments.error(
        experiment("sums(make())", whole=nothing.replace("titles: Inputs)", "titles: Inputs, heads: Inputs)"))
    )
    assert "takes nothing of its sink step 'ends'" in text


def test_gather_takes_what_scatter_made_and_what_the_whole_was_given(experiments: Experiments) -> None:
    whole = """
@stage
def split_with_index(numbers: Input, items: Output = out("items.json"), index_file: Output = out("index")):
    items.write_text("[]")
@bash
def join(results: Inputs, index_file: Input, title: Input, total: Output = out("total.txt")):
    return 'cat "$title" "$index_file" "${results[@]}" > "$total"'
@scatter_gather(scatter=split_with_index, gather=join)
def sums(item: WorkItem, numbers: Input):
    return square(extract())
"""
    text = experiment("sums(numbers=make(), title=make(seed=2))", whole=whole)
    one = job(experiments.graph(text), "sums")
    parts = one.stage.parts
    assert parts is not None
    assert parts.items == "items"
    assert written(parts.gather_wires) == (
        ("index_file", "scatter", "index_file"),
        ("results", "step:square", "squared"),
        ("title", "input", "title"),
    )
    assert sources(one) == [("numbers", "make.numbers"), ("title", "make.numbers")]


WHOLE = "@scatter_gather(scatter=split, gather=collect)\ndef sums(item: WorkItem, numbers: Input):\n    "
ONE_STEP = "return square(extract())"


@pytest.mark.parametrize(
    ("whole", "reason"),
    [
        (WHOLE + "return None", "its function calls no stage"),
        (WHOLE + "number = extract()\n    square(number)\n    double(number)", "it has 2 sink steps: square, double"),
        (WHOLE + "number = extract()\n    square(number)\n    return number", "but the sink is step 'square'"),
        (WHOLE + "return combine(square(extract()))", "input 'doubled' of step 'combine' is not wired"),
        (WHOLE + "return square(square(extract()))", "scatter-gather 'sums': no output of 'square' is called like an input of 'square'"),
        (WHOLE + "return square(number='x')", "input 'number' of stage 'square' was given 'x'"),
        (WHOLE + "return square(number=repx.path('experiment.py'))", "input 'number' of step 'square' was given"),
        (WHOLE.replace("item: WorkItem, ", "") + ONE_STEP, "its function takes 0 work items"),
        (WHOLE.replace("numbers: Input", "other: WorkItem") + ONE_STEP, "its function takes 2 work items"),
        (WHOLE.replace("numbers: Input", "n: int") + ONE_STEP, "its function takes n"),
        (WHOLE.replace("scatter=split", "scatter=3") + ONE_STEP, "scatter is 3, not a stage"),
        (WHOLE.replace("gather=collect", "gather=combine") + ONE_STEP, "its gather 'combine' takes 0 lists"),
        (WHOLE.replace("collect", "both") + "number = extract()\n    return ends(number).a", "its function returns output 'a', but its gather 'both' takes 2 lists: b, a"),
        (WHOLE.replace("collect", "both") + "return {'c': ends(extract()).a}", "its gather 'both' takes no list 'c'"),
        (WHOLE.replace("collect", "both") + "number = extract()\n    ends(number)\n    return {'a': number}", "but the sink is step 'ends'"),
        (WHOLE.replace("scatter=split", "scatter=two") + ONE_STEP, "call the one that lists the work items 'items'"),
        (WHOLE.replace("scatter=split", "scatter=dynamic") + ONE_STEP, "scatter 'x' has a name, inputs or outputs that depend"),
        (WHOLE.replace("scatter=split", "scatter=many") + ONE_STEP, "scatter 'many' asks for 2 realizations"),
        (WHOLE + ONE_STEP + "\n@scatter_gather(scatter=split, gather=collect)\ndef outer(item: WorkItem, numbers: Input):\n"
         "    return sums(numbers=numbers)", "step 'sums' is itself a scatter-gather, which cannot be nested"),
        (WHOLE.replace("gather=collect", "gather=other_limit") + ONE_STEP, "two of its stages declare param 'limit' with the defaults"),
        ("sums = scatter_gather(scatter=split, gather=collect)(3)", "@scatter_gather decorates a function, not 3"),
        (WHOLE + "return 1 / 0", "ZeroDivisionError"),
    ],
)  # fmt: skip
def test_what_a_scatter_gather_cannot_be(experiments: Experiments, whole: str, reason: str) -> None:
    more = (
        ENDS.partition("@scatter")[0]
        + """
@stage
def two(numbers: Input, a: Output = out("a"), b: Output = out("b")):
    a.write_text("[]")
@stage(name=lambda p: "x")
def dynamic(numbers: Input, items: Output = out("a")):
    items.write_text("[]")
dynamic.name = "x"
@stage(realizations=2)
def many(numbers: Input, items: Output = out("a")):
    items.write_text("[]")
@bash
def other_limit(results: Inputs, total: Output = out("total.txt"), *, limit: int = 11):
    return 'cat "${results[@]}" > "$total"; echo "$limit"'
"""
    )
    text = experiments.error(experiment("sums(make())", whole=more + whole))
    assert reason in text
    assert "experiment.py:" in text


def test_where_a_scatter_gather_is_used_wrongly_is_told(experiments: Experiments) -> None:
    assert "input 'numbers' of stage 'sums' is not wired" in experiments.error(experiment("sums()"))
    assert "stage 'sums' has no output 'totl'" in experiments.error(experiment("sums(make()).totl"))
    assert "stage 'sums' has no input or param 'limt'" in experiments.error(experiment("sums(make(), limt=1)"))
    assert "does not fit int" in experiments.error(experiment("sums(make(), limit='1')"))


def test_a_work_item_exists_only_inside(experiments: Experiments) -> None:
    text = experiments.error(experiment("extract(make())"))
    assert "input 'item' of stage 'extract' is not wired" in text
    assert "a work item exists only inside a scatter-gather" in text


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ('echo "$power"', 'echo "$power" again'),
        ("squared.txt", "sq.txt"),
        ("limit: int = 10", "limit: int = 11"),
        ("return combine(square(number), double(number))", "return combine(square(number, power=2), double(number))"),
        ('items.write_text("[]")', 'items.write_text("[1]")'),
        ('echo "$header"', 'echo "$header" again'),
    ],
)
def test_a_change_in_any_part_changes_the_whole(experiments: Experiments, change: str, other: str) -> None:
    text = experiment("sums(make())")
    assert change in text
    changed = experiments.graph(text.replace(change, other))
    graph = experiments.graph(text)
    assert ids(changed, "sums").isdisjoint(ids(graph, "sums"))
    assert ids(changed, "make") == ids(graph, "make")


def test_a_part_asks_for_what_it_says_itself(experiments: Experiments) -> None:
    text = experiment("sums(make())", "{'power': [2, 3]}")
    for stage, resources in {
        "make": 'Resources(mem="1G", partition="long")',
        "split": 'Resources(mem="512M")',
        "extract": "Resources(cpus=2)",
        "square": 'lambda p: Resources(mem=f"{p.power}G", time="1h")',
        "double": 'Resources(mem="128M", inherit=False)',
        "collect": 'Resources(partition="short")',
    }.items():
        text = text.replace(f"@bash\ndef {stage}(", f"@bash(resources={resources})\ndef {stage}(")
        text = text.replace(f"@stage\ndef {stage}(", f"@stage(resources={resources})\ndef {stage}(")
    graph = experiments.graph(text)
    assert ids(graph) == ids(experiments.graph(experiment("sums(make())", "{'power': [2, 3]}")))
    one = next(job for job in jobs(graph, "sums") if job.params_dict()["power"] == 3)
    assert {role: asked.hints() for role, asked in one.part_resources} == {
        "scatter": {"mem": "512M"},
        "step-extract": {"cpus": 2},
        "step-square": {"mem": "3072M", "time": "01:00:00"},
        "step-double": {"mem": "128M"},
        "step-combine": {},
        "gather": {"partition": "short"},
    }
    assert one.resources == dict(one.part_resources)["gather"]


def test_a_lab_says_what_each_part_asks_for(experiments: Experiments) -> None:
    text = experiment("sums(make())").replace("@bash\ndef square", '@bash(resources=Resources(mem="4G"))\ndef square')
    line = job_line(job(experiments.graph(text), "sums"), "stage", {})
    executables = json.loads("{" + line + "}").popitem()[1]["executables"]
    hints = {role: one.get("resource_hints") for role, one in executables.items()}
    assert hints == {
        "scatter": None,
        "step-extract": None,
        "step-square": {"mem": "4096M"},
        "step-double": None,
        "step-combine": None,
        "gather": None,
    }


def test_which_output_of_the_sink_is_gathered_is_in_the_id(experiments: Experiments) -> None:
    text = """
@stage
def split(items: Output = out("items.json")):
    items.write_text("[]")
@stage
def step(item: WorkItem, first: Output = out("a.txt"), second: Output = out("b.txt")):
    first.write_text("1")
@bash
def collect(results: Inputs, total: Output = out("total.txt")):
    return 'cat "${results[@]}" > "$total"'
@scatter_gather(scatter=split, gather=collect)
def whole(item: WorkItem):
    return step(item=item).SINK
lab = Lab([Run("run", whole)])
"""
    first, second = (ids(experiments.graph(text.replace("SINK", name))) for name in ("first", "second"))
    assert first.isdisjoint(second)


FIXED = """
@stage
def split(items: Output = out("items.json")):
    items.write_text("[]")
@stage
def step(item: WorkItem, result: Output = out("a.txt"), *, rate: float = 0.5):
    result.write_text(str(rate))
@bash
def collect(results: Inputs, total: Output = out("total.txt")):
    return 'cat "${results[@]}" > "$total"'
@scatter_gather(scatter=split, gather=collect)
def whole(item: WorkItem):
    return step(item=item, rate=RATE)
lab = Lab([Run("run", whole)])
"""


def test_a_param_given_where_a_step_is_called_fits_its_annotation(experiments: Experiments) -> None:
    one, other = (experiments.graph(FIXED.replace("RATE", rate)) for rate in ("1", "1.0"))
    assert ids(one) == ids(other)
    parts = job(one, "whole").stage.parts
    assert parts is not None
    assert repr(parts.steps[0].fixed) == "(('rate', 1.0),)"
    assert "does not fit float" in experiments.error(FIXED.replace("RATE", "'fast'"))


def test_none_given_where_a_step_is_called_is_a_value(experiments: Experiments) -> None:
    assert "param 'rate' of stage 'step': None does not fit float" in experiments.error(FIXED.replace("RATE", "None"))
    nullable = FIXED.replace("RATE", "None").replace("rate: float", "rate: float | None")
    assert job(experiments.graph(nullable), "whole").params_dict() == {}


def test_a_step_takes_a_list_of_what_other_steps_made(experiments: Experiments) -> None:
    whole = """
@bash
def join(parts: Inputs, joined: Output = out("joined.txt")):
    return 'cat "${parts[@]}" > "$joined"'
@scatter_gather(scatter=split, gather=collect)
def sums(item: WorkItem, numbers: Input):
    number = extract(item=item)
    return join(parts=[double(number), square(number)])
"""
    parts = parts_of(experiments, whole)
    assert written(parts.steps[3].wires) == (("parts", "step:double", "doubled"), ("parts", "step:square", "squared"))
    swapped = whole.replace("[double(number), square(number)]", "[square(number), double(number)]")
    one, other = (experiments.graph(experiment("sums(make())", whole=text)) for text in (whole, swapped))
    assert ids(one, "sums").isdisjoint(ids(other, "sums"))

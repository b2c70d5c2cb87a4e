"""Instantiate: which params reach which stage, the jobs of a sweep, dynamic stages, resources; no identity as such."""

from __future__ import annotations

import itertools

import pytest

from repx.model.derivation import Derivation
from repx.model.resources import MIB, Resources
from repx.model.values import PackageRef, StoredPath, identity
from tests.experiments import Experiments, counts, experiments_fixture, ids, job, jobs, sources, values
from tests.fakes.software import FakeSoftware

__all__ = ["experiments_fixture"]

STAGES = """
@bash
def train(model: Output = out("model.bin"), *, lr: float = 0.1, seed: int = 1, kind=None):
    return 'echo "$lr $seed $kind" > "$model"'
@bash
def test(model: Input, score: Output = out("score.txt"), *, seed: int = 7, metric: str = "mean"):
    return 'cp "$model" "$score"; echo "$seed $metric"'
def both():
    test(train())
"""


def with_params(params: str, pipeline: str = "both", more: str = "") -> str:
    return f"{STAGES}{more}\nlab = Lab([Run('run', {pipeline}, params={params})])\n"


# -------------------------------------------------------------------------------------------------- sweeps into jobs


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ("None", {"train": 1, "test": 1}),
        ("{'lr': [0.1, 0.2, 0.3]}", {"train": 3, "test": 3}),
        ("{'metric': ['mean', 'max']}", {"train": 1, "test": 2}),
        ("{'seed': [1, 2], 'lr': [0.1, 0.2]}", {"train": 4, "test": 4}),
        ("{'train.seed': [1, 2], 'test.seed': [1, 2, 3]}", {"train": 2, "test": 6}),
        ("repx.zip(lr=[0.1, 0.2], seed=[1, 2])", {"train": 2, "test": 2}),
        ("repx.product(repx.zip(lr=[0.1, 0.2], seed=[1, 2]), metric=['a', 'b'])", {"train": 2, "test": 4}),
        ("{'pair': repx.zip(lr=[0.1, 0.2], seed=[1, 2]), 'metric': ['a', 'b']}", {"train": 2, "test": 4}),
        ("repx.concat({'lr': [0.1, 0.2]}, {'seed': [1, 5]})", {"train": 3, "test": 4}),
        (
            "repx.product(lr=[0.1, 0.2], seed=[1, 2]).where(lambda p: p.lr < 0.2 or p.seed == 1)",
            {"train": 3, "test": 3},
        ),
        ("{'lr': (10.0 ** -n for n in range(3))}", {"train": 3, "test": 3}),
        ("{'seed': range(4)}", {"train": 4, "test": 4}),
    ],
)
def test_a_stage_has_a_job_for_each_set_of_values_that_reach_it(
    experiments: Experiments, params: str, expected: dict[str, int]
) -> None:
    # concat: lr 0.1 with the default seed 1 is the same job as seed 1 with the default lr 0.1, for train only.
    assert counts(experiments.graph(with_params(params))) == expected


def upstreams(job: Derivation) -> list[Derivation]:
    return [edge.source for edge in job.edges if isinstance(edge.source, Derivation)]


def test_each_job_takes_from_the_job_of_its_own_assignment(experiments: Experiments) -> None:
    graph = experiments.graph(with_params("{'seed': [1, 2, 3], 'lr': [0.1, 0.2], 'metric': ['a', 'b']}"))
    for one in jobs(graph, "test"):
        (upstream,) = upstreams(one)
        assert upstream.params_dict()["seed"] == one.params_dict()["seed"]
    pairs = [(upstreams(one)[0].id, one.params_dict()["metric"]) for one in jobs(graph, "test")]
    assert len(set(pairs)) == len(pairs) == 12


def test_axes_that_reach_a_stage_only_through_a_producer_make_jobs_too(experiments: Experiments) -> None:
    more = """
@bash
def last(score: Input, end: Output = out("end.txt")):
    return 'cp "$score" "$end"'
def three():
    last(test(train()))
"""
    graph = experiments.graph(with_params("{'lr': [0.1, 0.2], 'metric': ['a', 'b']}", "three", more))
    assert counts(graph) == {"train": 2, "test": 4, "last": 4}


def test_jobs_come_after_those_they_take_from(experiments: Experiments) -> None:
    graph = experiments.graph(with_params("{'seed': [1, 2, 3], 'metric': ['a', 'b']}"))
    seen: set[str] = set()
    for one in graph.runs[0].jobs:
        assert all(upstream.id in seen for upstream in upstreams(one))
        seen.add(one.id)


# ------------------------------------------------------------------------------------------------------- precedence


@pytest.mark.parametrize(
    ("call", "params", "seed"),
    [
        ("train()", "{}", 1),
        ("train()", "{'seed': [2]}", 2),
        ("train()", "{'seed': [2], 'train.seed': [3]}", 3),
        ("train(seed=4)", "{'lr': [1]}", 4),
        ("train(seed=4)", "{'test.seed': [2]}", 4),
        ("train()", "{'seed': [None]}", 1),
        ("train()", "{'train.seed': [None], 'test.seed': [2]}", 1),
    ],
)
def test_call_site_then_dotted_then_plain_then_default(
    experiments: Experiments, call: str, params: str, seed: int
) -> None:
    more = f"\ndef simulate():\n    test({call})\n"
    graph = experiments.graph(with_params(params, "simulate", more))
    assert values(graph, "train", "seed") == [seed]


def test_a_dotted_axis_reaches_its_stage_alone(experiments: Experiments) -> None:
    graph = experiments.graph(with_params("{'test.seed': [2], 'seed': [3]}"))
    assert (values(graph, "train", "seed"), values(graph, "test", "seed")) == ([3], [2])


def test_a_call_site_value_wins_for_one_node_only(experiments: Experiments) -> None:
    more = "\ndef simulate():\n    train(seed=4)\n    train()\n"
    graph = experiments.graph(with_params("{'seed': [1, 2]}", "simulate", more))
    assert sorted(map(str, values(graph, "train", "seed"))) == ["1", "2", "4"]


def test_none_in_a_sweep_is_the_default_of_a_param_that_cannot_be_none(experiments: Experiments) -> None:
    graph = experiments.graph(with_params("{'seed': [None, 2], 'kind': [None, 'a']}", "train"))
    assert sorted(map(repr, set(values(graph, "train", "seed")))) == ["1", "2"]
    assert sorted(map(repr, set(values(graph, "train", "kind")))) == ["'a'", "None"]
    assert counts(graph) == {"train": 4}


NULLABLE = """
@bash
def grow(tree: Output = out("tree"), *, depth: DEPTH = 5):
    return 'echo "${depth:-none}" > "$tree"'
def base():
    grow(depth=None)
"""


@pytest.mark.parametrize("annotation", ["int | None", "None | int", "Literal[5, None]", "object"])
def test_none_is_a_value_of_a_param_that_can_be_none(experiments: Experiments, annotation: str) -> None:
    more = NULLABLE.replace("DEPTH", annotation)
    for params, pipeline, expected in [
        ("{}", "base", ["None"]),
        ("{'depth': [None, 5]}", "grow", ["5", "None"]),
    ]:
        graph = experiments.graph(with_params(params, pipeline, more))
        assert sorted(map(repr, values(graph, "grow", "depth"))) == expected


def test_none_given_at_the_call_wins_over_the_sweep(experiments: Experiments) -> None:
    more = NULLABLE.replace("DEPTH", "int | None") + "def both():\n    base()\n    grow()\n"
    graph = experiments.graph(with_params("{'depth': [7, 9]}", "both", more))
    assert sorted(map(repr, values(graph, "grow", "depth"))) == ["7", "9", "None"]


def test_none_given_at_the_call_to_a_param_that_cannot_be_none_is_refused(experiments: Experiments) -> None:
    text = experiments.error(with_params("{}", "base", NULLABLE.replace("DEPTH", "int")))
    assert "param 'depth' of stage 'grow': None does not fit int" in text
    assert "hint: leave it out to take the default" in text


@pytest.mark.parametrize(
    ("axis", "shown"),
    [
        ("'lr': [1, 1.0]", "1 and 1.0"),
        ("'seed': [2, None, 1]", "None and 1"),
        ("'train.lr': [0.5, 2, 2.0]", "2 and 2.0"),
    ],
)
def test_values_that_become_one_when_they_fit_are_refused(experiments: Experiments, axis: str, shown: str) -> None:
    assert f"takes {shown} for the same" in experiments.error(with_params(f"{{{axis}}}", "train"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("10**400", "an int of 1329 bits"),
        ("-(10**400)", "an int of 1329 bits"),
        ("2**53 + 1", "9007199254740993 is not a float: the nearest one is 9007199254740992"),
    ],
)
@pytest.mark.parametrize("annotation", ["float", "float | None", "float | str"])
def test_an_int_that_no_float_holds_is_refused(
    experiments: Experiments, annotation: str, value: str, reason: str
) -> None:
    more = NULLABLE.replace("DEPTH = 5", f"{annotation} = 5.0")
    for params, pipeline in [(f"{{'depth': [{value}]}}", "grow"), ("{}", "base")]:
        text = experiments.error(with_params(params, pipeline, more.replace("=None", f"={value}")))
        assert "param 'depth' of stage 'grow'" in text
        assert reason in text


def test_a_param_without_a_value_is_told(experiments: Experiments) -> None:
    more = "@bash\ndef need(data: Output = out('a'), *, size: int):\n    return 'echo $size > $data'\n"
    text = experiments.error(with_params("{}", "need", more))
    assert "param 'size' of stage 'need' has no value in run 'run'" in text
    assert "experiment.py:" in text
    assert '"size": […]' in text
    assert "has no value" in experiments.error(with_params("{'size': [None]}", "need", more))


# ------------------------------------------------------------------------------------------------- names that reach


@pytest.mark.parametrize(
    ("params", "headline", "hint"),
    [
        ("{'sede': [1]}", "param 'sede' of run 'run' reaches no stage and no pipeline argument", "did you mean seed"),
        ("{'train.lrr': [1]}", "param 'train.lrr' of run 'run' reaches no stage", "did you mean train.lr"),
        ("{'trian.lr': [1]}", "param 'trian.lr' of run 'run' reaches no stage", "did you mean train.lr"),
        ("{'model': ['x']}", "param 'model' of run 'run' reaches no stage", ""),
        ("repx.zip(lr=[1], zzz=[1])", "param 'zzz' of run 'run' reaches no stage", "valid names"),
    ],
)
def test_a_param_that_reaches_nothing_is_told_with_the_nearest(
    experiments: Experiments, params: str, headline: str, hint: str
) -> None:
    text = experiments.error(with_params(params))
    assert headline in text
    assert hint in text
    assert "experiment.py:11" in text


def test_all_params_that_reach_nothing_are_told(experiments: Experiments) -> None:
    assert "also  yyy, zzz" in experiments.error(with_params("{'xxx': [1], 'yyy': [1], 'zzz': [1]}"))


def test_a_param_that_is_always_given_at_the_call_reaches_nothing(experiments: Experiments) -> None:
    more = "\ndef simulate():\n    train(lr=1.0)\n"
    assert "param 'lr' of run 'run' reaches no stage" in experiments.error(
        with_params("{'lr': [0.1]}", "simulate", more)
    )


# ---------------------------------------------------------------------------------------------- pipeline arguments


def test_a_pipeline_takes_params_and_branches_on_them(experiments: Experiments) -> None:
    more = """
def simulate(deep, kind="plain"):
    model = train(kind=kind)
    if deep:
        test(model)
"""
    graph = experiments.graph(with_params("{'deep': [True, False], 'lr': [0.1, 0.2]}", "simulate", more))
    assert counts(graph) == {"train": 2, "test": 2}
    assert values(graph, "train", "kind") == ["plain", "plain"]
    parts = "repx.concat({'kind': ['a', None]}, {'lr': [0.1]})"
    only_false = experiments.graph(with_params(f"repx.product({{'deep': False}}, {parts})", "simulate", more))
    assert sorted(map(str, values(only_false, "train", "kind"))) == ["None", "a", "plain"]


def test_an_argument_reaches_the_pipeline_and_the_stage(experiments: Experiments) -> None:
    more = "\ndef simulate(seed):\n    for _ in range(seed):\n        train()\n"
    graph = experiments.graph(with_params("{'seed': [1, 2]}", "simulate", more))
    assert values(graph, "train", "seed") == [1, 2]


def test_an_argument_without_a_value_is_told(experiments: Experiments) -> None:
    more = "\ndef simulate(depth):\n    train()\n"
    text = experiments.error(with_params("{'dept': [1]}", "simulate", more))
    assert "pipeline 'simulate' needs depth, which run 'run' does not give" in text
    assert "did you mean dept" in text
    text = experiments.error(with_params("{}", "simulate", "\ndef simulate(*depth):\n    train()\n"))
    assert "pipeline 'simulate' of run 'run' takes *depth" in text


def test_an_axis_of_one_pipeline_leaves_the_other_alone(experiments: Experiments) -> None:
    more = """
def deep(depth):
    train(seed=depth)
def flat():
    test(train())
"""
    text = f"{STAGES}{more}\nlab = Lab([Run('run', pipelines=[deep, flat], params={{'depth': [5, 6]}})])\n"
    assert counts(experiments.graph(text)) == {"train": 3, "test": 1}


# ------------------------------------------------------------------------------------------------------------- types


def test_values_that_python_calls_equal_are_different_jobs(experiments: Experiments) -> None:
    graph = experiments.graph(with_params("{'kind': [1, 1.0, True, '1']}", "train"))
    assert len(ids(graph)) == 4
    assert [identity(value) for value in values(graph, "train", "kind")] == ["1", "1.0", "true", '"1"']


def test_int_for_a_float_is_the_float(experiments: Experiments) -> None:
    one = experiments.graph(with_params("{'lr': [1]}", "train"))
    same = experiments.graph(with_params("{'lr': [1.0]}", "train"))
    assert ids(one) == ids(same)
    assert [type(value) for value in values(one, "train", "lr")] == [float]


LISTS = """
import enum
class Mode(enum.Enum):
    A = "a"
@stage
def fit(made: Output = out("a"), *, layers: list[int] = [64, 64], any=None, mode: Mode = Mode.A, word: str = "a"):
    made.write_text(str(layers))
"""


def test_lists_and_dicts_are_values(experiments: Experiments) -> None:
    axes = "{'layers': [[64, 64], [64, 32], []], 'any': [{'b': 1, 'a': [None]}, {'b': 1.0, 'a': [None]}]}"
    graph = experiments.graph(with_params(axes, "fit", LISTS))
    assert sorted(map(str, values(graph, "fit", "layers"))) == sorted(2 * ["[64, 64]", "[64, 32]", "[]"])
    assert len(set(ids(graph))) == 6
    other = "{'layers': [(64, 64), (64, 32), ()], 'any': [{'a': [None], 'b': 1}, {'a': [None], 'b': 1.0}]}"
    assert ids(experiments.graph(with_params(other, "fit", LISTS))) == ids(graph)


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ("{'layers': [[1.0]]}", "1.0 (float) does not fit int"),
        ("{'layers': [64]}", "64 (int) does not fit list"),
        ("{'any': [[(1, 2)]]}", "(1, 2) (tuple) comes back from JSON as a list"),
        ("{'any': [Mode.A]}", "comes back from JSON as 'a'; annotate it as Mode"),
        ("{'word': [Mode.A]}", "(Mode) does not fit str"),
        ("{'mode': ['b']}", "'b' (str) does not fit Mode"),
        ("{'mode': [Mode.A, 'a']}", "stands twice"),
    ],
)
def test_a_list_or_a_member_that_would_arrive_as_something_else_is_refused(
    experiments: Experiments, axes: str, told: str
) -> None:
    assert told in experiments.error(with_params(axes, "fit", LISTS))


@pytest.mark.parametrize("value", ["1.0", "True", "'1'"])
def test_a_value_of_another_type_is_told_where_it_stands(experiments: Experiments, value: str) -> None:
    text = experiments.error(with_params(f"{{'seed': [{value}]}}", "train"))
    assert "param 'seed' of stage 'train'" in text
    assert "does not fit int" in text
    assert "experiment.py:11" in text
    assert "declared at  experiment.py:3" in text
    call = experiments.error(with_params("{}", "simulate", f"\ndef simulate():\n    train(seed={value})\n"))
    assert "does not fit int" in call
    assert "experiment.py:12" in call


# ------------------------------------------------------------------------------------------------ paths and packages

TOOLS = """
@bash
def run_tool(done: Output = out("done.txt"), *, tool: Path, config: Path = repx.path("default.json")):
    return '"$tool/bin/tool" "$config" > "$done"'
"""


def test_a_path_and_a_package_may_be_params(experiments: Experiments) -> None:
    files = {"default.json": "{}", "configs/a.json": "1", "configs/b.json": "2"}
    software = FakeSoftware()
    text = TOOLS + "lab = Lab([Run('run', run_tool, params={'tool': [package('a'), package('b')]})])"
    graph = experiments.graph(text, files, software)
    assert counts(graph) == {"run_tool": 2}
    tools = values(graph, "run_tool", "tool")
    assert [type(tool) for tool in tools] == [PackageRef, PackageRef]
    assert len({tool.digest for tool in tools if isinstance(tool, PackageRef)}) == 2
    (config,) = {one for one in values(graph, "run_tool", "config") if isinstance(one, StoredPath)}
    assert config.name == "default.json"
    assert [name for name, _ in graph.packages] == ["a", "b"]
    assert {request.packages for request in software.requests} == {(), ("a",), ("b",)}
    text = TOOLS + "lab = Lab([Run('run', run_tool, params={'tool': package('a'), 'config': repx.files('configs')})])"
    assert counts(experiments.graph(text, files)) == {"run_tool": 2}


def test_the_content_of_a_path_param_and_the_software_of_a_package_param_count(experiments: Experiments) -> None:
    text = TOOLS + "lab = Lab([Run('run', run_tool, params={'tool': package('a')})])"
    before = ids(experiments.graph(text, {"default.json": "{}"}))
    assert ids(experiments.graph(text, {"default.json": "{}"})) == before
    assert ids(experiments.graph(text, {"default.json": "[]"})) != before
    other = FakeSoftware(versions={"a": "2"})
    assert ids(experiments.graph(text, {"default.json": "{}"}, other)) != before


def test_a_package_that_is_unknown_is_a_finding(experiments: Experiments) -> None:
    text = TOOLS + "lab = Lab([Run('run', run_tool, params={'tool': package('nope')})])"
    told = experiments.error(text, {"default.json": ""}, FakeSoftware(unknown=frozenset({"nope"})))
    assert "package nope: there is no nope" in told


def test_a_path_for_a_plain_param_of_python_is_told(experiments: Experiments) -> None:
    text = """
@stage
def read(made: Output = out("a"), *, config=None):
    made.write_text(str(config))
lab = Lab([Run("run", read, params={"config": repx.files("configs")})])
"""
    told = experiments.error(text, {"configs/a.json": ""})
    assert "param 'config' of stage 'read' was given the path 'a.json'" in told
    assert "config: Path" in told


# ----------------------------------------------------------------------------------------------------------- dynamic

DYNAMIC = """
@bash
def source(data: Output = out("data.txt"), *, n: int = 1):
    return 'echo "$n" > "$data"'
@bash(
    name=lambda p: f"train-{p.model}",
    inputs=lambda p: ["data", "weights"] if p.model == "tuned" else ["data"],
    outputs=lambda p: {"model": f"model-{p.model}.bin", **({"trace": "trace.txt"} if p.model == "tuned" else {})},
    resources=lambda p: Resources(mem="64G" if p.model == "large" else "8G", cpus=p.cpus),
)
def train(inputs: Inputs, outputs: Outputs, log: Output = out("log.txt"), *, model: str = "small", cpus: int = 1):
    return 'cp "${inputs[data]}" "${outputs[model]}"; touch "$log"'
@bash
def test(model: Input, score: Output = out("score.txt")):
    return 'cp "$model" "$score"'
"""


def test_a_dynamic_stage_has_the_shape_of_its_params(experiments: Experiments) -> None:
    text = DYNAMIC + (
        "def simulate(model):\n"
        "    weights = {'weights': source(n=2)} if model == 'tuned' else {}\n"
        "    test(model=train(data=source(), **weights).model)\n"
        "lab = Lab([Run('run', simulate, params={'model': ['small', 'large', 'tuned'], 'cpus': [1, 2]})])\n"
    )
    graph = experiments.graph(text)
    assert counts(graph) == {"source": 2, "train-small": 2, "train-large": 2, "train-tuned": 2, "test": 6}
    tuned = jobs(graph, "train-tuned")[0]
    assert dict(tuned.stage.outputs) == {"model": "model-tuned.bin", "trace": "trace.txt", "log": "log.txt"}
    assert sources(tuned) == [("data", "source.data"), ("weights", "source.data")]
    assert dict(jobs(graph, "train-small")[0].stage.outputs) == {"model": "model-small.bin", "log": "log.txt"}
    asked = {
        (one.stage.name, one.resources.mem, one.resources.cpus) for one in jobs(graph) if "train" in one.stage.name
    }
    sizes = {"small": 8, "large": 64, "tuned": 8}
    assert asked == {
        (f"train-{name}", size << 30, cpus) for (name, size), cpus in itertools.product(sizes.items(), (1, 2))
    }


def test_implicit_wiring_follows_the_shape(experiments: Experiments) -> None:
    text = DYNAMIC + (
        "def simulate():\n    test(train(source()))\n"
        "lab = Lab([Run('run', simulate, params={'model': ['small', 'large']})])\n"
    )
    graph = experiments.graph(text)
    assert [sources(one) for one in jobs(graph, "test")] == [
        [("model", "train-small.model")],
        [("model", "train-large.model")],
    ]


@pytest.mark.parametrize(
    ("pipeline", "params", "reason"),
    [
        ("test(model=train(data=source()).trace)", "{'model': ['small']}", "stage 'train-small' has no output 'trace'"),
        ("train(data=source(), weights=source())", "{'model': ['small']}", "'weights'"),
        ("train(data=source())", "{'model': ['tuned']}", "input 'weights' of stage 'train' is not wired"),
        ("train()", "{'model': ['small']}", "input 'data' of stage 'train' is not wired"),
        ("train(data=source())", "{'model': ['a/b']}", "stage 'train-a/b' cannot be part of a file name"),
        ("train(data=source())", "{'cpus': [0]}", "0 is not a number of cpus"),
    ],
)
def test_what_a_shape_cannot_be(experiments: Experiments, pipeline: str, params: str, reason: str) -> None:
    text = f"{DYNAMIC}def simulate():\n    {pipeline}\nlab = Lab([Run('run', simulate, params={params})])\n"
    told = experiments.error(text)
    assert reason in told
    assert "experiment.py:" in told


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("name=lambda p: p.modle", "stage 'work' has no param 'modle'"),
        ("name=lambda p: 3", "stage 3 cannot be part of a file name"),
        ("name=lambda p: 1 / 0", "name of stage 'work' failed: ZeroDivisionError"),
        ("name=lambda p, q: 'x'", "name of stage 'work' failed: TypeError"),
        ("outputs=lambda p: ['a']", "outputs of stage 'work' returned ['a']"),
        ("outputs=lambda p: {'a': '../x'}", "output 'a' of stage 'work' leaves $out"),
        ("outputs=lambda p: {'a b': 'x'}", "output 'a b' is not a name"),
        ("outputs=lambda p: {'a': 'x', 'b': 'x'}", "are the same file 'x'"),
        ("outputs=lambda p: {'log': 'x'}", "outputs of stage 'work' has 'log' twice"),
        ("outputs=lambda p: {'a': 'log'}", "are the same file 'log'"),
        ("resources=lambda p: '8G'", "resources of stage 'work' returned '8G'"),
        ("resources=lambda p: Resources(mem='8')", "'8' is not an amount of memory"),
    ],
)
def test_what_a_function_of_params_cannot_return(experiments: Experiments, options: str, reason: str) -> None:
    outputs = (
        "outputs: Outputs, log: Output = out('log')" if options.startswith("outputs") else "made: Output = out('made')"
    )
    text = (
        f"@bash({options})\ndef work({outputs}, *, model: str = 'x'):\n    return 'true'\n"
        "lab = Lab([Run('run', work, params={'model': ['a']})])\n"
    )
    told = experiments.error(text)
    assert reason in told
    assert "experiment.py:" in told


@pytest.mark.parametrize(
    ("options", "signature", "reason"),
    [
        ("inputs=lambda p: ['a b']", "inputs: Inputs, made: Output = out('made')", "input 'a b' is not a name"),
        ("inputs=lambda p: ['a', 'a']", "inputs: Inputs, made: Output = out('made')", "has 'a' twice"),
        ("inputs=lambda p: ['b']", "b: Input, inputs: Inputs, made: Output = out('made')", "has 'b' twice"),
        ("outputs=lambda p: {}", "outputs: Outputs", "outputs of stage 'work' returned {}"),
    ],
)  # fmt: skip
def test_what_inputs_and_outputs_cannot_be(experiments: Experiments, options: str, signature: str, reason: str) -> None:
    text = f"@bash({options})\ndef work({signature}):\n    return 'true'\nlab = Lab([Run('run', work)])\n"
    assert reason in experiments.error(text)


# --------------------------------------------------------------------------------------------------------- resources


def test_a_job_asks_for_the_most_that_anything_upstream_of_it_asks_for(experiments: Experiments) -> None:
    graph = experiments.graph(
        """
@bash(resources=Resources(mem="16G", cpus=1, time="10:00:00", partition="long"))
def first(a: Output = out("a")):
    return 'touch "$a"'
@bash(resources=Resources(cpus=4))
def second(a: Input, b: Output = out("b")):
    return 'cp "$a" "$b"'
@bash(resources=Resources(mem="32G", time="1h", partition="short"))
def third(b: Input, c: Output = out("c")):
    return 'cp "$b" "$c"'
@bash(resources=Resources(mem="1G", inherit=False))
def alone(b: Input, c: Output = out("c")):
    return 'cp "$b" "$c"'
def simulate():
    made = second(first())
    third(made)
    alone(made)
lab = Lab([Run("run", simulate)])
"""
    )
    gib = 1024 * MIB
    assert job(graph, "first").resources == Resources(mem="16G", cpus=1, time="10:00:00", partition="long")
    assert job(graph, "second").resources == Resources(mem="16G", cpus=4, time="10:00:00", partition="long")
    third = job(graph, "third").resources
    assert (third.mem, third.cpus, third.time, third.partition) == (32 * gib, 4, 36000, "short")
    assert job(graph, "alone").resources == Resources(mem="1G", inherit=False)


def test_the_maximum_stays_within_a_pipeline(experiments: Experiments) -> None:
    graph = experiments.graph(
        """
@bash(resources=Resources(mem="16G"))
def big(a: Output = out("a")):
    return 'touch "$a"'
@stage
def look(big_run: Results, made: Output = out("made")):
    made.write_text("")
first = Run("big-run", big)
lab = Lab([first, Run("look", look, after=[first])])
"""
    )
    assert job(graph, "look").resources == Resources()


def test_a_job_that_two_pipelines_share_asks_for_one_thing(experiments: Experiments) -> None:
    # The same job, made twice: what it asks for is a matter of its own upstream, so both say the same.
    text = STAGES + "lab = Lab([Run('run', pipelines=[both, train])])"
    assert counts(experiments.graph(text)) == {"train": 1, "test": 1}

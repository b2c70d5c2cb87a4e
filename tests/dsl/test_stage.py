"""Stages: the signature as the interface, what the decorators take, and what is refused before any pipeline runs."""

# ruff: noqa: E501 - a case is a line

from __future__ import annotations

import inspect

import pytest

import repx
from repx.dsl.param_types import ParamSpec
from repx.dsl.stage import Stage
from repx.errors import DefinitionError
from repx.model.resources import Resources
from tests.experiments import PRELUDE, Experiments, experiments_fixture, job
from tests.fakes.software import FakeSoftware

__all__ = ["experiments_fixture"]

RUN = "\nlab = Lab([Run('run', work)])\n"


def stage_of(experiments: Experiments, text: str) -> Stage:
    """The stage called `work` of an experiment."""
    lab = experiments.lab(text + RUN)
    stage = lab.runs[0].pipelines[0]
    assert isinstance(stage, Stage)
    return stage


def test_a_signature_is_an_interface(experiments: Experiments) -> None:
    stage = stage_of(
        experiments,
        """
@bash
def work(data: Input, more: Inputs, sweep: Results, maybe: Input | None, plot: Output = out("plots/a.png"), *,
         rate: float = 1, name: str = "x", on: bool, any=None):
    "What it is for."
    return "true"
""",
    )
    interface = stage.interface
    assert [(spec.name, spec.kind, spec.is_optional) for spec in interface.inputs] == [
        ("data", "path", False),
        ("more", "paths", False),
        ("sweep", "results", False),
        ("maybe", "path", True),
    ]
    assert interface.outputs == (("plot", "plots/a.png"),)
    assert [(param.name, param.default, param.required) for param in interface.params] == [
        ("any", None, False),
        ("name", "x", False),
        ("on", None, True),
        ("rate", 1.0, False),
    ]
    assert type(interface.params[3].default) is float
    assert (stage.name, stage.options.version, stage.doc) == ("work", "1", "What it is for.")


def test_annotations_may_be_texts(experiments: Experiments) -> None:
    text = '@bash\ndef work(data: "Input | None", made: "Output" = out("a"), *, n: "int" = 1):\n    return "true"\n'
    interface = stage_of(experiments, text).interface
    assert [spec.is_optional for spec in interface.inputs] == [True]
    assert [param.name for param in interface.params] == ["n"]


def test_a_decorator_takes_all_that_is_not_in_the_signature(experiments: Experiments) -> None:
    stage = stage_of(
        experiments,
        """
@stage(name="train-it", version="2.1", packages=["b", package("a"), "b"], resources=Resources(mem="2G"),
       env={"B": "2", "A": "1"}, realizations=3, impure=True)
def work(model: Output = out("$out/model.bin"), *, index):
    model.write_text(str(index))
""",
    )
    assert (stage.name, stage.options.version, stage.options.packages) == ("train-it", "2.1", ("a", "b"))
    assert stage.resources == Resources(mem="2G")
    assert stage.options.env == (("A", "1"), ("B", "2"))
    assert (stage.options.realizations, stage.options.impure, stage.interface.takes_index) == (3, True, True)
    assert stage.interface.outputs == (("model", "model.bin"),)
    assert stage.interface.params == ()


def test_index_is_a_param_like_any_other_without_realizations(experiments: Experiments) -> None:
    stage = stage_of(experiments, "@bash\ndef work(made: Output = out('a'), *, index: int = 3):\n    return 'true'\n")
    assert [param.name for param in stage.interface.params] == ["index"]


def test_the_package_set_is_asked_once_for_all_stages(experiments: Experiments) -> None:
    software = FakeSoftware()
    graph = experiments.graph(
        """
@bash(packages=["sed"])
def one(data: Output = out("a"), *, n: int = 1):
    return '''sed s/a/b/ <<< "$n" > "$data"'''
@stage(packages=["numpy"])
def two(data: Input, made: Output = out("a")):
    import numpy
    made.write_text("")
def simulate():
    two(one())
lab = Lab([Run("run", simulate, params={"n": [1, 2, 3]}), Run("again", simulate)])
""",
        software=software,
    )
    assert software.calls == 1
    asked = {request.stage: request for request in software.requests}
    assert sorted(asked) == ["one", "two"]
    assert asked["one"].packages == ("sed",)
    assert asked["one"].script == 'sed s/a/b/ <<< "$n" > "$data"'
    assert (asked["one"].origin.line, asked["two"].origin.line) == (4, 6)
    assert {"data", "n", "out", "inputs", "outputs", "params"} <= set(asked["one"].variables)
    assert [module.name for module in asked["two"].imports] == ["numpy"]
    assert len(list(graph.jobs())) == 6


def test_all_findings_of_all_stages_are_told_at_once(experiments: Experiments) -> None:
    text = experiments.error(
        """
@bash(packages=["nope"])
def one(data: Output = out("a")):
    return 'true > "$data"'
@stage(packages=["neither"])
def two(data: Input, made: Output = out("a")):
    made.write_text("")
def simulate():
    two(one())
lab = Lab([Run("run", simulate)])
""",
        software=FakeSoftware(unknown=frozenset({"nope", "neither"})),
    )
    assert text == (
        "error: 2 findings in 2 stages\n"
        "  experiment.py:4: one: there is no nope\n"
        "  experiment.py:6: two: there is no neither\n"
        "hint: nothing was written; correct these and run the same command again"
    )


def test_a_script_may_stand_in_a_file_beside_the_experiment(experiments: Experiments) -> None:
    text = "@bash(script='bin/work.sh')\ndef work(data: Output = out('a')):\n    ...\n" + RUN
    graph = experiments.graph(text, {"bin/work.sh": 'echo "$out" > "$data"\n'})
    script = job(graph, "work").stage.script
    assert script is not None
    assert (script.text, script.origin.line) == ('echo "$out" > "$data"\n', 1)
    assert script.origin.file.endswith("bin/work.sh")
    missing = experiments.error(text.replace("work.sh", "nope.sh"))
    assert "the script of stage 'work' cannot be read" in missing
    assert "experiment.py:3" in missing


def test_a_script_file_is_taken_as_its_bytes(experiments: Experiments) -> None:
    text = "@bash(script='work.sh')\ndef work(data: Output = out('a')):\n    ...\n" + RUN
    lines = 'cat > "$data" <<END\na\r\nb\rc\nEND\n'
    experiments.write({"experiment.py": ""})
    (experiments.folder / "work.sh").write_bytes(lines.encode())
    script = job(experiments.graph(text), "work").stage.script
    assert script is not None
    assert script.text == lines
    (experiments.folder / "work.sh").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert "begins with a byte order mark (BOM)" in experiments.error(text)


WORK = "def work({}):\n    return 'true'"


@pytest.mark.parametrize(
    ("decorator", "signature", "reason"),
    [
        ("@bash", "data: Input", "stage 'work' has no output"),
        ("@bash", "made: Output", "output 'made' of stage 'work' says no path"),
        ("@bash", "made: Output = 'a.txt'", "output 'made' of stage 'work' says no path"),
        ("@bash", "made: Output = out('/etc/x')", "output 'made' of stage 'work' leaves $out: '/etc/x'"),
        ("@bash", "made: Output = out('../x')", "output 'made' of stage 'work' leaves $out: '../x'"),
        ("@bash", "made: Output = out('a//b')", "output 'made' of stage 'work' has the path 'a//b'"),
        ("@bash", "made: Output = out('')", "output 'made' of stage 'work' has the path ''"),
        ("@bash", "a: Output = out('x'), b: Output = out('x')", "outputs 'a' and 'b' of stage 'work' are the same file 'x'"),
        ("@bash", "a=out('x')", "parameter 'a' of stage 'work' has an out(…) default but is not an Output"),
        ("@bash", "data: Input = 'x', a: Output = out('x')", "input 'data' of stage 'work' has the default 'x'"),
        ("@bash", "*rest, a: Output = out('x')", "stage 'work' takes *rest"),
        ("@bash", "a: Output = out('x'), **rest", "stage 'work' takes *rest"),
        ("@bash", "a: Output = out('x'), n: int = 'x'", "the default of param 'n' of stage 'work' is 'x': 'x' (str) does not fit int"),
        ("@bash", "a: Output = out('x'), n: int = True", "True (bool) does not fit int"),
        ("@bash", "a: Output = out('x'), n: float = True", "True (bool) does not fit float"),
        ("@bash", "a: Output = out('x'), n: Path = 'x'", "'x' (str) does not fit Path"),
        ("@bash", "a: Output = out('x'), n=[{1}]", "{1} is a set"),
        ("@bash", "a: Output = out('x'), n=float('nan')", "nan is not a finite number"),
        ("@bash", "a: Output = out('x'), n: Literal['s', 'l'] = 'm'", "'m' (str) does not fit Literal['s', 'l']"),
        ("@bash", "a: Output = out('x'), n: object() = 1", "has an annotation that is not a type of a param"),
        ("@bash", "a: 'Nowhere' = out('x')", "an annotation of stage 'work' cannot be evaluated: name 'Nowhere' is not defined"),
        ("@bash", "PATH: Output = out('x')", "parameter 'PATH' has a name that the shell or repx uses itself"),
        ("@bash", "a: Output = out('x'), inputs=1", "parameter 'inputs' has a name that the shell or repx uses itself"),
        ("@bash", "a: Output = out('x'), BASH_X=1", "parameter 'BASH_X' has a name that the shell or repx uses itself"),
        ("@bash", "größe: Output = out('x')", "parameter 'größe' is not a name"),
        ("@bash", "a: Outputs", "the parameter of type Outputs must be named 'outputs', not 'a'"),
        ("@bash", "outputs: Outputs", "stage 'work' asks for 'outputs' but has none"),
        ("@bash", "inputs: Inputs, a: Output = out('x')", "stage 'work' asks for 'inputs' but has none"),
        ("@bash(outputs=lambda p: {})", "a: Output = out('x')", "has outputs that depend on params but does not ask for them"),
        ("@bash(inputs=['a'])", "inputs: Inputs, a: Output = out('x')", "inputs of stage 'work' is not a function of the params"),
        ("@bash(name='a/b')", "a: Output = out('x')", "stage 'a/b' cannot be part of a file name"),
        ("@bash(version='1-2')", "a: Output = out('x')", "version '1-2' may not contain '-'"),
        ("@bash(version=1)", "a: Output = out('x')", "version 1 is not a text"),
        ("@bash(packages='jq')", "a: Output = out('x')", "packages of stage 'work' is 'jq'"),
        ("@bash(env={'A': 1})", "a: Output = out('x')", "env of stage 'work' has 'A': 1"),
        ("@bash(env={'A=B': '1'})", "a: Output = out('x')", "env of stage 'work' has 'A=B'"),
        ("@bash(env={'A': 'é' * 65536})", "a: Output = out('x')", "env of stage 'work' has 'A' with 65,536 characters"),
        ("@bash(env={f'A{n}': 'x' * 100000 for n in range(11)})", "a: Output = out('x')", "env of stage 'work' has 1,100"),
        ("@bash(realizations=0)", "a: Output = out('x')", "realizations of stage 'work' is 0, not a number ≥ 1"),
        ("@bash(realizations=100_001)", "a: Output = out('x')", "a Lab holds at most 100000"),
            ("@bash(realizations=True)", "a: Output = out('x')", "realizations of stage 'work' is True, not a number ≥ 1"),
        ("@bash(resources='2G')", "a: Output = out('x')", "resources of stage 'work' is '2G'"),
        ("@bash(resources=Resources(mem='2X'))", "a: Output = out('x')", "'2X' is not an amount of memory"),
    ],
)  # fmt: skip
def test_what_a_stage_cannot_be(experiments: Experiments, decorator: str, signature: str, reason: str) -> None:
    text = experiments.error(f"{decorator}\n{WORK.format(signature)}\n{RUN}")
    assert reason in text
    assert "experiment.py:" in text


@pytest.mark.parametrize(("word", "given"), [("bash", "3"), ("stage", "'work'"), ("stage", "print")])
def test_a_decorator_decorates_functions(experiments: Experiments, word: str, given: str) -> None:
    text = experiments.error(f"\n{word}({given})\n")
    assert f"@{word} decorates a function, not" in text
    assert "experiment.py:2" in text


def convert(experiments: Experiments, annotation: str, value: object) -> object:
    stage = stage_of(experiments, f"@bash\ndef work(a: Output = out('x'), *, n: {annotation}):\n    return 'true'\n")
    (param,) = stage.interface.params
    assert isinstance(param, ParamSpec)
    return param.convert(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("annotation", "value", "kept"),
    [
        ("float", 1, 1.0),
        ("float", 1.5, 1.5),
        ("int", 1, 1),
        ("bool", True, True),
        ("str", "", ""),
        ("object", 1, 1),
        ("int | str", 1, 1),
        ("int | str", "1", "1"),
        ("int | None", 2, 2),
        ("float | None", 2, 2.0),
        ("bool | int", 1, 1),
        ("int | float", 1, 1),
        ("Literal['a', 2]", 2, 2),
    ],
)
def test_a_value_that_fits_keeps_its_type_but_int_for_float(
    experiments: Experiments, annotation: str, value: object, kept: object
) -> None:
    made = convert(experiments, annotation, value)
    assert (type(made), made) == (type(kept), kept)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("int", 1.0),
        ("int", True),
        ("int", "1"),
        ("float", "1"),
        ("float", True),
        ("bool", 1),
        ("str", 1),
        ("int | str", 1.5),
        ("int | None", True),
        ("int | float", True),
        ("Literal['a', 2]", "b"),
        ("Literal[1]", True),
        ("Literal[1]", 1.0),
        ("Literal[True]", 1),
        ("bool | str", 1),
        ("Path", "x"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(experiments: Experiments, annotation: str, value: object) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        convert(experiments, annotation, value)


def test_a_stage_called_outside_a_pipeline_makes_a_node_and_runs_nothing(experiments: Experiments) -> None:
    stage = stage_of(experiments, "@stage\ndef work(a: Output = out('x')):\n    raise RuntimeError\n")
    node = stage()
    assert repr(node) == "<node work>"
    assert repr(node.a) == "<output a of work>"
    with pytest.raises(DefinitionError, match="has no output 'b'"):
        node.b  # noqa: B018 - asking for it is what is refused


def test_the_prelude_is_one_line() -> None:
    assert PRELUDE.count("\n") == 1


def test_the_decorators_show_each_keyword_with_its_default() -> None:
    shared = (
        "name: 'str | Dynamic | None' = None, version: 'str' = '1', packages: 'Sequence[str]' = (), "
        "resources: 'Resources | Dynamic | None' = None, env: 'Mapping[str, str] | None' = None, "
        "inputs: 'Dynamic | None' = None, outputs: 'Dynamic | None' = None, realizations: 'int | None' = None, "
        "impure: 'bool' = False, retries: 'Retry | int' = 0) -> 'Any'"
    )
    function = "(function: 'Callable[..., Any] | None' = None, *, "
    assert str(inspect.signature(repx.stage)) == function + shared
    assert str(inspect.signature(repx.bash)) == function + "script: 'str | Path | None' = None, " + shared


@pytest.mark.parametrize("decorator", ["stage", "bash"])
def test_a_keyword_that_is_misspelt_is_told(experiments: Experiments, decorator: str) -> None:
    text = experiments.error(f"@{decorator}(packges=['jq'])\ndef work(o: Output = out('o')):\n    return ''\n")
    assert f"@{decorator} takes no 'packges'" in text
    assert "experiment.py:" in text
    assert "did you mean packages?" in text

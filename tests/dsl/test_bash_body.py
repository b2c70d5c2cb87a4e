"""The body of a Bash stage: a text of shell variables, and nothing that a placeholder could silently get wrong."""

from __future__ import annotations

import pytest

from tests.experiments import Experiments, experiments_fixture, job

__all__ = ["experiments_fixture"]


def body(expression: str, before: str = "") -> str:
    """A stage whose body returns this expression, on line 4."""
    return (
        '@bash\ndef work(data: Input = repx.path("x"), more: Inputs = None, made: Output = out("a"), *, '
        f"model: str = 'large', n: int = 1):\n    {before}return {expression}\nlab = Lab([Run('run', work)])\n"
    )


def script(experiments: Experiments, text: str) -> str:
    made = job(experiments.graph(text, {"x": ""}), "work").stage.script
    assert made is not None
    return made.text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ('f"cp {data} {made} {n}"', "cp ${data} ${made} ${n}"),
        ('f"cat {more} > {made}"', "cat ${more[@]} > ${made}"),
        ("'echo ' + str(n)", "echo ${n}"),
        ("'echo %s %s' % (n, model)", "echo ${n} ${model}"),
        ("'echo {} {n}'.format(model, n=n)", "echo ${model} ${n}"),
        ("f'{n!s}'", "${n}"),
        ("f'{model}_v2 {n}[0] {made}s'", "${model}_v2 ${n}[0] ${made}s"),
        ("' '.join(['echo', str(n)])", "echo ${n}"),
        ("'echo \"$n\" $((n + 1)) ${model%x}'", 'echo "$n" $((n + 1)) ${model%x}'),
    ],
)
def test_a_placeholder_prints_as_its_shell_variable(experiments: Experiments, expression: str, text: str) -> None:
    assert script(experiments, body(expression)) == text


def test_dynamic_inputs_and_outputs_are_looked_up_in_their_arrays(experiments: Experiments) -> None:
    text = """
@bash(outputs=lambda p: {"model": f"model-{p.n}.bin"})
def work(outputs: Outputs, *, n: int = 1):
    return f"touch {outputs['model']}"
lab = Lab([Run("run", work)])
"""
    assert script(experiments, text) == "touch ${outputs[model]}"


@pytest.mark.parametrize(
    ("expression", "how"),
    [
        ('"a" if model == "large" else "b"', "'model' of @bash stage 'work' was compared"),
        ('"a" if model != "large" else "b"', "compared"),
        ('"a" if "large" == model else "b"', "compared"),
        ('"a" if n > 2 else "b"', "compared"),
        ('"a" if model else "b"', "'model' of @bash stage 'work' was tested"),
        ('"a" if not model else "b"', "tested"),
        ('str(n + 1)', "'n' of @bash stage 'work' was computed with"),
        ('str(1 + n)', "computed with"),
        ('"x" * n', "computed with"),
        ('str(n * 2)', "computed with"),
        ('str(-n)', "computed with"),
        ('str(int(n))', "computed with"),
        ('str(len(model))', "computed with"),
        ('str("l" in model)', "computed with"),
        ('str(range(n))', "computed with"),
        ('open(data).read()', "computed with"),
        ('" ".join(str(one) for one in more)', "'more' of @bash stage 'work' was iterated over"),
        ('" ".join(more)', "iterated over"),
        ('f"{n:3d}"', "'n' of @bash stage 'work' was formatted with '3d'"),
        ('f"{n:>8}"', "formatted with '>8'"),
        ('"{:.2f}".format(n)', "formatted with '.2f'"),
        ('{"large": "a"}[model]', "'model' of @bash stage 'work' was used as a key"),
        ('"a" if model in {"large", "small"} else "b"', "used as a key"),
        ('model[0]', "'model' of @bash stage 'work' was indexed"),
        ('model.upper()', "'model' of @bash stage 'work' was asked for .upper"),
        ('data.read_text()', "asked for .read_text"),
        ('data / "x"', "computed with"),
        ('f"{n!r}"', "formatted with !r"),
        ('"%r" % (n,)', "formatted with !r"),
        ('str([n])', "formatted with !r"),
        ('"%d" % n', "computed with"),
    ],
)  # fmt: skip
def test_a_placeholder_is_nothing_else(experiments: Experiments, expression: str, how: str) -> None:
    text = experiments.error(body(expression), {"x": ""})
    assert f"was {how}" in text or how in text
    assert "its value is known only when the job runs" in text
    assert "experiment.py:4" in text


def test_the_hint_says_what_to_do_instead(experiments: Experiments) -> None:
    assert experiments.error(body('"a" if model == "large" else "b"'), {"x": ""}) == (
        "error: 'model' of @bash stage 'work' was compared; its value is known only when the job runs\n"
        "  at  experiment.py:4\n"
        "hint: do it in the shell, with ${model}; or branch in the pipeline, whose arguments are values"
    )


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("None", "@bash stage 'work' returned None, not a script"),
        ("3", "@bash stage 'work' returned int, not a script"),
        ("n", "@bash stage 'work' returned Placeholder, not a script"),
        ("''", "the script of stage 'work' is empty"),
        ("'  \\n'", "the script of stage 'work' is empty"),
        ("'a\\0b'", "the script of stage 'work' contains a NUL character"),
        ("1 / 0", "the body of @bash stage 'work' failed: ZeroDivisionError"),
    ],
)
def test_what_is_no_script(experiments: Experiments, expression: str, reason: str) -> None:
    text = experiments.error(body(expression), {"x": ""})
    assert reason in text
    assert "experiment.py:" in text


def test_a_sweep_shares_one_script(experiments: Experiments) -> None:
    text = "CALLS = []\n" + body('f"echo {n} {len(CALLS)}"', "CALLS.append(1); ").replace(
        "Run('run', work)", "Run('run', work, params={'n': [1, 2, 3]})"
    )
    graph = experiments.graph(text, {"x": ""})
    scripts = {one.stage.script.text for one in graph.jobs() if one.stage.script}
    assert scripts == {"echo ${n} 1"}
    assert len(list(graph.jobs())) == 3

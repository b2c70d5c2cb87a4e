"""Values of params, for real: whatever a user gives, a Bash and a Python stage see the same; asks nothing else."""

# ruff: noqa: E501 - values stand many to a line

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from repx.agent.base.files import remove_tree
from repx.agent.base.value import shell_text
from repx.lab.directory import LabDirectory
from repx.model.values import Value, identity, param_value
from tests.experiments import Experiments, experiments_fixture
from tests.runtime.world import World, a_world

__all__ = ["a_world", "experiments_fixture"]

EXPERIMENT = '''
import json, pathlib
VALUES = json.loads(pathlib.Path(__file__).with_name("values.json").read_text(encoding="utf-8"))
@bash
def in_bash(text: Output = out("text"), member: Output = out("it's a \\"member\\" of $params\\\\n"), *, v=None):
    return """printf %s "$v" > "$text"; printf %s "${params[v]-unset}" > "$member" """
@stage
def in_python(text: Output = out("text"), kind: Output = out("it's a \\"member\\" of $params\\\\n"), *, v=None):
    import json
    text.write_text(json.dumps(v))
    kind.write_text(type(v).__name__)
lab = Lab(runs=[Run("run", pipelines=[in_bash, in_python], params={"v": VALUES})])
'''
MEMBER = 'it\'s a "member" of $params\\n'

NASTY: list[Value] = [
    "", " ", "  two  ", "\n", "\n\n", "a\n", "\na", "a\nb\n\n", "\t", "\r\n", "'", "''", '"', "'\"'", "\\", "\\\\", "\\n", "$", "$v",
    "${v}", "$(touch x)", "`touch x`", "!", "!!", "#", "# no", "*", "?", "[a]", "~", "~root", "a b", "-n", "-e", "--", "%s", "%d%n",
    "null", "true", "1", "1.0", "{}", "[]", '{"a": "b"}', '"v": 3', '\\"v\\": 3,', "ä", "長さ", "🐍", "e\u0301", "\u2028", "\u00a0",
    "\ufeff", "\x01", "\x1b[31m", "\x7f", "x" * 5000, "&&", ";", "|", ">", "<", "&", "(", ")", "EOF", "a=b", "\\0", "\\u0000",
    True, False, 0, 1, -1, 2**53 + 1, 2**70, -(2**70), 0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, 1e16, 1e22, 123456789.123456789, None,
    [], {}, [64, 64], [[]], [1, 1.0, True, None, "1", -0.0], {"b": [1], "a": {"it's": '"v": 3'}}, {"": "\n", "v": 2.0}, ["a\nb'c", "$x"],
]  # fmt: skip

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
shells = st.text("ab \t\n'\"\\$`!*?[]{}()<>|&;#~=-%\r", max_size=12)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
plain: st.SearchStrategy[Value] = st.none() | st.booleans() | numbers | texts | shells
nested: st.SearchStrategy[Value] = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
scalars = plain | nested


@pytest.fixture(name="fresh_worlds")
def fresh_worlds_fixture() -> Iterator[Path]:
    """A folder for worlds: hypothesis makes several in one test."""
    place = Path(tempfile.mkdtemp(prefix="repx-values-"))
    yield place
    remove_tree(str(place))


def results(world: World, values: Sequence[Value]) -> dict[str, list[tuple[Value, dict[str, str]]]]:
    """What the jobs of each stage wrote, by stage: the value in the Lab, and the texts of the outputs."""
    (world.root / "values.json").write_text(json.dumps(values), encoding="utf-8")
    world.write(EXPERIMENT)
    done = world.repx("run", "--json", "experiment.py")
    assert done.status == 0, done.stderr + done.stdout
    found: dict[str, list[tuple[Value, dict[str, str]]]] = {}
    for job in LabDirectory(world.root / "result").jobs():
        out = world.store / "outputs" / job.id / "out"
        written = {name: (out / path).read_bytes().decode() for name, path in job.stage.outputs.items()}
        found.setdefault(job.stage.name, []).append((job.params["v"], written))
    return found


def check(world: World, values: Sequence[Value]) -> None:
    found = results(world, values)
    expected = sorted(identity(value) for value in values)
    for stage in ("in_bash", "in_python"):
        assert sorted(identity(value) for value, _ in found[stage]) == expected
    for value, written in found["in_bash"]:
        assert written == {
            "text": param_value(value).shell(),
            "member": "unset" if value is None else param_value(value).shell(),
        }
    for value, written in found["in_python"]:
        assert (written["text"], written["kind"]) == (json.dumps(value), type(value).__name__)


SHAPED = """
import enum, typing
class Mode(enum.Enum):
    A = "a"
    B = "b"
class Level(enum.IntEnum):
    LOW = 1
@stage
def show(text: Output = out("text"), *, size: tuple[int, int] = (3, 4), any=(1, 2), mode: Mode = Mode.A, maybe: Mode | None = None,
         modes: list[Mode] = [Mode.B], level: Level = Level.LOW, pair: tuple[str, Mode] = ("q", Mode.A), names: typing.Sequence[str] = ("a",),
         deep: dict[str, list[tuple[float, ...]]] = {"x": [(1, 2.5), ()]}):
    text.write_text(repr((size, any, mode, maybe, modes, level, pair, names, deep)))
def work(mode):
    show(mode=mode, size=[5, 6], maybe=Mode.B)
lab = Lab(runs=[Run("run", show), Run("more", work, params={"mode": [Mode.B]})])
"""


def test_tuples_and_members_of_enums_arrive_as_such(world: World) -> None:
    world.write(SHAPED)
    done = world.repx("run", "experiment.py")
    assert done.status == 0, done.stderr
    found = {path.read_text() for path in (world.store / "outputs").rglob("out/text")}
    same = "[<Mode.B: 'b'>], <Level.LOW: 1>, ('q', <Mode.A: 'a'>), ['a'], {'x': [(1.0, 2.5), ()]})"
    assert found == {
        f"((3, 4), (1, 2), <Mode.A: 'a'>, None, {same}",
        f"((5, 6), (1, 2), <Mode.B: 'b'>, <Mode.B: 'b'>, {same}",
    }
    params = [job.params for job in LabDirectory(world.root / "result").jobs()]
    assert sorted((one["mode"], one["size"]) for one in params) == [("a", [3, 4]), ("b", [5, 6])]


def test_a_text_is_the_same_for_the_shell() -> None:
    assert [shell_text(value) for value in ("a\n", True, 1, 1.0, None)] == ["a\n", "true", "1", "1.0", ""]


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(scalars, min_size=20, max_size=40, unique_by=identity))
@example(NASTY)
def test_every_value_reaches_every_stage_unchanged(fresh_worlds: Path, values: list[Value]) -> None:
    root = Path(tempfile.mkdtemp(dir=fresh_worlds))
    world = World(root)
    try:
        check(world, values)
    finally:
        world.tidy()
        remove_tree(str(root))


# ------------------------------------------------------------------------------------------- by hand, as another runtime


def script_of(world: World, text: str, stage: str) -> Path:
    """The script of a stage, as it stands in the Lab of an experiment."""
    world.realize(text)
    (job,) = {job.stage.executable for job in LabDirectory(world.root / "result").jobs() if job.stage.name == stage}
    return world.root / "result" / str(job)


def by_hand(script: Path, root: Path, inputs: dict[str, Any], params: dict[str, Any]) -> Path:
    """`<script> OUT INPUTS.json PARAMS.json`, with nothing of repx around it."""
    (root / "inputs.json").write_text(json.dumps(inputs))
    (root / "params.json").write_text(json.dumps(params))
    argv = [str(script), str(root / "out"), str(root / "inputs.json"), str(root / "params.json")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=root, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    return root / "out"


needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="no jq on PATH")


@needs_jq
def test_a_bash_script_reads_json_when_nobody_wrote_assignments(world: World) -> None:
    (world.root / "values.json").write_text("[null]")
    script = script_of(world, EXPERIMENT, "in_bash")
    # A run by hand starts jq several times: the texts go together, but for those whose ends matter.
    together = "".join(value for value in NASTY if isinstance(value, str))
    ends: list[Value] = ["", " ", "\n", "a\n\n", "null", "-n", '"v": 3', '\\"v\\": 3,']
    for value in [together, *ends, *(value for value in NASTY if not isinstance(value, str))]:
        out = by_hand(script, world.root, {}, {"v": value})
        text = (out / "text").read_bytes().decode()
        if isinstance(value, list | dict):
            # jq makes doubles of the numbers in it.
            assert json.loads(text) == value
            continue
        assert text == param_value(value).shell()
        assert (out / MEMBER).read_bytes().decode() == ("unset" if value is None else param_value(value).shell())


def test_a_python_script_needs_its_json_alone(world: World) -> None:
    (world.root / "values.json").write_text("[null]")
    script = script_of(world, EXPERIMENT, "in_python")
    for value in ("a\n$'\"", 1.0, 2**70, None, True):
        out = by_hand(script, world.root, {}, {"v": value})
        assert (out / "text").read_text() == json.dumps(value)


SHAPES = '''
@bash
def work(one: Input, several: Inputs, none: Input | None = None, text: Output = out("a/b c/text"), *, end="x", If: int = 1):
    return """printf '%s|' "$one" "${several[@]}" "$none" "${inputs[one]}" "${inputs[several]}" "${inputs[none]-unset}" \\\\
        "$end" "$If" "$PWD" "${outputs[text]}" "$text" "$(ls -A "$out")" > "$text" """
@bash
def make(data: Output = out("data")):
    return 'touch "$data"'
def simulate():
    made = make()
    work(one=made, several=[made, made])
lab = Lab(runs=[Run("run", simulate)])
'''


@needs_jq
def test_inputs_lists_and_a_fresh_directory_are_the_same_by_hand(world: World) -> None:
    script = script_of(world, SHAPES, "work")
    spaced = world.root / "a b'c\nd"
    spaced.mkdir()
    stale = world.root / "out" / ".stale"
    stale.parent.mkdir()
    stale.write_text("")
    inputs = {"one": str(spaced), "several": [str(spaced), "x y"], "none": None}
    out = by_hand(script, world.root, inputs, {"end": "done", "If": 3})
    expected = [spaced, spaced, "x y", "", spaced, f"{spaced}\nx y", "unset", "done", 3, out, out / "a/b c/text"]
    expected += [out / "a/b c/text", "a"]
    assert (out / "a/b c/text").read_text() == "".join(f"{one}|" for one in expected)
    empty = by_hand(script, world.root, {"one": "1", "several": []}, {"end": "", "If": -1})
    assert (empty / "a/b c/text").read_text().startswith("1||1||unset||-1|")


def test_the_runtime_gives_the_same_shapes(world: World) -> None:
    world.write(SHAPES)
    assert world.repx("run", "experiment.py").status == 0
    text = world.output("work", "a/b c/text").split("|")
    one, first, second, none, by_name, all_of_them, unset, end, number, here, *places = text
    assert [Path(path).name for path in (one, first, second, by_name)] == ["data"] * 4
    assert all_of_them == f"{first}\n{second}"
    assert (none, unset, end, number) == ("", "unset", "x", "1")
    assert places == [f"{here}/a/b c/text", f"{here}/a/b c/text", "a", ""]


# ----------------------------------------------------------------------------------------------------- what is refused


def test_nul_is_refused_for_the_shell_and_reaches_python(experiments: Experiments, world: World) -> None:
    bash = '@bash\ndef work(made: Output = out("a"), *, v="x"):\n    return "echo $v > $made"\n'
    told = experiments.error(bash + "lab = Lab([Run('run', work, params={'v': ['a\\0b']})])")
    assert "param 'v' of stage 'work': 'a\\x00b' holds a NUL character" in told
    assert "experiment.py:5" in told
    (world.root / "values.json").write_text('["a\\u0000b"]')
    world.write(EXPERIMENT.replace("pipelines=[in_bash, in_python]", "pipelines=[in_python]"))
    assert world.repx("run", "experiment.py").status == 0
    assert json.loads(world.output("in_python", "text")) == "a\0b"


def test_half_a_character_is_refused(experiments: Experiments) -> None:
    python = '@stage\ndef work(made: Output = out("a"), *, v="x"):\n    made.write_text(v)\n'
    told = experiments.error(python + "lab = Lab([Run('run', work, params={'v': ['a\\ud800b']})])")
    assert "holds half a character" in told

"""What a user names like something of the script around a Python body, or like a built-in function, is the user's."""

from __future__ import annotations

from tests.runtime.world import World, a_world

__all__ = ["a_world"]

NAMES = (
    "params inputs outputs json os sys shutil io out file entry stage arguments Path open print main inputs_json name"
).split()

EXPERIMENT = "from repx import Lab, Output, Run\nimport repx\n" + "".join(
    f"""
@repx.stage
def {name}(made: Output = repx.out("made.txt"), *, os: int = 1):
    made.write_text("{name}")
"""
    for name in NAMES
)


def test_a_stage_may_be_called_like_anything_in_its_script(world: World) -> None:
    world.write(EXPERIMENT + f"lab = Lab([Run('run', pipelines=[{', '.join(NAMES)}])])\n")
    assert world.repx("run", "experiment.py").status == 0
    found = {path.read_text() for path in (world.root / "store" / "outputs").rglob("out/made.txt")}
    assert found == set(NAMES)


def test_a_helper_may_be_called_like_anything_in_its_script(world: World) -> None:
    helpers = "".join(f"def {name}(): return '{name}'\n" for name in NAMES if name not in ("stage", "out"))
    calls = ", ".join(f"{name}()" for name in NAMES if name not in ("stage", "out"))
    body = f"""
@repx.stage
def work(made: Output = repx.out("made.txt"), *, x: int = 1):
    made.write_text("".join([{calls}]))
lab = Lab([Run("run", work)])
"""
    world.write("from repx import Lab, Output, Run\nimport repx\n" + helpers + body)
    assert world.repx("run", "experiment.py").status == 0


MAPPED = """
@stage(outputs=lambda p: {"metrics.csv": "m/metrics.csv", "data-x": "x.txt"})
def first(outputs: Outputs, *, x: int = 1):
    outputs["metrics.csv"].write_text("a")
    outputs["data-x"].write_text("b")
@bash(outputs=lambda p: {"metrics.csv": "o.txt"})
def second(outputs: Outputs, *, x: int = 1):
    return f"echo c > {outputs['metrics.csv']}"
@bash
def both(one: Input, two: Input, made: Output = out("both.txt")):
    return f'cat "{one}" "{two}" > "{made}"'
def work():
    both(one=first()["metrics.csv"], two=second()["metrics.csv"])
lab = Lab([Run("run", work)])
"""


def test_an_output_in_a_mapping_may_have_dots_and_hyphens(world: World) -> None:
    world.write(MAPPED)
    done = world.repx("run", "experiment.py")
    assert done.status == 0, done.stderr
    (made,) = (world.root / "store" / "outputs").rglob("out/both.txt")
    assert made.read_text() == "ac\n"
    world.write(MAPPED.replace('"data-x"', '"data x"'))
    assert "output 'data x' is not a name" in world.repx("run", "experiment.py").stderr

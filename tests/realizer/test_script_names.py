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

"""What users call their files and stages: nothing of theirs stands in the way of repx, Python or another file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.world import World, a_world

__all__ = ["a_world"]

EXPERIMENT = """
import json
import NAME as lib
from repx import Lab, Output, Run, out, stage

@stage(name="STAGE")
def work(o: Output = out("o.txt")):
    o.write_text(json.dumps(lib.text()))

lab = Lab(runs=[Run("r", work)])
"""


@pytest.mark.parametrize(
    ("stage", "file"), [("train", "train/__init__.py"), ("train.py", "train.py"), ("json.py", "train/__init__.py")]
)
def test_a_stage_may_have_the_name_of_a_module(world: World, stage: str, file: str) -> None:
    (world.root / file).parent.mkdir(exist_ok=True)
    (world.root / file).write_text("def text():\n    return 'from the package'\n")
    world.realize(EXPERIMENT.replace("NAME", "train").replace("STAGE", stage))
    assert world.run().status == 0
    assert world.output(stage, "o.txt") == '"from the package"'


@pytest.mark.parametrize("name", ["repx", "json", "random", "click"])
def test_an_experiment_may_have_the_name_of_a_module(world: World, name: str) -> None:
    text = EXPERIMENT.replace("NAME", "base64").replace("lib.text()", "lib.b64encode(b'x').decode()")
    for file in (f"{name}.py", "experiment.py"):
        (world.root / file).write_text(text.replace("STAGE", Path(file).stem))
        done = world.repx("run", file)
        assert done.status == 0, done.stderr
        assert world.output(Path(file).stem, "o.txt") == '"eA=="'

"""Time what it costs to cut out Python stages, freeze their values, and try them in a clean interpreter.

    python benchmarks/capture.py            40 stages, CPU seconds of the process and of its children
    python benchmarks/capture.py 200

Each stage is another script, with classes and helpers of its own, so that nothing is remembered of another. The
limit is 50 ms of CPU time a stage the first time, and nothing that can be measured afterwards.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

from repx.dsl.source.cutout import cut_out
from repx.model.software import Software, SoftwareRequest
from repx.realizer.checks.world import WithWorlds

HEAD = """
import os, re, random, json
from dataclasses import dataclass
LIMIT = int(os.environ.get("NOT_SET", "3"))
TABLE = {str(n): list(range(n)) for n in range(50)}
"""
STAGE = """
@dataclass
class Model{n}:
    weight: float = {n}
    def of(self, x):
        return self.weight * x + LIMIT
PATTERN{n} = re.compile("a{n}")
def helper{n}(x):
    return Model{n}().of(x), TABLE, PATTERN{n}.match("a")
def work{n}():
    return json.dumps(helper{n}({n}))
"""


class Nothing:
    """A package set that has nothing to say."""

    def resolve(self, requests: list[SoftwareRequest]) -> list[Software]:
        return [Software(()) for _ in requests]

    def realize(self, *_: object) -> None:
        return


def seconds() -> float:
    """CPU time of this process and of the children that it has waited for."""
    return sum(os.times()[:4])


def main(count: int) -> None:
    """Print a line for each part."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "experiment.py"
        path.write_text(HEAD + "".join(STAGE.replace("{n}", str(n)) for n in range(count)))
        spec = importlib.util.spec_from_file_location("experiment", path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules["experiment"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        began = seconds()
        cuts = [cut_out(getattr(module, f"work{n}")) for n in range(count)]
        cut = seconds()
        requests = [SoftwareRequest("s", "python", (), one.source, one.origin, world=one.world) for one in cuts]
        for what in ("first look in a clean interpreter", "the same again"):
            start = seconds()
            answers = WithWorlds(Nothing(), f"{folder}/worlds").resolve(requests)
            assert not any(answer.findings for answer in answers)
            print(f"{what:35} {(seconds() - start) / count * 1000:7.2f} ms a stage")
        print(f"{'cut out and frozen':35} {(cut - began) / count * 1000:7.2f} ms a stage")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)

"""Jobs that are killed for their memory and tried again with more: twice as much, or what others of the stage used."""

from __future__ import annotations

from pathlib import Path

import pytest

from repx.agent.base.layout import Store
from repx.agent.base.record import Attempt
from repx.agent.cgroup import JobLimits
from repx.store.attempts import all_attempts
from tests.machine import needs, needs_programs
from tests.real.worlds import world

pytestmark = pytest.mark.real

EXPERIMENT = """
@bash(
    packages=["python3"],
    resources=lambda p: Resources(mem=p.mem),
    retries=Retry(times=2, on="oom"),
)
def hungry(size: Output = out("size.txt"), *, mem: str, uses: int):
    return '''python3 -c "print(len(bytearray($uses * 1000000)))" > "$size" '''

lab = Lab([
    Run("twice", hungry, params={"mem": ["64M"], "uses": [150]}),
    Run("roomy", hungry, params={"mem": ["600M"], "uses": [400]}),
    Run("as_others", hungry, params={"mem": ["65M"], "uses": [400]}),
], packages=packages)
"""


def test_memory_grows_for_a_job_that_was_killed_for_it(common_store: Path) -> None:
    needs_programs("bwrap")
    with JobLimits(1 << 30, 1.0) as limits:
        needs("memory" not in limits.problems, "no control group of this machine limits memory")
    with world(common_store) as made:
        options = ("--lab", str(made.realize(EXPERIMENT)), "--store", str(made.folder / "store"))

        def run(*names: str) -> list[Attempt]:
            report = made.report(*names, "--bwrap", "-j", "1", *options)
            assert report["succeeded"] == len(names), report
            (path,) = set((made.folder / "store/outputs").iterdir()) - seen
            seen.add(path)
            return all_attempts(Store(str(made.folder / "store")).job(path.name))

        seen: set[Path] = set()
        # 64, 128 and 256 MiB.
        assert [one.cause for one in run("twice")] == ["memory", "memory", ""]
        assert [one.cause for one in run("roomy")] == [""]
        # 65 MiB, and then what the roomy one has used, though twice and twice as much would not do.
        assert [one.cause for one in run("roomy", "as_others")] == ["memory", ""]

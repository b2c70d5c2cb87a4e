"""Programs that are others than those a Lab was made with: refused, or accepted and told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.runtime.world import World, a_world

__all__ = ["a_world"]

EXPERIMENT = """
@bash(packages=["tool"])
def use(result: Output = out("r.txt")):
    return 'tool > "$result"'

lab = Lab(runs=[Run("work", use)])
"""


def write_tool(place: Path, says: str) -> None:
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"#!/bin/sh\necho {says}\n")
    place.chmod(0o755)


def test_another_program_is_refused_unless_drift_is_allowed_and_told_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = world.root / "bin" / "tool"
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    write_tool(tool, "one")
    world.realize(EXPERIMENT)
    write_tool(tool, "two")
    refused = world.repx("run")
    assert refused.status != 0
    assert "the software of this machine is not what the Lab was made with" in refused.stderr
    assert f"({tool})" in refused.stderr
    assert "--allow-drift" in refused.stderr
    assert not world.job_directories()
    accepted = world.run("--allow-drift")
    assert accepted.status == 0, accepted.stderr
    assert world.output("use", "r.txt") == "two\n"
    (drift,) = accepted.answer["drift"]
    assert drift.startswith("tool: recorded sha256 ")

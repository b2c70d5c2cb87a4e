"""Who tries repx in an empty directory, by its commands alone; imports nothing of repx."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


class Reader:
    """Who reads the README in an empty directory, with a store of their own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "REPX_STORE": str(place.parent / "store")}

    def type(self, line: str) -> str:
        """What a command prints; it must end well."""
        ended = subprocess.run(
            ["bash", "-euc", line],
            cwd=self.place,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.place / name).parent.mkdir(parents=True, exist_ok=True)
        (self.place / name).write_text(text)

    def run(self) -> int:
        """Realize and run everything; how many jobs were not done before."""
        report = json.loads(self.type("repx run experiment.py --json"))
        assert report["jobs"] == report["succeeded"], report
        return int(report["jobs"] - report["found"])


@pytest.fixture(name="reader")
def a_reader(tmp_path: Path) -> Reader:
    (tmp_path / "work").mkdir()
    return Reader(tmp_path / "work")

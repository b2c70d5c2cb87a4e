"""Copies of examples with Nix's software at hand: their README's commands, their experiments changed, their outputs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from tests.real.worlds import PATIENCE_S, World
from tests.test_examples import EXAMPLES, commands_of

NOWHERE = "http://127.0.0.1:9"
"""A proxy that is not there: what would be asked for on the internet is refused at once."""

IN_BASH = '[[ "$(echo /usr/* /usr/bin/*)" == "/usr/bin /usr/bin/env" ]]'
IN_PYTHON = 'import os; assert (os.listdir("/usr"), os.listdir("/usr/bin")) == (["bin"], ["env"])'
"""What holds in a job that does not see this machine's /usr, and nowhere else."""


class Example:
    """A copy of an example, beside the package set, with the environment of a world."""

    def __init__(self, name: str, made: World, place: Path | None = None) -> None:
        self.name = name
        self.world = made
        self.folder = (place or made.folder) / name
        left_over = shutil.ignore_patterns("result", "__pycache__", "*.o", "greet", "*.tar.gz", "*.png", "impure")
        shutil.copytree(EXAMPLES / name, self.folder, ignore=left_over)
        (self.folder.parent / "nix-debian").symlink_to(EXAMPLES / "nix-debian")

    def line(self, line: str) -> str:
        """What a line of a README prints, as a shell takes it; it must end well."""
        ended = subprocess.run(
            ["bash", "-euc", line],
            cwd=self.folder,
            env={**self.world.environment, "https_proxy": NOWHERE},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def section(self, section: str = "") -> dict[str, str]:
        """What each command of a section of the README printed."""
        return {line: self.line(line) for line in lines_of(self.name, section)}

    def rewrite(self, *changes: tuple[str, str]) -> None:
        """Change the text of the experiment, wherever each pattern is found."""
        file = self.folder / "experiment.py"
        text = file.read_text()
        for pattern, replacement in changes:
            text, count = re.subn(pattern, replacement, text)
            assert count, pattern
        file.write_text(text)

    def realize(self) -> None:
        self.line("repx realize experiment.py --packages ../nix-debian")

    def report(self, *words: str) -> dict[str, int]:
        """Run everything anew, and say what became of it."""
        done = self.world.start("run", "--json", "--force", *words, cwd=self.folder)
        assert done.stdout, done.stderr
        answer: dict[str, int] = json.loads(done.stdout)
        return answer

    def outputs(self, stage: str, file: str) -> list[bytes]:
        """An output of every job of a stage."""
        listed = sorted((self.folder / "result" / "jobs").glob(f"*-{stage}-*"))
        store = Path(self.world.environment["REPX_STORE"])
        return [(store / "outputs" / job.name / "out" / file).read_bytes() for job in listed]


def lines_of(name: str, section: str = "") -> list[str]:
    """The commands of a section of a README, without what is said beside them."""
    return [line.partition("  #")[0].rstrip() for line in commands_of(name, section)]

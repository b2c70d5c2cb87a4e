"""What every probe of `repx doctor` takes and returns; does not know which probes there are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from repx.process import RunProgram, TimedOutError, run


class Presence(Enum):
    """Whether this machine has something: all of it, part of it, or not at all."""

    YES = "yes"
    LIMITED = "limited"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing this machine has or lacks; `gives` and `remedy` are for what it lacks, and may be empty."""

    name: str
    state: Presence
    found: str
    path: str = ""
    gives: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program printed. `problem` is empty when it succeeded, else one line that says why not."""

    stdout: str
    stderr: str
    problem: str

    @property
    def versions(self) -> list[str]:
        """What looks like a version; some programs print theirs on standard error."""
        return [one.rstrip(",;)") for one in re.findall(r"\d+(?:\.\d+)+\S*", self.stdout or self.stderr)]

    @property
    def version(self) -> str:
        """The first of `versions`, or nothing."""
        return next(iter(self.versions), "")


@dataclass(frozen=True, slots=True)
class Programs:
    """Finds and starts programs as the user would: by the PATH of `environment`."""

    environment: Mapping[str, str]
    run: RunProgram = run

    def find(self, program: str) -> str:
        """The absolute path of a program, or nothing."""
        return shutil.which(program, path=self.environment.get("PATH", "")) or ""

    def ask(self, argv: Sequence[str], *, within_s: float = 5.0, more: Mapping[str, str] | None = None) -> Printed:
        """Start a program with `more` in its environment, and in English, so that a probe can read its words."""
        try:
            done = self.run(argv, env={**self.environment, "LC_ALL": "C", **(more or {})}, timeout_s=within_s)
        except TimedOutError:
            return Printed("", "", f"no answer within {within_s:g} s")
        except OSError as error:
            return Printed("", "", f"does not start: {error.strerror}")
        stdout, stderr = (text.decode("utf-8", "replace").strip() for text in (done.stdout, done.stderr))
        said = last_line(stderr) or last_line(stdout)
        problem = "" if done.exit_status == 0 else said or f"ends with status {done.exit_status} and no word"
        return Printed(stdout, stderr, problem)


def last_line(text: str) -> str:
    """The line where programs say why: the last one that is not advice, without its `error:`."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Try ")]
    return re.sub(r"^(?:error|fatal):\s*", "", lines[-1], flags=re.IGNORECASE) if lines else ""


def numbers(version: str) -> tuple[int, int]:
    """The first two numbers of a version, for comparing; zeros when there are none."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)

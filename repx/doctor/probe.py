"""What a probe of `repx doctor` is given and what it gives; does not know which probes there are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from repx.process import Run, TimedOutError, run


class State(Enum):
    """Whether this machine has something: all of it, part of it, or not at all."""

    YES = "yes"
    LIMITED = "limited"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing this machine has or lacks; `gives` and `remedy` are for what it lacks, and may be empty."""

    name: str
    state: State
    found: str
    path: str = ""
    gives: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said in time. `problem` is empty when it ended well, else one line."""

    stdout: str
    stderr: str
    problem: str

    @property
    def versions(self) -> list[str]:
        """What looks like versions, wherever it was said: some say it where errors go."""
        return [one.rstrip(",;)") for one in re.findall(r"\d+(?:\.\d+)+\S*", self.stdout or self.stderr)]

    @property
    def version(self) -> str:
        """The first of `versions`, or nothing."""
        return next(iter(self.versions), "")


@dataclass(frozen=True, slots=True)
class Machine:
    """Programs found and asked as the user would: by this environment's PATH."""

    environment: Mapping[str, str]
    run: Run = run

    def find(self, program: str) -> str:
        """The absolute path of a program, or nothing."""
        return shutil.which(program, path=self.environment.get("PATH", "")) or ""

    def ask(self, argv: Sequence[str], *, within_s: float = 5.0, more: Mapping[str, str] | None = None) -> Answer:
        """Start a program with `more` in its environment; in English, so that its words can be read."""
        try:
            done = self.run(argv, env={**self.environment, "LC_ALL": "C", **(more or {})}, timeout_s=within_s)
        except TimedOutError:
            return Answer("", "", f"no answer within {within_s:g} s")
        except OSError as error:
            return Answer("", "", f"does not start: {error.strerror}")
        stdout, stderr = (text.decode("utf-8", "replace").strip() for text in (done.stdout, done.stderr))
        said = last_line(stderr) or last_line(stdout)
        problem = "" if done.exit_status == 0 else said or f"ends with status {done.exit_status} and no word"
        return Answer(stdout, stderr, problem)


def last_line(text: str) -> str:
    """Where programs say why: the last line that is more than advice, without `error:` before it."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Try ")]
    return re.sub(r"^(?:error|fatal):\s*", "", lines[-1], flags=re.IGNORECASE) if lines else ""


def numbers(version: str) -> tuple[int, int]:
    """The first two numbers of a version, for comparing; zeros when there are none."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)

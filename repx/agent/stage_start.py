"""How the jobs of a stage start, as whoever has looked at this machine's software says it; looks at nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from repx.agent.lab.lab import Lab
from repx.agent.sandbox import STORE_DIR, Sandbox, parse_sandbox


class StageStart(NamedTuple):
    """How the jobs of a stage start: the words before their arguments, PATH, env, what they are shut in with.

    `passed` are variables of the runner's environment that its target lets through.
    """

    argv: tuple[str, ...]
    path: str
    env: Mapping[str, str]
    sandbox: Sandbox | None
    passed: Mapping[str, str] = {}

    def encoded(self) -> list[Any]:
        """As JSON has it."""
        box = None if self.sandbox is None else self.sandbox.encoded()
        return [self.argv, self.path, self.env, box, self.passed]


def parse_start(value: Any) -> StageStart:
    """The start of a stage out of JSON."""
    argv, path, env, sandbox, passed = value
    return StageStart(tuple(argv), path, env, parse_sandbox(sandbox), passed)


def place_for_job(lab: Lab, place: str, box: Sandbox | None) -> str:
    """A place of the Lab as a job sees it."""
    return lab.root.place(place).path if box is None else STORE_DIR + place[len("store") :]

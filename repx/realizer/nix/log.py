"""Reads what Nix prints while it builds, from 2.4 to current versions: progress, messages, logs; starts nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_DERIVATION = re.compile(r"'(/[^']+\.drv)'")
_REASON_ENDS = re.compile(r"\n\s*(Output paths|Last \d+ log lines|last \d+ log lines):.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Progress:
    """How many derivations are built, of how many, and which one is being built."""

    done: int
    expected: int
    at: str


class BuildLog:
    """Follows `nix build --log-format internal-json`: progress, errors, and each derivation's last lines."""

    _BUILD, _BUILDS = 105, 104
    _LOG_LINE, _PROGRESS = 101, 105
    LINES = 20

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.logs: dict[str, list[str]] = {}
        self._builds: dict[int, str] = {}
        self._totals: int | None = None

    def read_line(self, line: str) -> Progress | None:
        """Read one line; returns the progress when it has changed."""
        if not line.startswith("@nix "):
            if line.strip():
                self.errors.append(_COLOUR.sub("", line))
            return None
        try:
            event = json.loads(line[5:])
            if event.get("action") == "msg" and event.get("level", 0) == 0:
                self.errors.append(_COLOUR.sub("", str(event.get("msg", ""))))
            elif event.get("action") == "start":
                self._start(event)
            elif event.get("action") == "stop":
                self._builds.pop(event["id"], None)
            elif event.get("action") == "result":
                return self._result(event)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            # The build does not need its progress shown: an event of an unknown form is left out.
            pass
        return None

    def failed(self) -> list[str]:
        """The paths of the derivations that errors name; those that failed themselves come first."""
        return list(dict.fromkeys(_DERIVATION.findall("\n".join(self.errors))))

    def reason(self, drv: str) -> str:
        """The first error that names a derivation, without the parts that an error of ours shows anyway."""
        said = next((error for error in self.errors if f"'{drv}'" in error), "")
        return "\n".join(line.strip() for line in _REASON_ENDS.sub("", said.removeprefix("error:").strip()).split("\n"))

    def _start(self, event: Mapping[str, Any]) -> None:
        if event.get("type") == self._BUILD:
            self._builds[event["id"]] = str(event["fields"][0])
        elif event.get("type") == self._BUILDS:
            self._totals = event["id"]

    def _result(self, event: Mapping[str, Any]) -> Progress | None:
        fields, identity = event.get("fields", []), event.get("id")
        if event.get("type") == self._LOG_LINE and identity in self._builds:
            log = self.logs.setdefault(self._builds[identity], [])
            log.append(_CONTROL.sub("", _COLOUR.sub("", str(fields[0]))))
            del log[: -self.LINES]
        elif event.get("type") == self._PROGRESS and identity == self._totals and fields[1]:
            at = next(reversed(self._builds.values()), "")
            return Progress(fields[0], fields[1], at.rpartition("/")[2].partition("-")[2].removesuffix(".drv"))
        return None


def last_lines(text: str, count: int = 12) -> str:
    """The last lines of what Nix said, without colours, blank lines and warnings."""
    plain = _COLOUR.sub("", text)
    lines = [line.rstrip() for line in plain.splitlines() if line.strip() and not line.startswith("@nix ")]
    lines = [line for line in lines if not line.lstrip().startswith(("warning:", "(use '--show-trace'", "… "))]
    return "\n".join(lines[-count:])

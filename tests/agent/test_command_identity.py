"""What identifies a command: a program by its file, a script by what is behind it too."""

from __future__ import annotations

from pathlib import Path

import pytest

from repx.agent.command_identity import (
    Shebang,
    command_identity,
    compiler_parts,
    content_sha256,
    reaches_elsewhere,
    shebang,
)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("\x7fELF", None),
        ("#!/bin/sh -e", Shebang("/bin/sh", False)),
        ("#! /usr/bin/perl", Shebang("/usr/bin/perl", False)),
        ("#!/usr/bin/env python3", Shebang("python3", True)),
        ("#!/usr/bin/env -S A=1 node --x", Shebang("node", True)),
        ("#!", None),
    ],
)
def test_the_first_line_says_what_reads_a_script(tmp_path: Path, line: str, expected: Shebang | None) -> None:
    assert shebang(str(script(tmp_path / "x", line + "\n"))) == expected


def test_a_program_is_its_file(tmp_path: Path) -> None:
    program = script(tmp_path / "x", "\x7fELF")
    assert command_identity(str(program)) == content_sha256(str(program))


def test_a_script_changes_with_what_reads_it(tmp_path: Path) -> None:
    interpreter = script(tmp_path / "reader", "\x7fELF one")
    tool = script(tmp_path / "tool", f"#!{interpreter}\n")
    before = command_identity(str(tool))
    interpreter.write_text("\x7fELF two")
    assert command_identity(str(tool)) != before


def environment(root: Path, script_name: str) -> Path:
    """A virtual environment with a distribution that has a console script, and one that it requires."""
    site = root / "lib/python3.11/site-packages"
    for name, more in (("tool", "Requires-Dist: helper>=1; python_version > '3'\n"), ("helper", "")):
        script(site / f"{name}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{more}")
        script(site / f"{name}.py", "A = 1\n")
        script(site / f"{name}-1.dist-info/RECORD", f"{name}.py,,\n{name}-1.dist-info/RECORD,,\n")
    script(site / "tool-1.dist-info/entry_points.txt", f"[console_scripts]\n{script_name} = tool:main\n")
    script(root / "bin/python3", "\x7fELF python")
    return script(root / "bin/tool", f"#!{root}/bin/python3\nimport tool\n")


@pytest.mark.parametrize("changed", ["tool.py", "helper.py"])
def test_a_console_script_changes_with_its_distribution_and_what_that_requires(tmp_path: Path, changed: str) -> None:
    tool = environment(tmp_path / "env", "tool")
    before = command_identity(str(tool))
    (tmp_path / "env/lib/python3.11/site-packages" / changed).write_text("A = 2\n")
    assert command_identity(str(tool)) != before


def test_a_script_that_no_distribution_has_brought_is_itself(tmp_path: Path) -> None:
    tool = environment(tmp_path / "env", "another")
    before = command_identity(str(tool))
    (tmp_path / "env/lib/python3.11/site-packages/tool.py").write_text("A = 2\n")
    assert command_identity(str(tool)) == before


def test_a_compiler_changes_with_what_it_starts_by_its_own_paths(tmp_path: Path) -> None:
    driver = script(tmp_path / "bin/x86_64-linux-gnu-gcc-12", "\x7fELF gcc")
    inner = script(tmp_path / "lib/gcc/x86_64-linux-gnu/12/cc1", "\x7fELF cc1")
    (tmp_path / "bin/gcc").symlink_to(driver)
    assert compiler_parts(str(tmp_path / "bin/gcc")) == [str(inner)]
    before = command_identity(str(tmp_path / "bin/gcc"))
    inner.write_text("\x7fELF another")
    assert command_identity(str(tmp_path / "bin/gcc")) != before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#!/bin/sh\nexec REAL\n", True),
        ('#!/bin/sh\nexec "$(dirname "$0")/../lib/real"\n', True),
        ('#!/bin/bash\nexec "${0%/*}/real"\n', True),
        ("#!/usr/bin/env python3\nopen(__file__)\n", True),
        ("#!/bin/sh\nexec /bin/sort < /dev/null\n", False),
        ("#!/bin/sh\necho /no/such/file\n", False),
        ("\x7fELF REAL", False),
    ],
)
def test_a_wrapper_is_told_by_what_it_goes_on_to(tmp_path: Path, text: str, expected: bool) -> None:
    real = script(tmp_path / "real", "x")
    assert reaches_elsewhere(str(script(tmp_path / "tool", text.replace("REAL", str(real))))) == expected

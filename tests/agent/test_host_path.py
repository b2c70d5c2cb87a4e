"""The folder that is PATH of a stage: links, wrappers, differences from what was recorded."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from repx.agent.base.publisher import Publisher
from repx.agent.host_path import make_path_folder as fill_path_folder
from repx.agent.host_path import parse_host_manifest, python_names
from tests.machine import optional


def executable(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


def make_path_folder(content: dict[str, Any], folder: str, search_path: str, python: str) -> list[str]:
    """The folder for a manifest as a Lab has it; what is not said is nothing."""
    manifest = parse_host_manifest({"kind": "host", "commands": {}, "distributions": {}, **content})
    spare = Path(folder).parent / f"spare-{uuid.uuid4().hex}"
    spare.mkdir(parents=True)
    try:
        return fill_path_folder(manifest, folder, search_path, python, Publisher(str(spare)), str(spare / "made"))
    finally:
        spare.rmdir()


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, str]:
    return {path.name: str(path.readlink()) if path.is_symlink() else path.read_text() for path in folder.iterdir()}


def manifest(*paths: Path, **named: Path) -> dict[str, Any]:
    files = {**{path.name: path for path in paths}, **named}
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return {"kind": "host", "commands": digests, "distributions": {}}


def this_python() -> dict[str, str]:
    digest = hashlib.sha256(Path(sys.executable).resolve().read_bytes()).hexdigest()
    return {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "sha256": digest,
    }


def test_a_program_is_a_link_to_its_own_file_under_the_name_it_is_called_by(tmp_path: Path) -> None:
    real = executable(tmp_path / "opt" / "busybox", "\x7fELF")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ls").symlink_to("../opt/busybox")
    folder = tmp_path / "made" / "path"
    assert make_path_folder(manifest(ls=real), str(folder), str(tmp_path / "bin"), sys.executable) == []
    assert (folder / "ls").readlink() == real
    assert entries(folder) == ["ls"]


@pytest.mark.parametrize("name", ["python3.9", "perl", "Rscript", "node", "julia"])
def test_an_interpreter_is_started_by_its_own_path(tmp_path: Path, name: str) -> None:
    path = executable(tmp_path / "it's here" / name, "\x7fELF")
    folder = tmp_path / "path"
    make_path_folder(manifest(path), str(folder), str(path.parent), sys.executable)
    quoted = str(path).replace("'", "'\\''")
    assert (folder / name).read_text() == f"#!/bin/sh\nexec '{quoted}' \"$@\"\n"
    assert os.access(folder / name, os.X_OK)


def test_a_script_is_started_by_its_own_path_and_gets_its_arguments(tmp_path: Path) -> None:
    tool = executable(tmp_path / "bin" / "tool", '#!/bin/sh\necho "${0%/*}" "$#" "$2"\n')
    folder = tmp_path / "path"
    make_path_folder(manifest(tool), str(folder), str(tool.parent), sys.executable)
    said = subprocess.run([str(folder / "tool"), "a", "b c"], capture_output=True, text=True, check=True).stdout
    assert said == f"{tool.parent} 2 b c\n"


def test_what_lives_in_an_environment_is_started_by_its_own_path(tmp_path: Path) -> None:
    tool = executable(tmp_path / "env" / "bin" / "tool", "\x7fELF")
    (tmp_path / "env" / "pyvenv.cfg").touch()
    folder = tmp_path / "path"
    make_path_folder(manifest(tool), str(folder), str(tool.parent), sys.executable)
    assert not (folder / "tool").is_symlink()


def test_python_keeps_its_environment(tmp_path: Path) -> None:
    folder = tmp_path / "path"
    what = {**manifest(), "python": this_python()}
    assert make_path_folder(what, str(folder), "", sys.executable) == []
    assert entries(folder) == sorted(set(python_names(platform.python_version())))
    for name in python_names(platform.python_version()):
        argv = [str(folder / name), "-c", "import sys; print(sys.prefix, sys.argv[1])", "a b"]
        assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == f"{sys.prefix} a b\n"


def test_a_stage_without_python_has_none(tmp_path: Path) -> None:
    make_path_folder(manifest(), str(tmp_path / "path"), os.environ["PATH"], sys.executable)
    assert entries(tmp_path / "path") == []


def test_bash_runs_with_this_folder_alone(tmp_path: Path) -> None:
    commands = {"commands": {"bash": "?", "awk": "?", "sort": "?"}}
    folder = tmp_path / "path"
    make_path_folder(commands, str(folder), "/usr/local/bin:/usr/bin:/bin", sys.executable)
    script = "printf '2\\n1\\n' | sort | awk '{ s = s $1 } END { print s }'; ls"
    argv = [str(folder / "bash"), "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": str(folder)})
    assert done.stdout == "12\n"
    assert "ls: command not found" in done.stderr


def test_differences_read_like_this(tmp_path: Path) -> None:
    awk = executable(tmp_path / "awk", "\x7fELF awk")
    here = hashlib.sha256(awk.read_bytes()).hexdigest()
    python = executable(tmp_path / "python", "\x7fELF python")
    binary = hashlib.sha256(python.read_bytes()).hexdigest()
    what = {
        "commands": {"awk": "ab12" * 16, "jq": "00" * 32},
        "python": {"implementation": "CPython", "version": "3.9.1", "sha256": "cd34" * 16},
        "distributions": {"numpy": "1.0"},
    }
    assert make_path_folder(what, str(tmp_path / "path"), str(tmp_path), str(python)) == [
        f"awk: recorded sha256 ab12ab12ab12…, this machine has {here[:12]}… ({awk})",
        "jq: not on this machine",
        f"python: recorded sha256 cd34cd34cd34…, this machine has {binary[:12]}… ({python})",
    ]
    assert entries(tmp_path / "path") == ["awk", "python", "python3", "python3.9"]


def test_versions_are_compared_where_this_process_is_the_interpreter(tmp_path: Path) -> None:
    what = {
        "commands": {},
        "python": {**this_python(), "version": "3.9.1"},
        "distributions": {"numpy": "0.1", "no-such-thing": "2"},
    }
    first, second, third = make_path_folder(what, str(tmp_path / "path"), "", sys.executable)
    version = platform.python_version()
    assert first == f"python: recorded CPython 3.9.1, this machine has CPython {version} ({sys.executable})"
    assert second == f"no-such-thing: recorded version 2, not installed in {sys.executable}"
    assert third.startswith(f"numpy: recorded version 0.1, {sys.executable} has ")


def test_an_interpreter_that_is_gone_is_a_difference(tmp_path: Path) -> None:
    what = {"commands": {}, "python": this_python()}
    gone = str(tmp_path / "gone" / "python3")
    assert make_path_folder(what, str(tmp_path / "path"), "", gone) == [f"python: not on this machine ({gone})"]


def test_a_folder_that_is_there_and_right_is_left_alone(tmp_path: Path) -> None:
    tool = executable(tmp_path / "bin" / "tool", "\x7fELF")
    what = {**manifest(tool), "python": this_python()}
    folder = tmp_path / "path"
    inodes = []
    for _ in range(2):
        make_path_folder(what, str(folder), str(tool.parent), sys.executable)
        inodes.append(folder.stat().st_ino)
    assert inodes[0] == inodes[1]


@pytest.mark.parametrize("damage", ["empty wrapper", "more", "less", "another link", "a file"])
def test_a_folder_that_is_not_what_it_should_be_is_made_anew(tmp_path: Path, damage: str) -> None:
    tool = executable(tmp_path / "bin" / "tool", "\x7fELF")
    what = {**manifest(tool), "python": this_python()}
    folder = tmp_path / "path"
    make_path_folder(what, str(folder), str(tool.parent), sys.executable)
    whole = contents(folder)
    match damage:
        case "empty wrapper":
            os.truncate(folder / "python3", 0)
        case "more":
            (folder / "more").touch()
        case "less":
            (folder / "python3").unlink()
        case "another link":
            (folder / "tool").unlink()
            (folder / "tool").symlink_to("/bin/false")
        case _:
            shutil.rmtree(folder)
            folder.touch()
    make_path_folder(what, str(folder), str(tool.parent), sys.executable)
    assert contents(folder) == whole
    assert entries(tmp_path) == ["bin", "path"]


def test_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path: Path) -> None:
    events: list[str] = []

    def flush(_: str) -> None:
        events.append("flush with " + " ".join(entries(tmp_path / "made")))

    def rename(source: str, target: str) -> None:
        events.append("rename")
        Path(source).rename(target)

    what = parse_host_manifest({"kind": "host", "commands": {}, "distributions": {}, "python": this_python()})
    publisher = Publisher(str(tmp_path), flush, rename)
    fill_path_folder(what, str(tmp_path / "path"), "", sys.executable, publisher, str(tmp_path / "made"))
    names = " ".join(sorted(set(python_names(platform.python_version()))))
    assert events == [f"flush with {names}", "rename"]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"kind": "nix"},
        {"kind": "host", "commands": [], "distributions": {}},
        {"kind": "host", "commands": {"bash": 1}, "distributions": {}},
        {"kind": "host", "commands": {}},
        {"kind": "host", "commands": {}, "distributions": {}, "python": {"version": "3.11"}},
        {"kind": "host", "commands": {}, "distributions": {}, "python": {**this_python(), "more": "x"}},
        {"kind": "host", "commands": {}, "distributions": {}, "python": "3.11"},
    ],
)
def test_a_manifest_that_says_something_else_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"kind|commands|distributions|python"):
        parse_host_manifest(content)


def test_many_make_one_and_leave_nothing_beside_it(tmp_path: Path) -> None:
    tools = [executable(tmp_path / "bin" / f"tool{n}", "\x7fELF") for n in range(50)]
    folder = tmp_path / "made" / "path"
    answers: list[list[str]] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(
                make_path_folder(manifest(*tools), str(folder), str(tmp_path / "bin"), sys.executable)
            )
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[]] * 8
    assert entries(tmp_path / "made") == ["path"]
    assert len(entries(folder)) == 50


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "x\0y"])
def test_a_manifest_cannot_write_outside_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a command's name"):
        make_path_folder({"commands": {name: "0"}}, str(tmp_path / "path"), "/usr/bin", sys.executable)
    assert entries(tmp_path) == []


def test_it_runs_on_python_3_9(tmp_path: Path) -> None:
    candidates = [Path(entry, "python3.9") for entry in os.environ["PATH"].split(os.pathsep)]
    candidates += Path(sys.base_prefix).parent.glob("3.9*/bin/python3.9")
    # A shim of that name may stand for nothing, so it is asked.
    asked = (path for path in candidates if path.exists() and not subprocess.run([path, "-V"], check=False).returncode)
    old = next(asked, None)
    optional(old, "no Python 3.9 here")
    folder = tmp_path / "path"
    code = (
        "import sys; from repx.agent.host_path import make_path_folder, parse_host_manifest;"
        "from repx.agent.base.publisher import Publisher;"
        "manifest = parse_host_manifest({'kind': 'host', 'commands': {'bash': '0'}, 'distributions': {}});"
        f"publisher, made = Publisher({str(tmp_path)!r}), {str(tmp_path / 'made')!r};"
        f"print(make_path_folder(manifest, {str(folder)!r}, '/bin', sys.executable, publisher, made))"
    )
    root = Path(__file__).resolve().parents[2]
    # The package's own __init__ is for 3.11; the agent travels without it.
    (tmp_path / "lib" / "repx").mkdir(parents=True)
    (tmp_path / "lib" / "repx" / "agent").symlink_to(root / "repx" / "agent")
    argv = [str(old), "-B", "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path / "lib")}, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("['bash: recorded sha256 0…")

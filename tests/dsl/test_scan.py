"""Scans: which entries are found, from where, and what cannot be stored."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repx.agent.base.digest import tree_digest
from repx.agent.base.layout import Store
from repx.agent.base.left_out import LeftOut
from repx.dsl import scan as scanning
from repx.dsl.scan import dirs, files, path, scan
from repx.errors import DefinitionError
from repx.store.objects import add_objects
from repx.store.writer import open_writer

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two groups, a table, and what tools leave behind."""
    for name in ("group-b", "group-a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.py").write_text(f"print('{name}')")
    (tmp_path / "table.csv").write_text("x\n1\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".hidden").write_text("")
    return tmp_path


def complaint(call: Callable[[], object]) -> str:
    """What the user reads when `call` is refused; every complaint has its place in this file."""
    with pytest.raises(DefinitionError) as caught:
        call()
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    return "\n".join(caught.value.lines())


def test_entries_come_sorted_with_kind_and_content(folder: Path) -> None:
    found = scan(folder)
    assert [(one.name, one.kind) for one in found] == [
        ("group-a", "directory"),
        ("group-b", "directory"),
        ("table.csv", "file"),
    ]
    assert [one.digest for one in found] == [tree_digest(str(folder / one.name)) for one in found]
    assert [one.source for one in found] == [str((folder / one.name).resolve()) for one in found]


def test_each_type_by_itself(folder: Path) -> None:
    assert [one.name for one in dirs(folder)] == ["group-a", "group-b"]
    assert [one.name for one in files(folder)] == ["table.csv"]
    assert [one.name for one in scan(folder, type="directory", match=".*-b")] == ["group-b"]


def test_match_fits_the_whole_name(folder: Path) -> None:
    assert [one.name for one in scan(folder, match="group-.")] == ["group-a", "group-b"]
    text = complaint(lambda: scan(folder, match="group"))
    assert "there is nothing to sweep over" in text
    assert "match must fit the whole name: 'group-a' is there" in text


def test_hidden_entries_come_only_when_asked_for(folder: Path) -> None:
    assert ".git" not in [one.name for one in scan(folder, match=".*")]
    assert [one.name for one in scan(folder, match=r"\.git|\.hidden")] == [".git", ".hidden"]


def leave_what_tools_leave(directory: Path) -> None:
    """Caches of Python and Jupyter, the Finder's file, a link of ours and a whole store, in a directory."""
    for name in ("__pycache__", ".ipynb_checkpoints"):
        (directory / name).mkdir()
        (directory / name / "x").write_text("x")
    for name in (".DS_Store", "old.pyc"):
        (directory / name).write_text("x")
    store = Store(str(directory / "store"))
    store.create()
    (directory / "result").symlink_to(f"{store.labs}/{'0' * 32}")


def test_what_tools_leave_never_counts_at_any_depth(folder: Path) -> None:
    everything = path(folder)
    listings = [scan(folder), dirs(folder), files(folder)]
    for directory in (folder, folder / "group-a"):
        leave_what_tools_leave(directory)
    assert path(folder) == everything
    assert [scan(folder), dirs(folder), files(folder)] == listings


def test_what_tools_leave_is_not_stored(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    leave_what_tools_leave(folder / "group-a")
    stored = path(folder / "group-a")
    store = Store(str(tmp_path_factory.mktemp("store")))
    store.create()
    (added,) = add_objects(open_writer(store, str(folder)), [stored]).values()
    assert [one.name for one in Path(added.place).iterdir()] == ["main.py"]


def test_a_link_to_something_else_of_the_users_counts(folder: Path) -> None:
    before = path(folder)
    (folder / "result").symlink_to("table.csv")
    assert path(folder) != before


def test_a_cache_that_is_itself_named_is_taken(folder: Path) -> None:
    leave_what_tools_leave(folder)
    assert path(folder / "__pycache__").name == "__pycache__"


def test_exclude_leaves_out_names_at_any_depth_and_paths_below_the_folder(folder: Path) -> None:
    plain, groups = path(folder), scan(folder)
    (folder / "group-a" / "run.log").write_text("x")
    (folder / "group-b" / "raw").mkdir()
    (folder / "group-b" / "raw" / "x").write_text("x")
    assert path(folder, exclude=["*.log", "group-b/raw/"]) == plain
    assert scan(folder, exclude=["*.log", "group-b/raw"]) == groups
    assert path(folder, exclude="*.log") != plain
    assert [one.name for one in dirs(folder, exclude="group-a")] == ["group-b"]
    assert "is not a pattern" in complaint(lambda: path(folder, exclude="/"))


def test_the_same_folder_with_another_exclude_is_read_anew(folder: Path) -> None:
    assert path(folder, exclude="*.csv") != path(folder) != path(folder, exclude="*.py")


def test_an_entry_is_identified_by_its_own_content_alone(folder: Path) -> None:
    before = {one.name: one for one in scan(folder)}
    (folder / "group-c").mkdir()
    (folder / "group-a" / "main.py").write_text("print('another')")
    after = {one.name: one for one in scan(folder)}
    assert [name for name in before if before[name] != after[name]] == ["group-a"]
    assert after.keys() - before.keys() == {"group-c"}


def test_a_path_is_relative_to_the_file_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = path("test_scan.py")
    assert (found.name, found.kind, found.source) == ("test_scan.py", "file", str(HERE.resolve() / "test_scan.py"))
    assert path("../dsl").name == "dsl"
    assert path(".").name == "dsl"


def test_without_a_file_a_path_is_relative_to_the_working_directory(folder: Path) -> None:
    code = "import repx.dsl.scan as s; print(s.path('table.csv').source, [one.name for one in s.dirs('.')])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HERE.parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{folder.resolve()}/table.csv ['group-a', 'group-b']\n"


def test_home_is_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert path("~/table.csv").digest == tree_digest(str(folder / "table.csv"))


def test_the_named_path_may_be_a_link_to_anywhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "data").symlink_to(folder)
    (elsewhere / "input.csv").symlink_to(folder / "table.csv")
    assert [one.name for one in dirs(elsewhere / "data")] == ["group-a", "group-b"]
    linked = path(elsewhere / "input.csv")
    assert (linked.name, linked.digest) == ("input.csv", tree_digest(str(folder / "table.csv")))


def test_a_link_within_the_directory_is_what_it_points_to(folder: Path) -> None:
    (folder / "latest").symlink_to("group-b")
    found = {one.name: one for one in dirs(folder)}
    assert found["latest"].digest == found["group-b"].digest
    assert found["latest"] != found["group-b"]


def test_what_cannot_be_stored_is_told_all_at_once(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (folder / "away").symlink_to(outside)
    (folder / "broken").symlink_to("nowhere")
    (folder / "group-a" / "leak").symlink_to(outside)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        text = complaint(lambda: scan(folder))
    for told in ("a link that leaves the directory", "does not exist", "leak: the link to", "is a socket"):
        assert told in text
    assert [one.name for one in scan(folder, match="group-b|table.*")] == ["group-b", "table.csv"]


def test_a_file_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is a socket, pipe or device" in complaint(lambda: path(tmp_path / "pipe"))
    assert "is a socket, pipe or device" in complaint(lambda: files(tmp_path))


def test_a_missing_path_names_the_nearest(folder: Path) -> None:
    text = complaint(lambda: path(folder / "tabel.csv"))
    assert "does not exist" in text
    assert "did you mean table.csv?" in text
    assert "did you mean group-b" in complaint(lambda: dirs(folder / "grou-b"))
    assert "there is no directory" in complaint(lambda: path(folder / "no" / "where"))


def test_a_scan_of_a_file_is_refused(folder: Path) -> None:
    assert "Not a directory" in complaint(lambda: scan(folder / "table.csv"))


def test_nothing_found_says_what_was_left_by_each_condition(folder: Path) -> None:
    text = complaint(lambda: dirs(folder, match="table.*"))
    for line in ("entries     5", "not hidden  3", "match       1 fit table.*", "type        none is a directory"):
        assert line in text


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    assert "there is nothing to sweep over" in complaint(lambda: scan(tmp_path))


def test_arguments_are_checked(folder: Path) -> None:
    assert "scan has no type 'dir'" in complaint(lambda: scan(folder, type="dir"))  # type: ignore[arg-type]
    assert "is a shell pattern" in complaint(lambda: scan(folder, match="*.csv"))
    assert "is not a path" in complaint(lambda: path(""))
    assert "is not a path" in complaint(lambda: path(3))  # type: ignore[arg-type]
    assert "has no name" in complaint(lambda: path("/"))


def test_names_that_json_cannot_hold_are_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("")
    assert "not UTF-8" in complaint(lambda: scan(tmp_path))


def test_an_unchanged_file_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counting(where: str, left_out: LeftOut) -> str:
        read.append(where)
        return tree_digest(where, left_out)

    monkeypatch.setattr(scanning, "tree_digest", counting)
    first, second = path(folder / "table.csv"), path(folder / "table.csv")
    assert first == second
    assert len(read) == 1
    (folder / "table.csv").write_text("x\n2\n3\n")
    assert path(folder / "table.csv") != first
    assert len(read) == 2

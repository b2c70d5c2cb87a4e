"""Files put in place whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from repx.agent.base.files import (
    ScratchFile,
    is_inside,
    link_exclusive,
    publish_file,
    read_file,
    read_if_there,
    remove_tree,
    sync_filesystem,
    walk,
    write_file,
)
from repx.agent.base.modes import make_read_only
from tests.machine import needs, needs_programs


def test_publish_replaces_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    place = tmp_path / "f"
    publish_file(str(place), b"one")
    with place.open("rb") as reader:
        publish_file(str(place), b"two", 0o444)
        assert reader.read() == b"one"
    assert place.read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_publish_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    place = tmp_path / "d"
    place.mkdir()
    with pytest.raises(OSError, match="directory"):
        publish_file(str(place), b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65536, 3_000_000])
def test_reading_gives_every_byte(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    write_file(str(tmp_path / "f"), data)
    assert read_file(str(tmp_path / "f")) == data
    assert read_if_there(str(tmp_path / "f" / "g")) is None
    assert read_if_there(str(tmp_path / "g")) is None


def test_only_one_of_many_gets_the_name(tmp_path: Path) -> None:
    won: list[int] = []
    start = threading.Barrier(8)

    def try_it(number: int) -> None:
        own = tmp_path / f"own-{number}"
        own.write_text(str(number))
        start.wait()
        if link_exclusive(str(own), str(tmp_path / "name")):
            won.append(number)

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(tmp_path / "name").read_text()] == [str(number) for number in won]


def test_a_link_that_is_there_already_counts_as_ours(tmp_path: Path) -> None:
    """On NFS the answer to a link that worked may get lost, and the client asks again."""
    own = tmp_path / "own"
    own.write_text("x")
    os.link(own, tmp_path / "name")
    assert link_exclusive(str(own), str(tmp_path / "name"))
    (tmp_path / "other").write_text("x")
    assert not link_exclusive(str(tmp_path / "other"), str(tmp_path / "name"))


def test_read_only_trees_are_removed(tmp_path: Path) -> None:
    root = tmp_path / "t"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/f").write_text("x")
    outside = tmp_path / "outside"
    outside.write_text("kept")
    (root / "a/l").symlink_to(outside)
    make_read_only(str(root))
    assert (root / "a/b/f").stat().st_mode & 0o222 == 0
    assert outside.stat().st_mode & 0o200
    remove_tree(str(root))
    remove_tree(str(root))
    assert not root.exists()
    assert outside.read_text() == "kept"


def make_deep(root: Path, levels: int) -> None:
    """A tree so deep that the path of its end may be longer than any system call takes."""
    place = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, 0o400, dir_fd=place))
    os.fchmod(place, 0)
    os.close(place)


@pytest.mark.parametrize("levels", [300, 1_100, 6_000])
def test_a_tree_is_removed_however_deep(tmp_path: Path, levels: int) -> None:
    make_deep(tmp_path, levels)
    (tmp_path / "d/beside").mkdir()
    remove_tree(str(tmp_path / "d"))
    assert list(tmp_path.iterdir()) == []


def test_a_walk_has_no_depth_that_is_too_much_for_it(tmp_path: Path) -> None:
    make_deep(tmp_path, 1_500)
    entries = list(walk(str(tmp_path / "d"), open_to_owner=True))
    assert len(entries) == 1_501
    remove_tree(str(tmp_path / "d"))


def test_a_link_is_removed_and_not_what_it_means(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "l").symlink_to("d")
    remove_tree(str(tmp_path / "l"))
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_scratch_text_that_gets_shorter(tmp_path: Path) -> None:
    file = ScratchFile(str(tmp_path / "f"))
    file.write(b"a='long value'\n")
    file.write(b"b=1\n")
    text = (tmp_path / "f").read_text()
    assert text.split() == ["b=1"]
    assert text.endswith("\n")


def test_a_file_system_is_flushed(tmp_path: Path) -> None:
    sync_filesystem(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        sync_filesystem(str(tmp_path / "gone"))


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("a", True),
        ("a/b", True),
        ("a/..b", True),
        ("..", False),
        ("a/../b", False),
        ("/a", False),
        ("", False),
        ("a\0", False),
    ],
)
def test_paths_from_elsewhere(path: str, inside: bool) -> None:
    assert is_inside(path) is inside


PUBLISHER = """
import sys, time
from repx.agent.base.files import publish_file
from repx.agent.held import server_time
while time.time() < float(sys.argv[2]):
    pass
for _ in range(150):
    publish_file(sys.argv[1] + "/file", sys.argv[3].encode())
    server_time(sys.argv[1])
"""


def test_processes_with_the_same_id_do_not_disturb_each_other(tmp_path: Path) -> None:
    """As in two containers on one store: each is process 1, or the second one, of its own."""
    needs(os.geteuid() == 0, "only root may give a process an id of its own choice")
    needs_programs("unshare")
    home = str(Path(__file__).parents[3])
    begin = str(time.time() + 1)
    both = [
        subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", PUBLISHER, str(tmp_path), begin, text],
            stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": home},
        )
        for text in ("one", "two")
    ]  # fmt: skip
    assert [process.communicate(timeout=60)[1] for process in both] == ["", ""]
    assert (tmp_path / "file").read_text() in ("one", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

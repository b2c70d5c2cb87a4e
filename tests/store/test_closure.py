"""Store paths come into a store whole, as Nix has them, once; what was changed does not come in."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from repx.agent.base.layout import Store
from repx.agent.base.nar import nar_sha256
from repx.errors import SoftwareError
from repx.model.closure import StorePath
from repx.store.closure import add_store_paths
from repx.store.writer import StoreWriter, open_writer
from tests.fakes.nix import store_name


class Source:
    """A directory in which store paths stand, as in Nix's store, and a store of ours."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "nix"
        self.folder.mkdir()
        self.store = Store(str(root / "store"))
        self.store.create()

    def tree(self, name: str) -> StorePath:
        place = self.folder / store_name(name)
        (place / "bin").mkdir(parents=True)
        (place / "bin" / name).write_text("#!/bin/sh\n")
        (place / "bin" / name).chmod(0o755)
        (place / "bin" / "alias").symlink_to(name)
        (place / "dangling").symlink_to("/nowhere")
        (place / "empty").mkdir()
        (place / "text.txt").write_text("text\n")
        return self.path(place)

    def path(self, place: Path) -> StorePath:
        return StorePath(place.name, nar_sha256(str(place)), 1, ())

    def add(self, *paths: StorePath) -> None:
        add_store_paths(self.writer(), paths, str(self.folder))

    def writer(self) -> StoreWriter:
        return open_writer(self.store, "/experiment.py")

    def object(self, path: StorePath) -> Path:
        return Path(self.store.objects) / path.name

    @property
    def left_over(self) -> list[str]:
        return [entry.name for entry in Path(self.store.tmp).iterdir()]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


def test_a_path_is_copied_read_only_and_with_the_time_of_nix(source: Source) -> None:
    path = source.tree("tool")
    source.add(path)
    copied = source.object(path)
    assert nar_sha256(str(copied)) == path.nar_sha256
    entries = [copied, *copied.rglob("*")]
    assert len(entries) == 7
    for entry in entries:
        status = entry.lstat()
        assert status.st_mtime == 1
        if not stat.S_ISLNK(status.st_mode):
            assert not status.st_mode & 0o222
    assert os.access(copied / "bin" / "tool", os.X_OK)
    assert source.left_over == []


def test_a_file_and_a_link_are_store_paths_too(source: Source) -> None:
    file, link = source.folder / store_name("file"), source.folder / store_name("link")
    file.write_text("content")
    link.symlink_to("/etc/passwd")
    paths = [source.path(file), source.path(link)]
    source.add(*paths)
    assert source.object(paths[0]).read_text() == "content"
    assert source.object(paths[1]).is_symlink()
    assert source.left_over == []


def test_what_is_there_is_not_copied_again_nor_looked_for(source: Source) -> None:
    path = source.tree("tool")
    source.add(path)
    before = source.object(path).stat().st_ctime_ns
    remove_tree(str(source.folder / path.name))
    source.add(path)
    assert source.object(path).stat().st_ctime_ns == before


@pytest.mark.parametrize("change", ["content", "mode", "added", "removed", "link"])
def test_a_changed_path_is_refused_and_a_good_one_taken_afterwards(source: Source, change: str) -> None:
    path, other = source.tree("tool"), source.tree("other")
    place = source.folder / path.name
    file = place / "text.txt"
    match change:
        case "content":
            file.write_text("texd\n")
        case "mode":
            file.chmod(0o755)
        case "added":
            (place / "new").touch()
        case "removed":
            file.unlink()
        case _:
            file.unlink()
            file.symlink_to("text.txt")
    with pytest.raises(SoftwareError, match="is not what Nix has built"):
        source.add(other, path)
    assert source.object(other).exists()
    assert not source.object(path).exists()
    assert source.left_over == []
    remove_tree(str(place))
    assert source.tree("tool") == path
    source.add(path)
    assert source.object(path).exists()


def test_a_path_that_is_gone_is_an_error_of_the_file_system_and_leaves_nothing(source: Source) -> None:
    path = source.tree("tool")
    remove_tree(str(source.folder / path.name))
    with pytest.raises(FileNotFoundError):
        source.add(path)
    assert source.left_over == []


def test_somebody_else_may_bring_the_same_path_meanwhile(source: Source, tmp_path: Path) -> None:
    path = source.tree("tool")
    (tmp_path / "second").mkdir()
    theirs = Source(tmp_path / "second")
    assert theirs.tree("tool") == path
    source.add(path)
    inode = source.object(path).stat().st_ino
    # As if it had appeared after the look and before the rename.
    place = theirs.folder / path.name
    source.writer().publisher.publish({str(source.object(path)): str(place)})
    assert source.object(path).stat().st_ino == inode
    assert nar_sha256(str(source.object(path))) == path.nar_sha256


@pytest.mark.parametrize("change", ["empty", "added", "removed", "pipe"])
def test_a_path_that_is_broken_in_the_store_is_taken_from_nix_again(source: Source, change: str) -> None:
    path = source.tree("tool")
    source.add(path)
    place = source.object(path)
    place.chmod(0o755)
    match change:
        case "empty":
            (place / "text.txt").chmod(0o644)
            os.truncate(place / "text.txt", 0)
        case "added":
            (place / "new").touch()
        case "removed":
            (place / "text.txt").unlink()
        case _:
            os.mkfifo(place / "pipe")
    source.add(path)
    assert nar_sha256(str(place)) == path.nar_sha256
    assert source.left_over == []

"""Realizing again: what a loss of power or anybody else has spoiled is made anew, and what was left alone stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repx.agent.base.digest import tree_content
from repx.agent.base.files import remove_tree, sync_filesystem
from repx.agent.base.layout import Store
from repx.agent.base.left_out import LeftOut
from repx.agent.base.looks import looks_of_source
from repx.agent.base.publisher import Publisher
from repx.agent.makers import maker_name
from repx.agent.recovery import recover_dead_runners
from repx.api import _written, experiment_folder, experiment_name, instantiate, load, realize_lab, resolver_of
from repx.dsl.scan import known_digests
from repx.dsl.scan import path as scanned
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from repx.store.location import is_whole
from repx.store.memory import open_memory
from repx.store.writer import StoreWriter
from tests.experiments import Experiments, experiments_fixture

__all__ = ["experiments_fixture"]

EXPERIMENT = """
import repx
from repx import Input, Lab, Output, Run, bash, out
from repx import host

@bash
def total(table: Input, folder: Input, result: Output = out("total.txt")):
    return 'cat "$table" "$folder"/* > "$result"'

def pipeline():
    total(table=repx.path("table.csv"), folder=repx.path("folder"))

lab = Lab([Run("sums", pipeline)])
"""

FILES = {"table.csv": "1,2\n", "folder/one.txt": "one\n", "folder/two.txt": "two\n"}


class World:
    """An experiment with a file and a folder as inputs, and a store."""

    def __init__(self, experiments: Experiments, root: Path) -> None:
        experiments.write({"experiment.py": EXPERIMENT, **FILES})
        self.folder = experiments.folder
        self.experiment = str(experiments.folder / "experiment.py")
        self.store = Store(str(root / "store"))

    def realize(self) -> Path:
        return Path(realize_lab(load(self.experiment, store=self.store), store=self.store).path)


@pytest.fixture
def world(experiments: Experiments, tmp_path: Path) -> World:
    return World(experiments, tmp_path)


def damages(lab: Path) -> list[tuple[str, Path]]:
    """Each way to spoil each entry of a Lab that is worth telling apart."""
    entries = [place for place in sorted(lab.rglob("*")) if place.is_symlink() or not place.is_dir()]
    return [(way, place) for place in entries for way in ways(place)]


def ways(place: Path) -> tuple[str, ...]:
    if place.is_symlink():
        return ("lead elsewhere", "remove")
    return ("empty", "change", "remove") if place.stat().st_size else ("change", "remove")


def spoil(way: str, place: Path) -> None:
    place.parent.chmod(0o755)
    if way == "empty":
        place.chmod(0o644)
        os.truncate(place, 0)
    elif way == "change":
        place.chmod(0o644)
        place.write_text("another")
    else:
        place.unlink()
        if way == "lead elsewhere":
            place.symlink_to("/etc")


def test_whatever_is_damaged_in_a_lab_is_seen_although_it_was_whole_a_moment_ago(world: World) -> None:
    lab = world.realize()
    for number, (way, place) in enumerate(damages(lab)):
        copy = Path(world.store.labs) / str(number)
        shutil.copytree(lab, copy, symlinks=True)
        assert is_whole(str(copy), world.store)
        spoil(way, copy / place.relative_to(lab))
        assert not is_whole(str(copy), world.store), (way, place)
    assert number > 20


@pytest.mark.parametrize("way", ["empty", "change", "remove", "lead elsewhere"])
def test_what_is_damaged_in_a_lab_is_healed_by_realizing_again(world: World, way: str) -> None:
    lab = world.realize()
    whole = damages(lab)
    places = [place for one, place in whole if one == way]
    for place in (places[0], next((place for place in places if place.name == "one.txt"), places[-1])):
        spoil(way, place)
        assert world.realize() == lab
        verify(LabDirectory(lab))
        assert damages(lab) == whole
    assert list(Path(world.store.tmp).iterdir()) == []


def test_a_lab_that_is_a_file_is_replaced(world: World) -> None:
    lab = world.realize()
    remove_tree(str(lab))
    lab.write_text("no Lab")
    assert world.realize() == lab
    verify(LabDirectory(lab))


def test_an_empty_object_as_after_a_loss_of_power_is_taken_from_its_source_again(world: World) -> None:
    lab = world.realize()
    remove_tree(str(lab))
    objects = [path for path in Path(world.store.objects).rglob("*") if path.is_file()]
    assert len(objects) == 3
    for path in objects:
        path.chmod(0o644)
        os.truncate(path, 0)
    assert world.realize() == lab
    assert next(lab.glob("store/*-table.csv")).read_text() == "1,2\n"
    assert sorted(path.read_text() for path in lab.glob("store/*-folder/*")) == ["one\n", "two\n"]
    verify(LabDirectory(lab))


def test_an_object_with_more_in_it_is_replaced(world: World) -> None:
    lab = world.realize()
    remove_tree(str(lab))
    (folder,) = Path(world.store.objects).glob("*-folder")
    folder.chmod(0o755)
    os.mkfifo(folder / "pipe")
    assert world.realize() == lab
    assert sorted(path.name for path in lab.glob("store/*-folder/*")) == ["one.txt", "two.txt"]


class Watched:
    """A disk on which everything below a directory that gets a name must have been flushed since it was written."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._flushed: set[tuple[int, int, int]] = set()
        self.named: list[str] = []

    def flush(self, path: str) -> None:
        sync_filesystem(path)
        self._flushed = set(self._files(self._root))

    def rename(self, source: str, target: str) -> None:
        if "/doomed-" not in target:
            assert set(self._files(source)) <= self._flushed, f"{target} has a name before its content is on the disk"
            self.named.append(target)
        Path(source).rename(target)

    @staticmethod
    def _files(path: str) -> list[tuple[int, int, int]]:
        looks = [entry.stat() for entry in (Path(path), *Path(path).rglob("*")) if entry.is_file()]
        return [(status.st_ino, status.st_size, status.st_mtime_ns) for status in looks]


def test_all_that_a_realization_names_is_on_the_disk_first(world: World) -> None:
    lab = load(world.experiment)
    packages = resolver_of(lab)
    graph = instantiate(lab, software=packages)
    world.store.create()
    watched = Watched(world.store.root)
    publisher = Publisher(world.store.tmp, watched.flush, watched.rename)
    writer = StoreWriter(world.store, publisher, open_memory(world.store, experiment_name(lab)))
    written = _written(graph, packages, writer, experiment_folder(lab), lambda _: None)
    kinds = [Path(place).parent.name for place in watched.named]
    assert kinds == ["objects", "objects", "labs"]
    assert watched.named[-1] == written.path


def test_the_manifest_says_what_was_asked_for(world: World) -> None:
    lab = LabDirectory(world.realize())
    for place in lab.manifest.files:
        if place.startswith("store/") and "-folder/" in place:
            found = tree_content(str(world.folder / "folder" / Path(place).name))
            assert lab.manifest.files[place] == found.files[0][1]


def test_a_tree_that_looks_as_it_did_is_not_read_again(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("1\n")
    looks = looks_of_source(str(data), LeftOut(str(data)))
    with known_digests({looks.digest: "what was remembered"}):
        assert scanned(data).digest == "what was remembered"
        data.write_text("2\n")
        assert scanned(data).digest == tree_content(str(data)).digest
    assert scanned(data).digest == tree_content(str(data)).digest


def test_what_has_just_been_changed_may_change_unseen_and_is_not_remembered(world: World) -> None:
    world.realize()
    memory = open_memory(world.store, world.experiment)
    assert memory.sources == {}
    assert {name.partition("-")[2] for name in memory.objects} == {"table.csv", "folder"}
    old = Path(__file__)
    text = Path(world.experiment).read_text().replace('"table.csv"', repr(str(old)))
    Path(world.experiment).write_text(text)
    world.realize()
    assert open_memory(world.store, world.experiment).sources == {
        looks_of_source(str(old), LeftOut(str(old))).digest: tree_content(str(old)).digest
    }


READS = """
import sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
from repx.agent.base.layout import Store
from repx.api import load, realize_lab
store = Store(sys.argv[2])
realize_lab(load(sys.argv[1], store=store), store=store)
print(sum(sys.argv[3] in path and "/labs/" not in path for path in opened))
"""


def test_an_input_that_was_left_alone_is_not_read_again(world: World, tmp_path: Path) -> None:
    """Neither where it lies nor in the store; a Lab of another version takes it as well."""
    old = Path(__file__).resolve()
    text = Path(world.experiment).read_text().replace('"table.csv"', repr(str(old)))
    counts = []
    for version in ("1", "1", "2"):
        Path(world.experiment).write_text(text.replace("pipeline)])", f'pipeline)], version="{version}")'))
        argv = [sys.executable, "-c", READS, world.experiment, world.store.root, old.name]
        counts.append(int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout))
    assert counts[0] > 0
    assert counts[1:] == [0, 0]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format":1}', b'{"format":1,"sources":[],"objects":{"a":1}}'])
def test_a_memory_that_cannot_be_read_is_none(world: World, content: bytes) -> None:
    lab = world.realize()
    Path(open_memory(world.store, world.experiment).path).write_bytes(content)
    assert world.realize() == lab
    assert open_memory(world.store, world.experiment).objects


def test_what_a_dead_realization_was_making_is_cleared_and_what_a_living_one_makes_is_not(world: World) -> None:
    world.realize()
    mine = Path(world.store.tmp) / maker_name("lab")
    fields = mine.name.split(",")
    dead = mine.with_name(",".join([*fields[:5], str(int(fields[5]) - 1), *fields[6:]]))
    for place in (mine, dead):
        shutil.copytree(world.folder, place)
    recover_dead_runners(world.store)
    assert [path.name for path in Path(world.store.tmp).iterdir()] == [mine.name]

"""What a job finds where its inputs are: nothing through which an innocent tool could reach the original."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repx.agent.base.files import hardlink_or_symlink
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

EXPERIMENT = """
from repx import Input, Lab, Output, Run, bash, out

@bash
def make(tree: Output = out("tree"), note: Output = out("note.txt")):
    return 'mkdir -p "$tree/deep"; echo good > "$tree/deep/file.txt"; echo good > "$note"'

@bash
def work(tree: Input, note: Input, done: Output = out("done.txt")):
    return '''
        cp -r "$tree" copy
        cp -r "$note" copied.txt
        chmod -R u+w copy copied.txt
        echo bad > copy/deep/file.txt
        echo bad > copied.txt
        cat "$tree/deep/file.txt" "$note" > "$done"
    '''

def pipeline():
    made = make()
    work(tree=made.tree, note=made.note)

lab = Lab([Run("run", pipeline)])
"""


def test_a_copy_of_an_input_is_a_copy(world: World) -> None:
    world.realize(EXPERIMENT)
    assert world.run().status == 0
    assert world.output("work", "done.txt") == "good\ngood\n"
    assert world.output("make", "tree/deep/file.txt") == "good\n"


def test_a_second_name_of_a_tree_has_its_links_and_its_files(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "file").write_text("content")
    (tree / "link").symlink_to("deep/file")
    hardlink_or_symlink(str(tree), str(tmp_path / "second"))
    assert (tmp_path / "second" / "link").readlink() == Path("deep/file")
    assert (tmp_path / "second" / "deep" / "file").samefile(tree / "deep" / "file")
    assert not (tmp_path / "second").is_symlink()


def test_where_there_are_no_hard_links_it_is_a_symbolic_one(tmp_path: Path) -> None:
    other = Path("/dev/shm") / f"repx-{os.getpid()}"
    other.write_text("elsewhere")
    try:
        hardlink_or_symlink(str(other), str(tmp_path / "second"))
        assert (tmp_path / "second").readlink() == other
    finally:
        other.unlink()


def test_what_is_not_there_is_a_link_to_nothing(tmp_path: Path) -> None:
    hardlink_or_symlink(str(tmp_path / "gone"), str(tmp_path / "second"))
    assert (tmp_path / "second").is_symlink()
    with pytest.raises(FileNotFoundError):
        hardlink_or_symlink(str(tmp_path / "gone"), str(tmp_path / "no" / "second"))

"""`repx pack` and `repx unpack`: one file, the same each time, and back; a Lab wherever a Lab is asked for."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import repx
from repx.agent.base import tar
from repx.agent.base.digest import tree_digest
from repx.agent.base.files import walk
from repx.agent.base.record import decode_way
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from repx.store.sharing.archive import extract
from repx.store.sharing.compression import Decompressed
from repx.store.sharing.pack import _tree
from tests.machine import needs
from tests.runtime.world import World
from tests.store.sharing.archives import needs_zstandard, read_members, write_members
from tests.store.sharing.neighbours import (
    RESULTS,
    Neighbours,
    a_pair_of_neighbours,
    contents,
    is_tidy,
    ok,
    the_first_world,
)

__all__ = ["a_pair_of_neighbours", "the_first_world"]


def test_a_lab_comes_out_as_it_went_in(neighbours: Neighbours) -> None:
    here, there = neighbours.here, neighbours.there
    packed = ok(here.repx("pack", "--json")).answer
    assert (packed["file"], packed["results"]) == ("lab.tar", 0)
    unpacked = ok(there.repx("unpack", str(here.root / "lab.tar"), "--json")).answer
    assert (unpacked["new_lab"], unpacked["taken"]) == (True, 0)
    lab = there.root / "result"
    verify(LabDirectory(lab))
    assert looks(lab) == looks(here.root / "result")
    assert ok(there.run()).answer["succeeded"] > 7
    assert is_tidy(there.store)


def test_results_come_along_where_they_are_asked_for(neighbours: Neighbours) -> None:
    here, there = neighbours.here, neighbours.there
    assert ok(here.repx("pack", "result", "-o", "full.tar", "--results", "--json")).answer["results"] == RESULTS
    done = ok(there.repx("unpack", str(here.root / "full.tar")))
    assert f"result: 5 runs, 8 jobs, {RESULTS} results" in done.stdout
    assert sorted(contents(there.store).values()) == sorted(contents(here.store).values())
    assert neighbours.nothing_runs(there)
    record = (there.job_directories("split")[0] / "record.jsonl").read_bytes()
    assert [(one.how, one.place) for one in decode_way(record)] == [("unpack", str(here.root / "full.tar"))]
    assert "the Lab was here already" in ok(there.repx("unpack", str(here.root / "full.tar"))).stdout
    assert is_tidy(there.store)


def test_the_same_lab_makes_the_same_file(neighbours: Neighbours) -> None:
    needs_zstandard()
    here = neighbours.here
    names = [f"{number}.tar{ending}" for number in "12" for ending in ("", ".zst")]
    for name in names:
        ok(here.repx("pack", "-o", name, "--results"))
        for path in walk(str(here.store / "labs")):
            os.utime(path, (5, 5), follow_symlinks=False)
    assert (here.root / "1.tar").read_bytes() == (here.root / "2.tar").read_bytes()
    assert (here.root / "1.tar.zst").read_bytes() == (here.root / "2.tar.zst").read_bytes()
    assert (here.root / "1.tar.zst").stat().st_size < (here.root / "1.tar").stat().st_size / 3


def test_each_member_is_plain_and_below_one_directory(neighbours: Neighbours) -> None:
    """As the reference's reader has it: the manifest under one leading directory, jobs and host tools beside it."""
    here = neighbours.here
    ok(here.repx("pack"))
    members = [one for one, _ in read_members(here.root / "lab.tar")]
    lab_id = (here.root / "result").resolve().name
    assert members[2].name == f"{lab_id}/lab/lab-metadata.json"
    assert {one.name.split("/")[0] for one in members} == {lab_id}
    assert {one.type for one in members} == {tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE}
    assert {(one.uid, one.gid, one.mtime) for one in members} == {(0, 0, 1)}
    names = {one.name for one in members if one.isdir()}
    assert {f"{lab_id}/jobs", f"{lab_id}/host-tools", f"{lab_id}/store"} <= names


@pytest.mark.parametrize("kind", ["zst", "gz", "tar", "bare", "dotted"])
def test_an_archive_that_others_have_made_is_taken_too(neighbours: Neighbours, kind: str) -> None:
    here, there = neighbours.here, neighbours.there
    labs = (here.root / "result").resolve()
    archive = neighbours.root / f"made.{kind}"
    if kind == "zst":
        needs_zstandard()
    ok(here.repx("pack", "-o", "lab.tar.zst" if kind == "zst" else "lab.tar"))
    if kind == "zst":
        shutil.copy(here.root / "lab.tar.zst", archive)
    elif kind == "gz":
        archive.write_bytes(gzip.compress((here.root / "lab.tar").read_bytes()))
    else:
        needs(shutil.which("tar"), "there is no tar")
        inside = ["-C", str(labs)]
        given = {
            "tar": ["-C", str(labs.parent), labs.name],
            "bare": [*inside, *sorted(path.name for path in labs.iterdir())],
            "dotted": [*inside, "."],
        }
        subprocess.run(["tar", "cf", archive, *given[kind]], check=True)
    ok(there.repx("unpack", str(archive)))
    assert looks(there.root / "result") == looks(here.root / "result")


def test_an_archive_is_a_lab_wherever_a_lab_is(neighbours: Neighbours) -> None:
    here, there = neighbours.here, neighbours.there
    ok(here.repx("pack", "-o", str(there.root / "x.tar"), "--results"))
    assert "11" not in ok(there.repx("list", "runs", "--lab", "x.tar")).stdout
    assert ok(there.repx("status", "--lab", "x.tar", "--json")).answer
    assert ok(there.repx("run", "--lab", "x.tar", "--json")).answer["found"]
    assert "2" in ok(there.repx("show", "output", "double[seed=1]", "table", "--lab", "x.tar")).stdout
    jobs = repx.Experiment(there.root / "x.tar", store=there.store).jobs()
    assert len(jobs.filter(stage="make")) == 2
    assert ok(there.repx("push", "x.tar", str(neighbours.root / "shared"), "--json")).answer["taken"] == RESULTS
    assert ok(there.repx("pack", "x.tar", "-o", "again.tar")).status == 0
    ok(here.repx("pack"))
    assert (there.root / "again.tar").read_bytes() == (here.root / "lab.tar").read_bytes()


def test_another_archive_of_the_same_name_is_looked_at_anew(neighbours: Neighbours) -> None:
    here, there = neighbours.here, neighbours.there
    ok(here.repx("pack", "-o", str(there.root / "x.tar")))
    os.utime(there.root / "x.tar", (1000, 1000))
    assert "sweep" in ok(there.repx("list", "runs", "--lab", "x.tar")).stdout
    (there.root / "x.tar").write_bytes(b"nothing")
    os.utime(there.root / "x.tar", (1000, 1000))
    refused = there.repx("list", "runs", "--lab", "x.tar")
    assert (refused.status, "x.tar is cut short" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["pack", "-o", "lab.zip"], "is not the name of an archive"),
        (["pack", "-o", "lab.tar.gz"], "is not the name of an archive"),
        (["pack", "-o", "raw.tar"], "is a directory"),
        (["pack", "-o", "nowhere/lab.tar"], "cannot be written"),
        (["pack", "nothing"], "there is no Lab at nothing"),
        (["unpack", "nothing.tar"], "cannot be read"),
        (["unpack", "raw"], "cannot be read: Is a directory"),
        (["unpack", "experiment.py"], "is not a tar archive, or damaged"),
        (["unpack", "lab.tar", "-o", "raw"], "raw is in the way"),
    ],
)
def test_what_cannot_be_is_refused(neighbours: Neighbours, argv: list[str], said: str) -> None:
    here = neighbours.here
    (here.root / "raw.tar").mkdir()
    before = sorted(path.name for path in here.root.iterdir())
    done = here.repx(*argv)
    assert (done.status, said in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
    assert sorted(path.name for path in here.root.iterdir()) == before


def test_a_damaged_result_is_not_packed(neighbours: Neighbours) -> None:
    here = neighbours.here
    (split,) = here.job_directories("split")
    (split / "out").chmod(0o755)
    (split / "out/items.json").unlink()
    (split / "out/items.json").write_text("[1, 2, 3]")
    done = here.repx("pack", "--results")
    assert done.status == 2
    assert "a result is damaged, and nothing was packed" in done.stderr
    assert not list(here.root.glob("lab.tar*"))


def test_without_zstandard_its_users_are_told_how_to_get_it(
    neighbours: Neighbours, first: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_zstandard()
    ok(neighbours.here.repx("pack", "-o", "lab.tar.zst"))
    for module in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    for argv in (["pack", "-o", "other.tar.zst"], ["unpack", "lab.tar.zst"]):
        done = neighbours.here.repx(*argv)
        assert done.status == 2
        assert "takes Zstandard, which this Python lacks" in done.stderr
        assert "pip install 'repx[zstd]'" in done.stderr
    assert not list(neighbours.here.root.glob("other*"))


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= 255
)
TREES = st.recursive(
    st.tuples(st.binary(max_size=2000), st.booleans()),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=st.dictionaries(NAMES, TREES, min_size=1, max_size=4))
def test_whatever_is_in_a_tree_comes_out_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, tree: object) -> None:
    root = tmp_path_factory.mktemp("tree")
    build(root / "in" / "top", tree)
    archive = root / "archive"
    archive.write_bytes(b"".join([*_tree(str(root / "in" / "top"), "top"), tar.END]))
    (root / "out").mkdir()
    with archive.open("rb") as file:
        extract(Decompressed(file, "archive"), "archive", str(root / "out"))
    assert tree_digest(str(root / "out")) == tree_digest(str(root / "in"))
    with tarfile.open(archive) as read:
        assert read.getnames()[0] == "top", "others read it too"


def build(path: Path, tree: object) -> None:
    """A tree on disk."""
    if isinstance(tree, dict):
        path.mkdir(parents=True)
        for name, inner in tree.items():
            build(path / name, inner)
    else:
        assert isinstance(tree, tuple)
        path.write_bytes(tree[0])
        path.chmod(0o755 if tree[1] else 0o644)


def looks(lab: Path) -> dict[str, object]:
    """Everything in a Lab: kinds, bytes, links, who may execute."""
    top = str(lab.resolve())
    found: dict[str, object] = {}
    for path in map(Path, walk(top)):
        name = str(path)[len(top) :]
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_dir():
            found[name] = "directory"
        else:
            found[name] = (path.read_bytes(), path.stat().st_mode & 0o777)
    return found


def test_members_that_come_in_another_order_make_the_same_lab(neighbours: Neighbours) -> None:
    here, there = neighbours.here, neighbours.there
    ok(here.repx("pack", "-o", "full.tar", "--results"))
    members = read_members(here.root / "full.tar")
    write_members(neighbours.root / "other.tar", reversed([one for one in members if not one[0].isdir()]))
    # An archive without directories has none of the empty ones.
    empty = [
        one for one in members if one[0].isdir() and not any(o.name.startswith(one[0].name + "/") for o, _ in members)
    ]
    write_members(neighbours.root / "other.tar", [*reversed([one for one in members if not one[0].isdir()]), *empty])
    ok(there.repx("unpack", str(neighbours.root / "other.tar")))
    assert sorted(contents(there.store).values()) == sorted(contents(here.store).values())

"""The content digest of a tree: what it covers, what it does not, what it refuses."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.agent.base.digest import MOST_LEVELS, TreeError, digest_and_size, nix_base32, short_digest, tree_digest


def make(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


FILES = {"a": b"1", "b/c": b"2", "b/d": b"", "e f": b"3"}


def test_the_order_of_making_does_not_matter(tmp_path: Path) -> None:
    names = list(FILES)
    digests = set()
    for seed in range(5):
        random.Random(seed).shuffle(names)
        digests.add(tree_digest(str(make(tmp_path / str(seed), {name: FILES[name] for name in names}))))
    assert len(digests) == 1


def test_times_owners_and_other_mode_bits_do_not_matter(tmp_path: Path) -> None:
    root = make(tmp_path / "t", FILES)
    before = tree_digest(str(root))
    os.utime(root / "a", (0, 0))
    (root / "a").chmod(0o400)
    (root / "b").chmod(0o500)
    assert tree_digest(str(root)) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a").write_bytes(b"2"),
        lambda root: (root / "a").rename(root / "A"),
        lambda root: (root / "a").chmod(0o755),
        lambda root: (root / "more").write_bytes(b""),
        lambda root: (root / "empty").mkdir(),
        lambda root: (root / "b/d").unlink(),
        lambda root: ((root / "a").unlink(), (root / "a").symlink_to("b/d")),
        lambda root: ((root / "b/d").unlink(), (root / "b/d").mkdir()),
        lambda root: (root / "a").rename(root / "b/a"),
    ],
)
def test_every_change_of_content_matters(tmp_path: Path, change: Callable[[Path], object]) -> None:
    root = make(tmp_path / "t", FILES)
    before = tree_digest(str(root))
    change(root)
    assert tree_digest(str(root)) != before


def test_a_name_cannot_imitate_two_entries(tmp_path: Path) -> None:
    one = make(tmp_path / "one", {"a": b"", "b": b""})
    line = digest_and_size(str(one / "a"))[0]
    two = make(tmp_path / "two", {f"a\nf {line} 1:b": b""})
    assert tree_digest(str(one)) != tree_digest(str(two))


def test_names_that_are_no_text(tmp_path: Path) -> None:
    for name in (b"\xff", b"\xfe"):
        (tmp_path / os.fsdecode(name)).touch()
    assert len(tree_digest(str(tmp_path))) == 64


def test_the_size_is_that_of_the_files(tmp_path: Path) -> None:
    assert digest_and_size(str(make(tmp_path / "t", {"a": b"12", "b/c": b"345"})))[1] == 5


@pytest.mark.parametrize(
    ("place", "target"),
    [("up", ".."), ("b/up", "../../x"), ("abs", "/etc/hostname"), ("b/home", "/"), ("b/side", "../../t-too")],
)
def test_links_that_leave_are_refused(tmp_path: Path, place: str, target: str) -> None:
    root = make(tmp_path / "t", FILES)
    (root / place).symlink_to(target)
    with pytest.raises(TreeError, match="leaves the tree"):
        tree_digest(str(root))


def test_links_that_leave_by_a_detour_are_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "t", FILES)
    (root / "b/top").symlink_to("..")
    assert tree_digest(str(root))
    (root / "b/out").symlink_to("top/../x")
    with pytest.raises(TreeError, match="b/out"):
        tree_digest(str(root))


def test_links_inside_are_kept_even_when_they_dangle_or_turn_in_circles(tmp_path: Path) -> None:
    root = make(tmp_path / "t", FILES)
    for place, target in (("l", "a"), ("b/up", "../a"), ("gone", "nothing"), ("x", "y"), ("y", "x"), ("self", ".")):
        (root / place).symlink_to(target)
    before = tree_digest(str(root))
    (root / "l").unlink()
    (root / "l").symlink_to("./a")
    assert tree_digest(str(root)) != before


def test_sockets_and_pipes_are_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(tmp_path)
        try:
            listening.bind("s")
        finally:
            os.chdir(here)
    with pytest.raises(TreeError, match="socket"):
        tree_digest(str(tmp_path))
    (tmp_path / "s").unlink()
    os.mkfifo(tmp_path / "p")
    with pytest.raises(TreeError, match="pipe"):
        tree_digest(str(tmp_path))


@given(st.binary(min_size=32, max_size=32))
def test_a_short_digest_is_the_start_of_the_long_one(digest: bytes) -> None:
    assert nix_base32(digest)[:32] == short_digest(digest)


def test_a_tree_that_is_too_deep_is_refused_and_one_at_the_limit_is_not(tmp_path: Path) -> None:
    place = tmp_path / "t"
    for _ in range(MOST_LEVELS):
        place = place / "d"
    place.mkdir(parents=True)
    tree_digest(str(tmp_path / "t"))
    (place / "d").mkdir()
    with pytest.raises(TreeError, match="more than 256 directories"):
        tree_digest(str(tmp_path / "t"))

"""The hash of a tree is that of the archive Nix would make of it: written out here, and asked of a real Nix."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.agent.base.files import remove_tree
from repx.agent.base.nar import nar_sha256
from tests.machine import needs_programs

Tree = bytes | str | Mapping[str, "Tree"]
"""A file's bytes (those that start with "#!" may be executed), a link's target, a directory."""


def archive(tree: Tree) -> bytes:
    """The archive of a tree, as figure 5.2 of the thesis says it."""

    def text(*parts: bytes) -> bytes:
        return b"".join(len(part).to_bytes(8, "little") + part + bytes(-len(part) % 8) for part in parts)

    def node(tree: Tree) -> bytes:
        if isinstance(tree, bytes):
            executable = text(b"executable", b"") if tree.startswith(b"#!") else b""
            return text(b"(", b"type", b"regular") + executable + text(b"contents", tree, b")")
        if isinstance(tree, str):
            return text(b"(", b"type", b"symlink", b"target", os.fsencode(tree), b")")
        entries = sorted((os.fsencode(name), inner) for name, inner in tree.items())
        inside = b"".join(
            text(b"entry", b"(", b"name", name, b"node") + node(one) + text(b")") for name, one in entries
        )
        return text(b"(", b"type", b"directory") + inside + text(b")")

    return text(b"nix-archive-1") + node(tree)


def write(tree: Tree, place: Path) -> None:
    if isinstance(tree, bytes):
        place.write_bytes(tree)
        place.chmod(0o755 if tree.startswith(b"#!") else 0o644)
    elif isinstance(tree, str):
        place.symlink_to(tree)
    else:
        place.mkdir()
        for name, inner in tree.items():
            write(inner, place / name)


names = st.text("ab.-~ é\udcff", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
leaves = (
    st.binary(max_size=20) | st.binary(max_size=9).map(b"#!".__add__) | st.sampled_from(["x", "../up", "/nix/store/y"])
)
trees: st.SearchStrategy[Tree] = st.recursive(
    leaves, lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=8
)


@given(trees)
def test_the_hash_is_that_of_the_archive(tmp_path_factory: pytest.TempPathFactory, tree: Tree) -> None:
    place = tmp_path_factory.mktemp("nar") / "tree"
    write(tree, place)
    assert nar_sha256(str(place)) == hashlib.sha256(archive(tree)).hexdigest()
    remove_tree(str(place.parent))


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_files_of_any_size_are_filled_up_to_eight(tmp_path: Path, size: int) -> None:
    content = bytes(size)
    (tmp_path / "file").write_bytes(content)
    assert nar_sha256(str(tmp_path / "file")) == hashlib.sha256(archive(content)).hexdigest()


TREE: Tree = {
    "bin": {"program": b"#!/bin/sh\n", "other": "program"},
    "empty": {},
    "lib": {"a": b"", "a.b": b"1", "a-b": b"12345678", "ab": {"deep": b"x" * 100}, "Z": b"z", "é": "../bin"},
    "link": "/nix/store/elsewhere",
}


def test_times_owners_and_other_modes_do_not_count(tmp_path: Path) -> None:
    write(TREE, tmp_path / "one")
    write(TREE, tmp_path / "two")
    before = nar_sha256(str(tmp_path / "two"))
    for path in (tmp_path / "two").rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700 | 0o040)
            os.utime(path, (1, 1))
    assert nar_sha256(str(tmp_path / "two")) == before == nar_sha256(str(tmp_path / "one"))
    (tmp_path / "two" / "lib" / "a").chmod(0o755)
    assert nar_sha256(str(tmp_path / "two")) != before


@pytest.mark.real
def test_nix_says_the_same(tmp_path: Path) -> None:
    needs_programs("nix")
    write(TREE, tmp_path / "tree")
    for place in ("tree", "tree/lib/a-b", "tree/bin/program", "tree/empty"):
        command = ["nix", "--extra-experimental-features", "nix-command", "hash", "path", "--base16"]
        said = subprocess.run([*command, tmp_path / place], check=True, capture_output=True, text=True).stdout
        assert said.strip() == nar_sha256(str(tmp_path / place))


def test_what_no_archive_can_hold_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree" / "pipe")
    with pytest.raises(ValueError, match="pipe: a socket, pipe or device is in no NAR"):
        nar_sha256(str(tmp_path / "tree"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(ValueError, match="is in no NAR"):
            nar_sha256(str(tmp_path / "socket"))
    with pytest.raises(FileNotFoundError):
        nar_sha256(str(tmp_path / "nothing"))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert nar_sha256(str(tmp_path / "link")) == hashlib.sha256(archive("/etc/passwd")).hexdigest()

"""Several large files are hashed at once, and to the same digests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repx.agent.base import large_files
from repx.agent.base.digest import file_sha256
from repx.agent.base.large_files import large_digests
from repx.agent.outputs import collect_outputs


def test_several_large_files_have_their_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_files, "LARGE", 1000)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    places = ["a", "tree/b", "tree/deep/c"]
    for number, place in enumerate(places):
        (tmp_path / place).write_bytes(bytes([number]) * 2000)
    (tmp_path / "small").write_text("small")
    (tmp_path / "link").symlink_to("a")
    found = large_digests(str(tmp_path / name) for name in ("a", "tree", "small", "link", "absent"))
    assert found == {str(tmp_path / place): file_sha256(str(tmp_path / place)) for place in places}
    # A job's outputs have the digests that they have one by one.
    declared = {"a": "a", "tree": "tree", "small": "small"}
    at_once = collect_outputs(declared, str(tmp_path))
    monkeypatch.setattr(large_files, "LARGE", 1 << 30)
    assert collect_outputs(declared, str(tmp_path)) == at_once


def test_one_large_file_needs_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_files, "LARGE", 1000)
    (tmp_path / "a").write_bytes(b"x" * 2000)
    assert large_digests([str(tmp_path / "a")]) == {}

"""Tar entries, told by two other programs that know the format: Python's tarfile and GNU tar."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.agent.base.tar import (
    DIRECTORY,
    END,
    FILE,
    LINK,
    ChangedFileError,
    directory_stream,
    file_content,
    header,
    padding,
)

NAMES = st.binary(min_size=1, max_size=600).filter(lambda name: b"\0" not in name and not name.endswith(b"/"))


@given(
    NAMES,
    st.sampled_from([FILE, LINK, DIRECTORY]),
    st.integers(0, 0o7777),
    st.integers(0, 2**40),
    NAMES,
)
def test_headers_are_those_of_tarfile(name: bytes, kind: bytes, mode: int, size: int, target: bytes) -> None:
    info = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
    info.type, info.mode, info.mtime = kind, mode, 1
    info.size = size if kind == FILE else 0
    info.linkname = target.decode("utf-8", "surrogateescape") if kind == LINK else ""
    expected = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    assert header(name, kind, mode, info.size, target if kind == LINK else b"") == expected


@pytest.mark.parametrize("length", [1, 99, 100, 101, 255, 256, 3900])
def test_gnu_tar_reads_names_of_any_length(tmp_path: Path, length: int) -> None:
    parts = ["é" * 50 for _ in range(length // 101)]
    name = "/".join([*parts, "x" * (length - 101 * len(parts) or 1)]).encode()
    archive = header(name, FILE, 0o444, 3) + b"abc" + padding(3) + header(b"link", LINK, 0o777, 0, name) + END
    (tmp_path / "a.tar").write_bytes(archive)
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", "a.tar", "-C", "out"], cwd=tmp_path, check=True, capture_output=True)
    assert str((tmp_path / "out/link").readlink()) == name.decode()
    assert (tmp_path / "out" / name.decode()).read_bytes() == b"abc"


def test_a_file_that_shrinks_or_grows_is_told(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 1000)
    place = os.fsencode(tmp_path / "f")
    assert b"".join(file_content(place, 1000)) == b"x" * 1000 + bytes(24)
    for other in (999, 1001):
        with pytest.raises(ChangedFileError, match="changed"):
            list(file_content(place, other))


def test_a_directory_stream_holds_what_links_mean(tmp_path: Path) -> None:
    (tmp_path / "layer.tar").write_bytes(b"y" * 3_000_000)
    (tmp_path / "d/blobs").mkdir(parents=True)
    (tmp_path / "d/blobs/one").symlink_to("../../layer.tar")
    (tmp_path / "d/empty").write_bytes(b"")
    pieces = list(directory_stream(str(tmp_path / "d")))
    assert max(map(len, pieces)) <= 1 << 20
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        assert archive.getnames() == ["blobs", "blobs/one", "empty"]
        content = archive.extractfile("blobs/one")
        assert content is not None
        assert content.read() == b"y" * 3_000_000

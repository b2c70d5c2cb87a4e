"""Tar entries, by their bytes, and told by another program that knows the format: GNU tar."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from repx.agent.base.tar import (
    DIRECTORY,
    END,
    FILE,
    LINK,
    ChangedFileError,
    file_content,
    header,
    padding,
)
from tests.archives import directory_stream


def test_a_header_is_these_bytes() -> None:
    """Those of GNU tar, of root and of second 1; what layers are known by depends on each."""
    numbers = b"0000444\0" + b"0000000\0" * 2 + b"00000002322\0" + b"00000000001\0" + b"010236\0 "
    expected = b"nix/store/\xff".ljust(100, b"\0") + numbers + b"0".ljust(101, b"\0") + b"ustar  \0"
    assert header(b"nix/store/\xff", FILE, 0o444, 1234) == expected.ljust(512, b"\0")


def test_headers_do_not_drift() -> None:
    digest = hashlib.sha256()
    for name in (b"a", b"d" * 99, b"e" * 100, b"f/" * 60 + b"x", b"\xff\xfe/\xc3\xa9", b"g" * 5000):
        for kind in (FILE, LINK, DIRECTORY):
            for mode in (0o444, 0o1777, 0o555):
                for size in (0, 511, 8**11 - 1, 8**11, 2**40):
                    target = name[::-1] if kind == LINK else b""
                    digest.update(header(name, kind, mode, size if kind == FILE else 0, target))
    assert digest.hexdigest() == "34632392a4ceedcf41c6d43ce93a3af8e2274effa0fd4dcddcf2339f6e67cd27"


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

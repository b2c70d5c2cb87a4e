"""An archive as a stream of bytes: plain, with Zstandard where that is installed, or read with gzip; knows no tar."""

from __future__ import annotations

import gzip
import os
import zlib
from importlib import import_module
from typing import Any, BinaryIO, Protocol

from repx.errors import StoreError, UsageError

ZSTD = ".zst"
"""What the name of an archive ends in that is compressed with Zstandard."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_GZIP_MAGIC = b"\x1f\x8b"
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257

MOST_RATIO = 200
"""Bytes that one byte of an archive may become. Experiments and tables become some ten."""

_FREE_BYTES = 64 << 20
"""What comes out first is not held against an archive: a small one may be all zeros."""


class Writer(Protocol):
    """What an archive is written to."""

    def write(self, data: bytes, /) -> int:
        """Write all of it."""

    def close(self) -> None:
        """Write what is left."""


class _Plain:
    """A file as it is; whoever opened it closes it."""

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write

    def close(self) -> None:
        return


def is_archive(path: str) -> bool:
    """Whether a file says that it is an archive: by how it begins, or else by its name, as one does that is damaged."""
    try:
        with open(path, "rb") as file:
            head = file.read(_TAR_MAGIC_AT + len(_TAR_MAGIC))
    except OSError:
        return False
    is_named_so = any(f".{ending}" in os.path.basename(path) for ending in ("tar", "tgz"))
    return is_named_so or head.startswith((_ZSTD_MAGIC, _GZIP_MAGIC)) or head.endswith(_TAR_MAGIC)


def compressed(file: BinaryIO, name: str) -> Writer:
    """What to write an archive of this name to. Raises UsageError where Zstandard is wanted and not installed."""
    if not name.endswith(ZSTD):
        return _Plain(file)
    zstd = _zstd(name)
    # One thread and a checksum: the same bytes each time, and a reader sees damage at once.
    options = {zstd.CompressionParameter.compression_level: 9, zstd.CompressionParameter.checksum_flag: 1}
    writer: Writer = zstd.ZstdFile(file, "w", options=options)
    return writer


class Decompressed:
    """Reads an archive, whatever it is compressed with. Raises StoreError where it is damaged, or grows too much."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._given = 0
        head = file.read(4)
        file.seek(0)
        self._is_compressed = head == _ZSTD_MAGIC or head.startswith(_GZIP_MAGIC)
        self._errors: tuple[type[Exception], ...] = (EOFError, gzip.BadGzipFile, zlib.error)
        self._stream: Any = file
        if head == _ZSTD_MAGIC:
            zstd = _zstd(name)
            self._errors = (EOFError, zstd.ZstdError)
            self._stream = zstd.ZstdFile(file, "r")
        elif self._is_compressed:
            self._stream = gzip.GzipFile(fileobj=file)

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, or fewer at the end."""
        parts: list[bytes] = []
        left = size
        while left:
            try:
                data: bytes = self._stream.read(left)
            except self._errors as error:
                cut = isinstance(error, EOFError)
                raise StoreError(f"{self._name} is {'cut short' if cut else 'damaged'}", hint=COPY_AGAIN) from None
            if not data:
                break
            left -= len(data)
            self._count(len(data))
            parts.append(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _count(self, size: int) -> None:
        self._given += size
        if self._is_compressed and self._given > max(_FREE_BYTES, MOST_RATIO * self._file.tell()):
            raise StoreError(
                f"{self._name} grows too much: each of its bytes becomes more than {MOST_RATIO}",
                hint="if you trust where it comes from, decompress it yourself, and unpack what comes out",
            )


COPY_AGAIN = "copy it again from where it came from"


def _zstd(name: str) -> Any:
    """The module for Zstandard: the standard library's from Python 3.14, else its backport. Raises UsageError."""
    for module in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(module)
        except ImportError:
            continue
    raise UsageError(
        f"{name} takes Zstandard, which this Python lacks", hint="pip install 'repx[zstd]', or leave out .zst"
    )

"""The tar format as images need it: headers that are the same bytes everywhere, and files as one stream.

GNU's format (GNU tar manual, "Basic Tar Format"), because names are bytes in it: PAX wants UTF-8, which a file name
need not be. Knows no owners and no times: everything is root's, and of second 1, as in a Nix store.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping

FILE = tarfile.REGTYPE
LINK = tarfile.SYMTYPE
DIRECTORY = tarfile.DIRTYPE

END = bytes(1024)
"""What closes an archive."""

_BLOCK = 512
_CHUNK = 1 << 20


class ChangedFileError(OSError):
    """A file was no longer as long as it had been a moment before."""


def header(name: bytes, kind: bytes, mode: int, size: int = 0, target: bytes = b"") -> bytes:
    """What stands before an entry's content: one block, and more before it where `name` or `target` is long.

    A directory's name is given without a slash at its end. `target` is a link's; `size` a file's, in bytes.
    """
    entry = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
    entry.type, entry.mode, entry.size, entry.mtime = kind, mode, size, 1
    entry.linkname = target.decode("utf-8", "surrogateescape")
    return entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """What stands after a content of `size` bytes."""
    return bytes(-size % _BLOCK)


def file_content(path: bytes, size: int) -> Iterator[bytes]:
    """A file's bytes and the padding, in pieces of up to a megabyte. ChangedFileError when it has not `size` bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        left = size
        while left:
            piece = os.read(descriptor, min(left, _CHUNK))
            if not piece:
                break
            left -= len(piece)
            yield piece
        if left or (size and os.fstat(descriptor).st_size != size):
            raise ChangedFileError("%s changed while it was being read" % os.fsdecode(path))
    finally:
        os.close(descriptor)
    if size % _BLOCK:
        yield padding(size)


def archive_stream(files: Mapping[str, str]) -> Iterator[bytes]:
    """Files as an archive, in pieces: paths on disk by their paths in it. Directories come before what is in them.

    Made for an image: `podman load` and `docker load` take one from their standard input.
    """
    known: set[str] = set()
    for name, path in sorted(files.items()):
        parts = name.split("/")
        for directory in ("/".join(parts[:count]) for count in range(1, len(parts))):
            if directory not in known:
                known.add(directory)
                yield header(os.fsencode(directory), DIRECTORY, 0o755)
        size = os.stat(path).st_size
        yield header(os.fsencode(name), FILE, 0o444, size)
        yield from file_content(os.fsencode(path), size)
    yield END

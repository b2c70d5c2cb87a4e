"""The hash of a tree as Nix takes it: of its NAR, the archive without times and owners; makes no archive.

Format: E. Dolstra, The Purely Functional Software Deployment Model, 2006, figure 5.2.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Any

_CHUNK = 1 << 20


def nar_sha256(path: str) -> str:
    """The SHA-256 (hex) of a file's, link's or directory's NAR. ValueError for a socket, pipe or device in it."""
    digest = hashlib.sha256(_text(b"nix-archive-1"))
    _node(digest, path, os.lstat(path))
    return digest.hexdigest()


def _node(digest: Any, path: str, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        _file(digest, path, status)
    elif stat.S_ISLNK(status.st_mode):
        digest.update(_SYMLINK + _text(os.fsencode(os.readlink(path))) + _CLOSE)
    elif stat.S_ISDIR(status.st_mode):
        digest.update(_DIRECTORY)
        with os.scandir(path) as listing:
            entries = sorted((os.fsencode(entry.name), entry) for entry in listing)
        for name, entry in entries:
            digest.update(_ENTRY + _text(name) + _NODE)
            _node(digest, entry.path, entry.stat(follow_symlinks=False))
            digest.update(_CLOSE)
        digest.update(_CLOSE)
    else:
        raise ValueError("%s: a socket, pipe or device is in no NAR" % path)


def _file(digest: Any, path: str, status: os.stat_result) -> None:
    head = _EXECUTABLE if status.st_mode & stat.S_IXUSR else _REGULAR
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, _CHUNK)
        # Most files are read whole at once: what is hashed then is one piece.
        if len(data) == status.st_size:
            digest.update(head + len(data).to_bytes(8, "little") + data + b"\0" * (-len(data) % 8) + _CLOSE)
            return
        digest.update(head + status.st_size.to_bytes(8, "little"))
        length = 0
        while data:
            digest.update(data)
            length += len(data)
            data = os.read(descriptor, _CHUNK)
        digest.update(b"\0" * (-length % 8) + _CLOSE)
    finally:
        os.close(descriptor)


def _text(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text + b"\0" * (-len(text) % 8)


def _texts(*texts: bytes) -> bytes:
    return b"".join(map(_text, texts))


_CLOSE = _texts(b")")
_REGULAR = _texts(b"(", b"type", b"regular", b"contents")
_EXECUTABLE = _texts(b"(", b"type", b"regular", b"executable", b"", b"contents")
_SYMLINK = _texts(b"(", b"type", b"symlink", b"target")
_DIRECTORY = _texts(b"(", b"type", b"directory")
_ENTRY = _texts(b"entry", b"(", b"name")
_NODE = _texts(b"node")

"""Write one layer as a tar file, the same bytes everywhere; does not know who wants it, nor where it is kept."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator

from repx.agent.base.tar import DIRECTORY, END, FILE, LINK, ChangedFileError, file_content, header, padding
from repx.errors import SoftwareError, StoreError
from repx.realizer.images.plan import BaseLayer, ImagePath, Layer

_BUFFER = 1 << 20
_WHITEOUT = b".wh."

_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nrepx:x:1000:1000:repx:/tmp:/bin/sh\n"
_GROUP = b"root:x:0:\nrepx:x:1000:\n"


def write_layer(layer: Layer | BaseLayer, target: str) -> tuple[str, int]:
    """Write a layer as an uncompressed tar file; its SHA-256 (hex) and size. The same bytes on every machine.

    Owners, times and modes are those of every Nix store: root, second 1, read-only. Each hard link becomes a file.
    Raises SoftwareError for a file that no layer can hold, StoreError for one that changes meanwhile, OSError.
    """
    digest = hashlib.sha256()
    size = 0
    try:
        with open(target, "wb", buffering=0) as file:
            for piece in _gathered(_base(layer) if isinstance(layer, BaseLayer) else _store_paths(layer.paths)):
                digest.update(piece)
                size += len(piece)
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
    except ChangedFileError as error:
        raise StoreError(str(error), hint="nix store verify --all says what is broken") from None
    return digest.hexdigest(), size


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of a megabyte or more: most files are smaller than a system call is worth."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        if len(buffer) >= _BUFFER:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer)


def _store_paths(paths: Iterable[ImagePath]) -> Iterator[bytes]:
    # In every layer, and the same in each: an engine takes a directory's mode from the uppermost.
    yield header(b"nix", DIRECTORY, 0o755)
    yield header(b"nix/store", DIRECTORY, 0o755)
    for path in paths:
        source = os.fsencode(path.source)
        yield from _tree(source, b"nix/store/" + path.name.encode(), os.lstat(source))
    yield END


def _tree(source: bytes, name: bytes, status: os.stat_result) -> Iterator[bytes]:
    """One file, link or directory with all below it. Bytes throughout: their order and spelling know no locale."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        yield header(name, FILE, 0o555 if mode & stat.S_IXUSR else 0o444, status.st_size)
        yield from file_content(source, status.st_size)
    elif stat.S_ISLNK(mode):
        yield header(name, LINK, 0o777, 0, os.readlink(source))
    elif stat.S_ISDIR(mode):
        yield header(name, DIRECTORY, 0o555)
        with os.scandir(source) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            if entry.name.startswith(_WHITEOUT):
                raise _unfit(entry.path, f"in a layer, {os.fsdecode(_WHITEOUT)}… means that a file is deleted")
            yield from _tree(entry.path, name + b"/" + entry.name, entry.stat(follow_symlinks=False))
    else:
        raise _unfit(source, "a socket, pipe or device")


def _unfit(path: bytes, reason: str) -> SoftwareError:
    return SoftwareError(
        "a file cannot be put into an image",
        facts=[("file", os.fsdecode(path)), ("because", reason)],
        hint='leave its package out, or use container="none"',
    )


def _base(layer: BaseLayer) -> Iterator[bytes]:
    """Everybody may write where a job writes: who that is, the one who starts the container says, not the image."""
    directories = {
        "bin": 0o755, "dev": 0o755, "etc": 0o755, "nix": 0o755, "nix/store": 0o755, "proc": 0o755,
        "repx": 0o755, "repx/in": 0o755, "repx/out": 0o1777,
        "root": 0o755, "run": 0o755, "sys": 0o755, "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755,
        "var": 0o755, "var/tmp": 0o1777,
    }  # fmt: skip
    files = {"etc/group": _GROUP, "etc/passwd": _PASSWD}
    links = {"bin/sh": layer.shell, "usr/bin/env": layer.env}
    for place in sorted({*directories, *files, *links}):
        name = place.encode()
        if place in directories:
            yield header(name, DIRECTORY, directories[place])
        elif place in files:
            content = files[place]
            yield header(name, FILE, 0o444, len(content)) + content + padding(len(content))
        elif target := links[place]:
            yield header(name, LINK, 0o777, 0, os.fsencode(target))
    yield END

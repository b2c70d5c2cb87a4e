"""Tar archives from anywhere, member by member: only what a Lab can consist of, each once, beneath one directory.

Nothing that an archive says is believed before it is looked at: names, links, lengths, and the lengths of names. What
becomes of a link is for whoever knows what is in the archive; none is followed here.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from repx.agent.base.digest import MOST_LEVELS
from repx.agent.base.files import write_all
from repx.agent.lab.place import open_beneath
from repx.errors import StoreError
from repx.store.sharing.compression import COPY_AGAIN, Decompressed

MOST_MEMBERS = 10_000_000
"""Files, directories and links of an archive: a hundred times those of the largest Lab."""

_MOST_NAME = 1 << 16
"""Bytes of a name or of a link's target, and of what says them (PATH_MAX is 4,096)."""

_BLOCK = 512
_CHUNK = 1 << 20
_STORE = "store"


class Member(NamedTuple):
    """One entry: its path in parts, its kind (as in `tarfile`), its length in bytes, whether it is a program."""

    parts: tuple[str, ...]
    kind: bytes
    size: int
    is_program: bool
    target: str


def extract(stream: Decompressed, name: str, root: str) -> None:
    """Unpack an archive into an empty directory. Raises StoreError for one that should not be; OSError."""
    with _Extraction(name, root) as extraction:
        for member in _members(stream, name):
            extraction.add(member, stream)


class _Extraction:
    def __init__(self, name: str, root: str) -> None:
        self._name = name
        self._root = root
        self._seen: dict[tuple[str, ...], bytes] = {(): tarfile.DIRTYPE}
        self._parent: tuple[str, ...] | None = None
        self._descriptor = -1

    def __enter__(self) -> _Extraction:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def add(self, member: Member, stream: Decompressed) -> None:
        """Make one member. What is made is new: nothing is ever opened that stood there."""
        if not member.parts:
            return
        if len(self._seen) > MOST_MEMBERS:
            raise self._refused("/".join(member.parts), f"it is one of more than {MOST_MEMBERS:,} members")
        if member.parts in self._seen:
            raise self._refused("/".join(member.parts), "it comes twice")
        with self._named(member):
            directory = self._enter(member.parts[:-1])
            self._seen[member.parts] = member.kind
            if member.kind == tarfile.DIRTYPE:
                os.mkdir(member.parts[-1], 0o755, dir_fd=directory)
            elif member.kind == tarfile.SYMTYPE:
                self._check_link(member)
                os.symlink(member.target, member.parts[-1], dir_fd=directory)
            elif member.kind == tarfile.LNKTYPE:
                self._link(member, directory)
            else:
                self._write(member, directory, stream)

    def _write(self, member: Member, directory: int, stream: Decompressed) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(member.parts[-1], flags, 0o600, dir_fd=directory)
        try:
            left = member.size
            while left:
                data = stream.read(min(left, _CHUNK))
                if not data:
                    raise _cut_short(self._name)
                write_all(descriptor, data)
                left -= len(data)
            os.fchmod(descriptor, 0o555 if member.is_program else 0o444)
        finally:
            os.close(descriptor)
        _skip_padding(stream, member.size)

    def _link(self, member: Member, directory: int) -> None:
        """A second name of a file that has come before."""
        source = _parts(member.target)
        if source is None or self._seen.get(source) != tarfile.REGTYPE:
            raise self._refused("/".join(member.parts), f"it is another name of {member.target}, which is not a file")
        self._seen[member.parts] = tarfile.REGTYPE
        descriptor = open_beneath(self._root, "/".join(source), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            data_mode = os.fstat(descriptor).st_mode & 0o777
            target = os.open(
                member.parts[-1], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory
            )
            try:
                while data := os.read(descriptor, _CHUNK):
                    write_all(target, data)
                os.fchmod(target, data_mode)
            finally:
                os.close(target)
        finally:
            os.close(descriptor)

    def _check_link(self, member: Member) -> None:
        """A link must stay in the archive; but for those in store paths, whose hashes say what links are in them."""
        inside = os.path.normpath("/".join([*member.parts[:-1], member.target]))
        leaves = member.target.startswith("/") or inside == ".." or inside.startswith("../")
        if leaves and _STORE not in member.parts[:2]:
            raise self._refused("/".join(member.parts), f"it is a link that leaves the archive: {member.target[:200]}")

    def _enter(self, parts: tuple[str, ...]) -> int:
        """A descriptor of a directory of the archive; those above it that have not come are made."""
        if parts == self._parent:
            return self._descriptor
        for count in range(1, len(parts) + 1):
            kind = self._seen.get(parts[:count])
            if kind is None:
                directory = self._enter(parts[: count - 1])
                os.mkdir(parts[count - 1], 0o755, dir_fd=directory)
                self._seen[parts[:count]] = tarfile.DIRTYPE
            elif kind != tarfile.DIRTYPE:
                raise self._refused("/".join(parts), "it is not a directory, and yet something is in it")
        self._leave()
        self._descriptor = open_beneath(self._root, "/".join(parts) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._parent = parts
        return self._descriptor

    def _leave(self) -> None:
        if self._parent is not None:
            os.close(self._descriptor)
            self._parent = None

    @contextmanager
    def _named(self, member: Member) -> Iterator[None]:
        """What no file system takes as a name is the archive's fault."""
        try:
            yield
        except (UnicodeEncodeError, ValueError):
            raise self._refused("/".join(member.parts), "no file can be called so") from None
        except OSError as error:
            if error.errno in _FAULTS_OF_NAMES:
                raise self._refused("/".join(member.parts), error.strerror or "") from None
            raise

    def _refused(self, member: str, reason: str) -> StoreError:
        return refused(self._name, member, reason)


def refused(name: str, member: str, reason: str) -> StoreError:
    """The error for a member that should not be."""
    return StoreError(
        f"{name} is not unpacked: it is damaged, or no Lab that repx has packed",
        facts=[(ascii(member[:200])[1:-1], reason)],
        hint=COPY_AGAIN,
    )


_FAULTS_OF_NAMES = frozenset([36, 22, 40, 20])  # ENAMETOOLONG, EINVAL, ELOOP, ENOTDIR


def _members(stream: Decompressed, name: str) -> Iterator[Member]:
    """The members of an archive, each read to its end before the next is asked for."""
    long: dict[str, str] = {}
    while True:
        block = stream.read(_BLOCK)
        try:
            entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # typeshed lacks it
            # To the end: what a compression says of the whole stands there.
            while stream.read(_CHUNK):
                continue
            return
        except tarfile.HeaderError:
            if len(block) < _BLOCK:
                raise _cut_short(name) from None
            raise StoreError(f"{name} is not a tar archive, or damaged", hint=COPY_AGAIN) from None
        if entry.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            text = _extension(stream, entry, name).split(b"\0")[0].decode("utf-8", "surrogateescape")
            long["path" if entry.type == tarfile.GNUTYPE_LONGNAME else "linkpath"] = text
            continue
        if entry.type in (tarfile.XHDTYPE, tarfile.XGLTYPE):
            said = _pax(_extension(stream, entry, name), name)
            long.update(said if entry.type == tarfile.XHDTYPE else {})
            continue
        member, long = _member(entry, long, name), {}
        yield member


def _member(entry: tarfile.TarInfo, long: dict[str, str], name: str) -> Member:
    path, target = long.get("path", entry.name), long.get("linkpath", entry.linkname)
    kind = tarfile.REGTYPE if entry.type in (tarfile.AREGTYPE, tarfile.CONTTYPE) else entry.type
    if kind not in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE):
        raise refused(name, path, "it is neither a file nor a directory nor a link")
    parts = _parts(path)
    if parts is None:
        raise refused(name, path, "it leads outside")
    if len(parts) > MOST_LEVELS:
        raise refused(name, path, f"it lies in more than {MOST_LEVELS} directories")
    try:
        size = int(long.get("size", entry.size)) if kind == tarfile.REGTYPE else 0
    except ValueError:
        size = -1
    if size < 0 or (kind == tarfile.SYMTYPE and not target) or len(target) > _MOST_NAME:
        raise refused(name, path, "its header says what cannot be")
    if not parts and kind != tarfile.DIRTYPE:
        raise refused(name, path, "it has no name")
    return Member(parts, kind, size, bool(entry.mode & 0o100), target)


def _parts(path: str) -> tuple[str, ...] | None:
    """A path in parts; None for one that is absolute or climbs."""
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    return None if path.startswith("/") or ".." in parts or "\0" in path else parts


def _extension(stream: Decompressed, entry: tarfile.TarInfo, name: str) -> bytes:
    """What stands in place of a header that is too short for it."""
    if not 0 <= entry.size <= _MOST_NAME:
        raise refused(name, entry.name, f"a name of more than {_MOST_NAME} bytes")
    data = stream.read(entry.size)
    if len(data) < entry.size:
        raise _cut_short(name)
    _skip_padding(stream, entry.size)
    return data


def _pax(data: bytes, name: str) -> dict[str, str]:
    """The records of an extended header: `<length> <key>=<value>` and a newline (POSIX, pax, Extended Header)."""
    said: dict[str, str] = {}
    while data:
        length, blank, _ = data.partition(b" ")
        if not blank or not length.isdigit() or not len(length) + 3 <= int(length) <= len(data):
            raise refused(name, "", "an extended header is damaged")
        record, data = data[len(length) + 1 : int(length) - 1], data[int(length) :]
        key, _, value = record.decode("utf-8", "surrogateescape").partition("=")
        if key.startswith("GNU.sparse"):
            raise refused(name, said.get("path", ""), "it is a file with holes")
        said[key] = value
    return {key: said[key] for key in ("path", "linkpath", "size") if key in said}


def _skip_padding(stream: Decompressed, size: int) -> None:
    stream.read(-size % _BLOCK)


def _cut_short(name: str) -> StoreError:
    return StoreError(f"{name} is cut short", hint=COPY_AGAIN)

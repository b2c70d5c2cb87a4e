"""Archives as their makers made them, good and bad: members by hand; knows no store."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

Members = list[tuple[tarfile.TarInfo, bytes]]


def read_members(path: Path) -> Members:
    """All members of an archive, with what is in its files."""
    with tarfile.open(path) as archive:
        found = []
        for member in archive.getmembers():
            file = archive.extractfile(member) if member.isreg() else None
            found.append((member, b"" if file is None else file.read()))
        return found


def write_members(path: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """An archive of these, in this order."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return path


def member(
    name: str, kind: bytes = tarfile.REGTYPE, *, target: str = "", data: bytes = b""
) -> tuple[tarfile.TarInfo, bytes]:
    """One member."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size, made.mode = kind, target, len(data), 0o755
    return made, data


def needs_zstandard() -> None:
    """Skip where nothing compresses so."""
    pytest.importorskip(
        "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", reason="optional: zstd"
    )


Change = Callable[[Members, str], Members]
"""Another list of members, for a Lab that lies in a directory of this name."""


def added(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", data: bytes = b"") -> Change:
    """With one more at the end; `TOP` in its name is the Lab's directory."""

    def change(members: Members, top: str) -> Members:
        return [*members, member(name.replace("TOP", top), kind, target=target.replace("TOP", top), data=data)]

    return change


def changed(suffix: str, data: bytes | None) -> Change:
    """With other bytes in the first file whose name ends so, or without it."""

    def change(members: Members, top: str) -> Members:
        place = next(number for number, (one, _) in enumerate(members) if one.name.endswith(suffix))
        one, _ = members[place]
        if data is None:
            return [*members[:place], *members[place + 1 :]]
        one.size = len(data)
        return [*members[:place], (one, data), *members[place + 1 :]]

    return change

"""Programs of a Lab's closure that start where there is no /nix/store: the Lab's own tools, as shell scripts.

A program of a closure names its dynamic loader by an absolute path, so it does not start from any other place. Its
loader can be started there, though, and told where the program and its libraries are (ld.so(8)). That takes a POSIX
shell and nothing else.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from repx.model.closure import STORE_DIR, Closure, name_of
from repx.realizer.base_programs import BASE_PROGRAMS
from repx.realizer.nix.contents import StoreContents

TOOLS: Mapping[str, tuple[str, ...]] = {
    "bash": ("bash",),
    "coreutils": BASE_PROGRAMS["coreutils"],
    "python3": ("python3",),
    "bubblewrap": ("bwrap",),
}
"""Attribute of a package set to the programs of it that a Lab offers; a set need not have the last one."""

_LAUNCHER = """\
#!/bin/sh
# Starts {program} of this Lab, also where there is no /nix/store.
case $0 in */*) here=${{0%/*}} ;; *) here=. ;; esac
store=$(cd -P "$here/../../../store" && pwd) || exit 127
exec {command} "$@"
"""


def launchers(closure: Closure, contents: StoreContents) -> Iterator[tuple[str, str]]:
    """(name, text) of a launcher for each tool of a closure that can have one."""
    for attribute, programs in TOOLS.items():
        for name in closure.tools.get(attribute, ()):
            held = contents.programs(name) or frozenset()
            for program in programs:
                if program in held and (command := _command(name, program, closure, contents)):
                    yield program, _LAUNCHER.format(program=program, command=command)


def _command(name: str, program: str, closure: Closure, contents: StoreContents) -> str:
    """The words that start a program by its loader, for a shell; empty when it is no ELF file."""
    place = _followed(f"{STORE_DIR}/{name}/bin/{program}", contents)
    if place is None:
        return ""
    path, on_disk = place
    loader = elf_loader(on_disk)
    if loader is None:
        return ""
    here = _in_lab(path)
    if not loader:
        return here
    if not loader.startswith(f"{STORE_DIR}/"):
        return ""
    libraries = ":".join(f"$store/{one}" for one in _library_directories(closure.of([name_of(path)]), contents))
    # Called by the name it has: multi-call programs and Python look at it.
    called = _in_lab(f"{os.path.dirname(path)}/{program}") if path.startswith(f"{STORE_DIR}/{name}/bin/") else here
    # A Python that keeps what it has compiled would change the Lab.
    options = " -B" if program == "python3" else ""
    return f'{_in_lab(loader)} --argv0 {called} --library-path "{libraries}" {here}{options}'


def elf_loader(path: str) -> str | None:
    """The dynamic loader that an ELF file names; "" for a static one, None for what is no 64-bit ELF file (elf(5))."""
    with open(path, "rb") as file:
        try:
            return _interpreter(file)
        except (struct.error, OSError, OverflowError, UnicodeDecodeError):
            # Cut short, or an imitation.
            return None


def _interpreter(file: BinaryIO) -> str | None:
    head = file.read(64)
    if len(head) < 64 or head[:5] != b"\x7fELF\x02":
        return None
    order = "<" if head[5] == 1 else ">"
    (table,) = struct.unpack_from(order + "Q", head, 32)
    size, count = struct.unpack_from(order + "HH", head, 54)
    for number in range(count):
        file.seek(table + number * size)
        entry = file.read(size)
        (kind,) = struct.unpack_from(order + "I", entry)
        if kind == 3:  # PT_INTERP
            offset, _, _, length = struct.unpack_from(order + "4Q", entry, 8)
            file.seek(offset)
            return file.read(min(length, 4096)).rstrip(b"\0").decode()
    return ""


def _followed(path: str, contents: StoreContents) -> tuple[str, str] | None:
    """(as its programs see it, on disk) of what a path finally means; None when that leaves the closure."""
    for _ in range(40):
        name, _, rest = path.removeprefix(f"{STORE_DIR}/").partition("/")
        place = contents.place(name)
        if place is None or not path.startswith(f"{STORE_DIR}/"):
            return None
        on_disk = f"{place}/{rest}"
        if not os.path.islink(on_disk):
            return (path, on_disk) if os.path.isfile(on_disk) else None
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(on_disk)))
    return None


def _in_lab(path: str) -> str:
    inside = path.removeprefix(f"{STORE_DIR}/")
    return f'"$store/{inside}"'


def _library_directories(names: Sequence[str], contents: StoreContents) -> Iterator[str]:
    """Where shared libraries stand in store paths: `lib`, and below it a directory for the triplet (Debian)."""
    for name in names:
        try:
            entries = sorted(os.listdir(f"{contents.place(name)}/lib"))
        except OSError:
            continue
        yield f"{name}/lib"
        yield from (f"{name}/lib/{entry}" for entry in entries if "-linux-" in entry)

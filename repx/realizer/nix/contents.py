"""Looks into store paths: programs, interpreters, Python modules; as far as the paths are on this machine.

Before a build some paths are not there, and then the answer is None: only the build can tell.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from functools import cached_property

from repx.model.closure import STORE_DIR, is_store_name

_PROPAGATED = "nix-support/propagated-build-inputs"
_LIBRARY = re.compile(r"(python|pypy)3\.\d+")
_SUFFIXES = ("", ".py", ".so")


class StoreContents:
    """Looks into `places`, directories in which store paths stand by their names; the first that has one counts."""

    def __init__(self, places: Sequence[str] = (STORE_DIR,)) -> None:
        self._places = places
        self._programs: dict[str, frozenset[str] | None] = {}

    def place(self, name: str) -> str | None:
        """The directory of a store path on this machine; None when it is not there."""
        for directory in self._places:
            if os.path.lexists(f"{directory}/{name}"):
                return f"{directory}/{name}"
        return None

    def programs(self, name: str) -> frozenset[str] | None:
        """The names in the bin/ of a store path; None when the path is not there."""
        if name not in self._programs:
            place = self.place(name)
            try:
                self._programs[name] = frozenset(os.listdir(f"{place}/bin")) if place else None
            except OSError:
                self._programs[name] = frozenset()
        return self._programs[name]

    def has_program(self, names: Iterable[str], program: str) -> bool | None:
        """Whether one of these store paths has a program; None when only the build can tell."""
        return _any(None if (held := self.programs(name)) is None else program in held for name in names)

    def has_module(self, name: str, module: str) -> bool:
        """Whether a store path has a top-level module for some Python."""
        place = self.place(name)
        try:
            libraries = [one for one in os.listdir(f"{place}/lib") if _LIBRARY.fullmatch(one)] if place else []
        except OSError:
            return False
        return any(_holds_module(f"{place}/lib/{library}/site-packages", module) for library in libraries)

    def path_directories(self, names: Iterable[str]) -> list[str]:
        """The bin/ directories of these store paths, as a job sees them; paths without programs are left out."""
        return [f"{STORE_DIR}/{name}/bin" for name in dict.fromkeys(names) if self.programs(name)]

    def pythons(self, names: Iterable[str]) -> list[PythonIn]:
        """The Pythons among these store paths."""
        found = (PythonIn(self, name) for name in dict.fromkeys(names))
        return [python for python in found if python.program]

    def with_propagated(self, names: Iterable[str]) -> list[str]:
        """These store paths and those that they propagate (`propagated-build-inputs`), in order."""
        found: dict[str, None] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop(0)
            if name in found:
                continue
            found[name] = None
            try:
                with open(f"{self.place(name)}/{_PROPAGATED}", encoding="utf-8") as file:
                    paths = file.read().split()
            except OSError:
                continue
            parts = [path.removeprefix(f"{STORE_DIR}/") for path in paths]
            waiting.extend(part for part in parts if is_store_name(part))
        return list(found)


class PythonIn:
    """The Python of one store path; `program` is its name in bin/, empty when there is none."""

    def __init__(self, contents: StoreContents, name: str) -> None:
        self._contents = contents
        self.name = name
        self._place = contents.place(name) or ""
        programs = contents.programs(name) or frozenset()
        self.program = "python3" if "python3" in programs else ""

    @property
    def path(self) -> str:
        """The interpreter, as a job sees it."""
        return f"{STORE_DIR}/{self.name}/bin/{self.program}"

    @cached_property
    def library(self) -> str:
        """`lib/python3.<minor>`; empty when it has no standard library of its own."""
        try:
            names = sorted(os.listdir(f"{self._place}/lib"))
        except OSError:
            return ""
        found = [name for name in names if _LIBRARY.fullmatch(name)]
        return f"lib/{found[-1]}" if found else ""

    def module_directories(self, names: Iterable[str]) -> list[str]:
        """PYTHONPATH for this Python: the directories with modules in other store paths, as a job sees them."""
        found = []
        for name in self._contents.with_propagated(names):
            place = self._contents.place(name)
            if name != self.name and os.path.isdir(f"{place}/{self.library}/site-packages"):
                found.append(f"{STORE_DIR}/{name}/{self.library}/site-packages")
        return found

    def has_module(self, module: str, directories: Iterable[str] = ()) -> bool:
        """Whether a top-level module is in its standard library, in its own site-packages or in `directories`."""
        own = [f"{self._place}/{self.library}{part}" for part in ("", "/lib-dynload", "/site-packages")]
        others = [self._on_disk(directory) for directory in directories]
        return any(_holds_module(directory, module) for directory in [*own, *others])

    def _on_disk(self, directory: str) -> str:
        name, _, rest = directory.removeprefix(f"{STORE_DIR}/").partition("/")
        return f"{self._contents.place(name)}/{rest}"


def _holds_module(directory: str, module: str) -> bool:
    if any(os.path.exists(f"{directory}/{module}{suffix}") for suffix in _SUFFIXES):
        return True
    try:
        names = os.listdir(directory)
    except OSError:
        return False
    # An extension module is called `<module>.<ABI tag>.so`.
    return any(name.startswith(f"{module}.") and name.endswith(".so") for name in names)


def _any(answers: Iterable[bool | None]) -> bool | None:
    unknown = False
    for answer in answers:
        if answer:
            return True
        unknown = unknown or answer is None
    return None if unknown else False

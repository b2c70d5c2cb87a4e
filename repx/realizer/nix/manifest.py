"""Writes the manifest of a stage whose software is a closure: PATH, interpreters, modules; starts nothing."""

from __future__ import annotations

import os

from repx.model.closure import STORE_DIR, Closure, name_of
from repx.model.software import Json, Software
from repx.realizer.nix.contents import StoreContents


def closure_manifest(software: Software, contents: StoreContents, closure: Closure) -> dict[str, Json]:
    """The manifest of a built stage: the packages it asks for, and the places of programs and modules in the closure.

    PATH has the stage's own packages first, then the base. `locale` is the directory of the locale C.UTF-8, which every
    job gets: a C library that was built for another place does not find it by itself.
    """
    own, base = (_names(software, key) for key in ("packages", "base"))
    manifest = dict(software.manifest)
    manifest["path"] = [*contents.path_directories([*own, *base])]
    manifest["shell"] = _program(contents, [*base, *own], "bash")
    manifest["env"] = _program(contents, [*base, *own], "env")
    places = ((name, contents.place(name)) for name in closure.of(software.roots))
    manifest["locale"] = next(
        (f"{STORE_DIR}/{name}/lib/locale" for name, place in places if os.path.isdir(f"{place}/lib/locale/C.utf8")), ""
    )
    pythons = contents.pythons(own)
    if pythons:
        manifest["python"] = pythons[0].path
        manifest["python_path"] = [*pythons[0].module_directories(own)]
    return manifest


def _names(software: Software, key: str) -> list[str]:
    packages = software.manifest[key]
    assert isinstance(packages, dict)
    return [name_of(str(path)) for paths in packages.values() for path in (paths if isinstance(paths, list) else [])]


def _program(contents: StoreContents, names: list[str], program: str) -> str:
    directories = contents.path_directories(names)
    return next((f"{one}/{program}" for one in directories if contents.has_program([name_of(one)], program)), "")

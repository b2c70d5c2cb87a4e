"""Installed Python distributions of this interpreter: what makes each importable, and what identifies what would run.

Imports none of them. A distribution from an index is identified by its RECORD (PyPA, recording installed projects);
one that is installed from a folder, or in editable form, by the files that would be imported: there a version says
nothing. What lies outside of these, such as data beside an editable package, is not looked at.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import os
import re
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from repx.agent.base.digest import file_sha256, short_digest
from repx.agent.base.left_out import is_left_by_a_tool

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_SUFFIXES = (".py", ".so", ".pyd")
_METADATA = (".dist-info", ".egg-info")


class InstalledError(Exception):
    """A distribution of which nobody can say what it would run."""


class Installed(NamedTuple):
    """A distribution: `identity` is its version and a digest, `places` what makes it importable.

    `places` are names below `site-packages`, each with the file or directory that stands for it.
    """

    identity: str
    places: Mapping[str, str]


def find_installed(name: str) -> Installed | None:
    """The distribution of this name; None when there is none. Raises InstalledError."""
    import importlib.metadata  # half of this file's import time, for a look that few processes take

    try:
        return installed(importlib.metadata.distribution(name))
    except importlib.metadata.PackageNotFoundError:
        return None


def installed(distribution: Distribution) -> Installed:
    """What a distribution is. Raises InstalledError."""
    name, site, rows, origin = _description(distribution)
    modules = _modules(distribution, name, site, rows, origin)
    # An editable installation of a kind unknown here: its hook is linked, and the whole project counts.
    is_hooked = bool(rows) and origin is not None and origin.editable and modules == _recorded(rows, site)
    trees = {**modules, "": origin.folder} if is_hooked and origin is not None and origin.folder else modules
    if not modules:
        raise InstalledError("the distribution %s does not say which modules it brings" % name)
    try:
        if rows and origin is None:
            lines = list(_record_lines(rows, site, str(distribution.locate_file(_record_place(rows)))))
        else:
            lines = [line for place, path in sorted(trees.items()) for line in _tree_lines(place, path)]
    except OSError as error:
        raise InstalledError("%s of %s cannot be read: %s" % (error.filename, name, error.strerror)) from None
    lines += [text or "" for text in (distribution.read_text("METADATA"), distribution.read_text("entry_points.txt"))]
    digest = short_digest(hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).digest())
    return Installed("%s %s" % (distribution.version, digest), {**modules, **_metadata_place(distribution, rows, site)})


def top_modules(distribution: Distribution) -> Iterator[str]:
    """The names that a distribution's modules are imported by; one look at its RECORD where it has one."""
    name, site, rows, origin = _description(distribution)
    for place in _modules(distribution, name, site, rows, origin):
        yield place.partition("/")[0].partition(".")[0]


def editable_modules(distribution: Distribution) -> Mapping[str, str]:
    """The modules of an editable installation, each with its file or directory; none of any other."""
    if distribution.read_text("direct_url.json") is None:
        return {}
    _, site, rows, origin = _description(distribution)
    return _editable(distribution, rows, site, origin) if origin is not None and origin.editable else {}


def _description(distribution: Distribution) -> tuple[str, str, list[list[str]], _Origin | None]:
    """Name, `site-packages`, the rows of RECORD, and where it comes from."""
    record = distribution.read_text("RECORD")
    rows = [row for row in csv.reader((record or "").splitlines()) if row]
    site = os.path.abspath(str(distribution.locate_file("")))
    return distribution_name(distribution), site, rows, _origin(distribution)


def _modules(
    distribution: Distribution, name: str, site: str, rows: list[list[str]], origin: _Origin | None
) -> dict[str, str]:
    modules = _editable(distribution, rows, site, origin) if origin is not None and origin.editable else {}
    return modules or (_recorded(rows, site) if rows else _declared(distribution, name, site))


def distribution_name(distribution: Distribution) -> str:
    """The name of a distribution, by that of its folder: reading its description takes a hundred times as long."""
    folder = os.path.basename(str(getattr(distribution, "_path", "")))
    if folder.endswith(".dist-info"):
        return folder.partition("-")[0]
    return str(distribution.metadata["Name"])


class _Origin(NamedTuple):
    """Where a distribution that comes from no index was installed from; `folder` is empty for what is elsewhere."""

    folder: str
    editable: bool


def _origin(distribution: Distribution) -> _Origin | None:
    """What `direct_url.json` says (PEP 610)."""
    text = distribution.read_text("direct_url.json")
    if not text:
        return None
    try:
        said = json.loads(text)
        url = urlsplit(said["url"])
        folder = unquote(url.path) if url.scheme == "file" else ""
        return _Origin(folder, bool(said.get("dir_info", {}).get("editable")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return _Origin("", False)


def _editable(distribution: Distribution, rows: list[list[str]], site: str, origin: _Origin) -> dict[str, str]:
    """The modules of an editable installation, by the `.pth` file or the import hook that its RECORD names."""
    found: dict[str, str] = {}
    for path in (os.path.join(site, row[0]) for row in rows if "/" not in row[0]):
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read()
        except (OSError, ValueError):
            continue
        if path.endswith(".pth"):
            for line in text.splitlines():
                if os.path.isdir(line):
                    found.update(_modules_of_folder(distribution, line, origin))
        elif path.endswith(".py"):
            found.update(_mapped(text))
    return found


def _modules_of_folder(distribution: Distribution, folder: str, origin: _Origin) -> dict[str, str]:
    """The modules that a folder on the search path has for a distribution: where it is the project's, those of it."""
    with os.scandir(folder) as listing:
        entries = {entry.name: entry for entry in listing}
    names = [name for name, entry in entries.items() if _is_module(entry)]
    if os.path.realpath(folder) == os.path.realpath(origin.folder or "/"):
        own = set((distribution.read_text("top_level.txt") or "").split())
        own = own or {re.sub(r"[-.]+", "_", distribution_name(distribution)).lower()}
        # A project that says nothing of its modules may mean any that lies there.
        names = [name for name in names if name.partition(".")[0].lower() in {one.lower() for one in own}] or names
    return {name: os.path.join(folder, name) for name in names}


def _is_module(entry: os.DirEntry[str]) -> bool:
    if entry.is_dir():
        return entry.name.isidentifier() and not is_left_by_a_tool(entry)
    return entry.name.endswith(_SUFFIXES) and entry.name.partition(".")[0].isidentifier()


def _mapped(text: str) -> dict[str, str]:
    """Name to place in an import hook of setuptools (`MAPPING = {…}`) or of `editables` (`map_module(…, …)`)."""
    found: dict[str, str] = {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    for node in ast.walk(tree):
        pairs: list[tuple[ast.AST | None, ast.AST]] = []
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(one, ast.Name) and one.id == "MAPPING" for one in targets):
                pairs = list(zip(node.value.keys, node.value.values))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "map_module":
            pairs = [(node.args[0], node.args[1])] if len(node.args) == 2 else []
        for key, value in pairs:
            if isinstance(key, ast.Constant) and isinstance(value, ast.Constant):
                found.update(_mapped_place(str(key.value), str(value.value)))
    return found


def _mapped_place(module: str, path: str) -> dict[str, str]:
    place = module.replace(".", "/")
    if os.path.basename(path) == "__init__.py":
        path = os.path.dirname(path)
    if os.path.isdir(path):
        return {place: path}
    for suffix in ("", *_SUFFIXES):
        if os.path.isfile(path + suffix):
            return {place + os.path.splitext(path + suffix)[1]: path + suffix}
    return {}


def _recorded(rows: list[list[str]], site: str) -> dict[str, str]:
    """The modules that a RECORD lists: whole packages, and the parts of such as several distributions share."""
    found: dict[str, str] = {}
    shared: dict[str, bool] = {}
    for row in rows:
        if row[0].startswith(("../", "/", "__pycache__/")) or row[0].endswith(".pyc"):
            continue
        parts = row[0].split("/")
        if parts[0].endswith(_METADATA):
            continue
        place = parts[0]
        for part in parts[1:]:
            if place not in shared:
                shared[place] = os.path.isdir(os.path.join(site, place)) and not os.path.exists(
                    os.path.join(site, place, "__init__.py")
                )
            if not shared[place]:
                break
            place += "/" + part
        found[place] = os.path.join(site, place)
    return found


def _declared(distribution: Distribution, name: str, site: str) -> dict[str, str]:
    """The modules of a distribution without RECORD (Debian's, or of old): by its top_level.txt, else by its name."""
    tops = (distribution.read_text("top_level.txt") or "").split() or [re.sub(r"[-.]+", "_", name)]
    found: dict[str, str] = {}
    with os.scandir(site) as listing:
        for entry in listing:
            if entry.name.partition(".")[0].lower() in {top.lower() for top in tops} and _is_module(entry):
                found[entry.name] = entry.path
    return found


def _metadata_place(distribution: Distribution, rows: list[list[str]], site: str) -> dict[str, str]:
    """Where the distribution's own description stands: libraries ask it for their version and for their plugins."""
    place = _record_place(rows).partition("/")[0] if rows else ""
    path = os.path.join(site, place) if place else str(getattr(distribution, "_path", ""))
    return {os.path.basename(path): path} if path.endswith(_METADATA) and os.path.exists(path) else {}


def _record_place(rows: list[list[str]]) -> str:
    return next((row[0] for row in rows if row[0].endswith(".dist-info/RECORD")), "")


def _record_lines(rows: list[list[str]], site: str, record: str) -> Iterator[str]:
    """A line for each file that may be imported. What has changed since it was installed, or has no digest, is read."""
    installed_ns = os.stat(record).st_mtime_ns
    for row in rows:
        path, digest = row[0], row[1] if len(row) > 1 else ""
        if path.startswith(("../", "/")) or path.endswith(".pyc") or path.partition("/")[0].endswith(_METADATA):
            continue
        try:
            status = os.stat(site + "/" + path)
        except OSError:
            yield path + " missing"
            continue
        size = row[2] if len(row) > 2 else ""
        if not digest or status.st_mtime_ns > installed_ns or size != str(status.st_size):
            inner = bytes.fromhex(file_sha256(os.path.join(site, path)))
            digest = "sha256=" + urlsafe_b64encode(inner).decode().rstrip("=")
        yield path + " " + digest


def _tree_lines(place: str, path: str) -> Iterator[str]:
    """A line for each file of a module that counts, links followed: they may lead out of the tree, and back into it."""
    waiting, seen = [(place, path)], set()
    while waiting:
        name, path = waiting.pop()
        real = os.path.realpath(path)
        if os.path.isfile(real):
            yield "%s sha256:%s" % (name, file_sha256(real))
        elif os.path.isdir(real) and real not in seen:
            seen.add(real)
            with os.scandir(real) as listing:
                inner = [entry.name for entry in listing if not _is_left_aside(entry)]
            waiting += [(name + "/" + one, real + "/" + one) for one in sorted(inner, reverse=True)]


def _is_left_aside(entry: os.DirEntry[str]) -> bool:
    """What no module reads: caches, version control, environments, and what a build leaves."""
    is_hidden = entry.name.startswith(".") or entry.name.endswith(_METADATA)
    return is_hidden or is_left_by_a_tool(entry) or os.path.exists(entry.path + "/pyvenv.cfg")


def compiled_beside(place: str, path: str) -> Mapping[str, str]:
    """The compiled form of a module that is one file, so that it is not compiled for each job."""
    folder, name = os.path.split(path)
    if not name.endswith(".py"):
        return {}
    inside = "__pycache__/%s.%s.pyc" % (name[:-3], sys.implementation.cache_tag)
    around = place.rpartition("/")[0]
    compiled = os.path.join(folder, inside)
    return {(around + "/" if around else "") + inside: compiled} if os.path.isfile(compiled) else {}

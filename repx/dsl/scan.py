"""Files and directories of an experiment as values: each is hashed on its own; does not know what will read them.

A relative path starts at the file of the caller, so that an experiment means the same wherever it is run from; in a
notebook or at a prompt, where there is no such file, it starts at the working directory.

Entries whose name starts with a dot (`.git`, `.DS_Store`) are not part of a scan: they come and go with tools, and each
would be a job. A `match` that starts with a dot, escaped or not in brackets, asks for them.
"""

from __future__ import annotations

import os
import re
from typing import Literal

from repx.agent.digest import TreeError, tree_digest
from repx.dsl.node import caller
from repx.errors import DefinitionError, SourceLocation, nearest, plural
from repx.model.values import StoredPath

EntryType = Literal["file", "directory", "any"]
StrPath = str | os.PathLike[str]


def path(location: StrPath) -> StoredPath:
    """One file or directory, stored and hashed: may stand wherever an input may, and as a value of a param.

    Raises DefinitionError when it is missing or cannot be stored.
    """
    place = caller()
    return _stored(_absolute(location, place), place)


def dirs(location: StrPath, match: str | None = None) -> list[StoredPath]:
    """Each directory in a directory; see `scan`."""
    return _scan(location, "directory", match, caller())


def files(location: StrPath, match: str | None = None) -> list[StoredPath]:
    """Each file in a directory; see `scan`."""
    return _scan(location, "file", match, caller())


def scan(location: StrPath, type: EntryType = "any", match: str | None = None) -> list[StoredPath]:  # noqa: A002 - the user's word
    """The entries of a directory, sorted by name, each stored and hashed on its own: adding one adds one job.

    `match` is a regular expression for the whole name. A link counts as what it points to, which must lie in the
    directory. Raises DefinitionError when nothing is found, or an entry cannot be stored.
    """
    return _scan(location, type, match, caller())


def _scan(location: StrPath, wanted: EntryType, match: str | None, place: SourceLocation) -> list[StoredPath]:
    if wanted not in _TYPES:
        raise DefinitionError(f"scan has no type {wanted!r}", location=place, hint=nearest(str(wanted), _TYPES))
    pattern = _pattern(match, place)
    top = _absolute(location, place)
    entries = _entries(top, place)
    visible = [entry for entry in entries if _asks_for_hidden(match) or not entry.name.startswith(".")]
    of_type = [entry for entry in visible if wanted == "any" or _kind(entry.path, top, place) == wanted]
    found = [entry for entry in of_type if pattern is None or pattern.fullmatch(entry.name)]
    if not found:
        raise DefinitionError(
            f"nothing to sweep over in {os.fspath(location)}",
            location=place,
            facts=[
                ("directory", top),
                ("entries", f"{len(entries)}, of which {len(entries) - len(visible)} hidden"),
                *([("of type", f"{wanted}: {len(of_type)}")] if wanted != "any" else []),
                *([("match", f"{match} (the whole name must fit)")] if match is not None else []),
            ],
            hint=_hint(match, [entry.name for entry in of_type]),
        )
    return [_stored(entry.path, place, top) for entry in found]

"""Files and directories of an experiment as values: each is hashed on its own; does not know what will read them.

A relative path starts at the file of the caller, so that an experiment means the same wherever it is run from; in a
notebook or at a prompt, where there is no such file, it starts at the working directory.

Entries whose name starts with a dot (`.git`, `.DS_Store`) are not part of a scan: they come and go with tools, and each
would be a job. A `match` that starts with `\\.` or `[.]` asks for them. Caches of Python and Jupyter, files of the
Finder, and links and stores of repx never count, at any depth (`repx.agent.base.left_out`); `exclude` adds to them.

The path that is named may be a link to anywhere, since that is what was named. Links further down must stay inside:
what they point to outside would not travel with the Lab.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from repx.agent.base.digest import TreeError, tree_digest
from repx.agent.base.left_out import LeftOut
from repx.agent.base.looks import Looks, looks_of_source
from repx.dsl.caller import caller
from repx.errors import DefinitionError, SourceLocation, nearest
from repx.model.sources import FoundBy, Scan, is_visible, names_digest
from repx.model.values import StoredPath

EntryType = Literal["file", "directory", "any"]
StrPath = str | os.PathLike[str]
Exclude = str | Sequence[str]


def path(location: StrPath, *, exclude: Exclude = ()) -> StoredPath:
    """One file or directory, stored and hashed: may stand wherever an input may, and as a value of a param.

    `exclude` leaves out what is in a directory: shell patterns for names at any depth (`"*.log"`), or with a slash for
    paths below it (`"raw/old"`). Raises DefinitionError when the path is missing or cannot be stored.
    """
    place = caller()
    absolute = _absolute(location, place)
    real = os.path.realpath(absolute)
    left_out = LeftOut(real, _patterns(exclude, place))
    try:
        return _stored(absolute, real, left_out)
    except _CannotStoreError as error:
        raise DefinitionError(
            f"path {os.fspath(location)!r} {error}",
            location=place,
            facts=[("looked for", absolute)],
            hint=_siblings(absolute) if not os.path.lexists(absolute) else "",
        ) from None


def dirs(location: StrPath, match: str | None = None, *, exclude: Exclude = ()) -> list[StoredPath]:
    """Each directory in a directory; see `scan`."""
    return _scan(location, "directory", match, exclude, caller())


def files(location: StrPath, match: str | None = None, *, exclude: Exclude = ()) -> list[StoredPath]:
    """Each file in a directory; see `scan`."""
    return _scan(location, "file", match, exclude, caller())


def scan(
    location: StrPath,
    type: EntryType = "any",  # noqa: A002 - the word of the manual
    match: str | None = None,
    *,
    exclude: Exclude = (),
) -> list[StoredPath]:
    """The entries of a directory, sorted by name, each stored and hashed on its own: adding one adds one job.

    `match` is a regular expression for the whole name; `exclude` is as for `path`, and leaves out entries, and what is
    in them. Raises DefinitionError when nothing is found, and for every
    entry that fits `match` and cannot be stored, of whichever type.
    """
    return _scan(location, type, match, exclude, caller())


class _CannotStoreError(Exception):
    """Why one path cannot be stored."""


def _scan(
    location: StrPath, wanted: EntryType, match: str | None, exclude: Exclude, place: SourceLocation
) -> list[StoredPath]:
    if wanted not in ("file", "directory", "any"):
        raise DefinitionError(
            f"scan has no type {wanted!r}", location=place, hint=nearest(str(wanted), ["file", "directory", "any"])
        )
    named = _absolute(location, place)
    top = os.path.realpath(named)
    left_out = LeftOut(top, _patterns(exclude, place))
    try:
        with os.scandir(top) as listing:
            counts = {entry.name: not left_out(entry) for entry in listing}
    except OSError as error:
        raise DefinitionError(
            f"cannot scan {os.fspath(location)!r}: {error.strerror}",
            location=place,
            facts=[("looked for", named)],
            hint=_siblings(named) if isinstance(error, FileNotFoundError) else "",
        ) from None
    names = sorted((name for name in counts if counts[name]), key=os.fsencode)
    visible = [name for name in names if is_visible(name, match)]
    pattern = _pattern(match, place)
    fitting = [name for name in visible if pattern is None or pattern.fullmatch(name)]
    found: list[StoredPath] = []
    complaints: list[tuple[str, str]] = []
    for name in fitting:
        entry = os.path.join(top, name)
        try:
            real = _inside(entry, top)
            if wanted == "any" or wanted == _kind(real):
                found.append(_stored(entry, real, left_out))
        except _CannotStoreError as error:
            complaints.append((name, str(error)))
    if complaints:
        more = len(complaints) - _COMPLAINTS_SHOWN
        raise DefinitionError(
            f"{os.fspath(location)!r} holds what cannot be stored",
            location=place,
            facts=[*complaints[:_COMPLAINTS_SHOWN], *([("…", f"and {more} more")] if more > 0 else [])],
            hint="remove them, or leave them out with exclude=…",
        )
    if not found:
        raise DefinitionError(
            f"there is nothing to sweep over in {os.fspath(location)!r}",
            location=place,
            facts=_census(named, counts, visible, fitting, wanted, match),
            hint=f"match must fit the whole name: {visible[0]!r} is there" if visible and not fitting else "",
        )
    scan = Scan(named, names_digest(one.name for one in found), wanted, match, left_out.patterns)
    found_by = FoundBy(scan, not os.path.isabs(os.path.expanduser(os.fspath(location))))
    return [replace(one, found_by=found_by) for one in found]


def _census(
    directory: str,
    counts: Mapping[str, bool],
    visible: Sequence[str],
    fitting: Sequence[str],
    wanted: str,
    match: str | None,
) -> list[tuple[str, object]]:
    """How many entries were left by each condition."""
    facts: list[tuple[str, object]] = [("directory", directory), ("entries", len(counts))]
    if not all(counts.values()):
        facts.append(("not left out", sum(counts.values())))
    if len(visible) < sum(counts.values()):
        facts.append(("not hidden", len(visible)))
    if match is not None:
        facts.append(("match", f"{len(fitting)} fit {match}"))
    if wanted != "any":
        facts.append(("type", f"none is a {wanted}"))
    return facts


def _absolute(location: object, place: SourceLocation) -> str:
    """Where `location` is. The cells of a notebook have file names too, but no such files exist."""
    text = os.fspath(location) if isinstance(location, str | os.PathLike) else b""
    if not isinstance(text, str) or not text or "\0" in text:
        raise DefinitionError(f"{location!r} is not a path", location=place, hint='give a text, such as "data/x.csv"')
    base = os.path.dirname(os.path.abspath(place.file)) if os.path.isfile(place.file) else os.getcwd()
    return os.path.normpath(os.path.join(base, os.path.expanduser(text)))


def _inside(entry: str, top: str) -> str:
    """Where an entry of `top` really is."""
    real = os.path.realpath(entry)
    if not real.startswith(top.rstrip(os.sep) + os.sep):
        raise _CannotStoreError(f"is a link that leaves the directory, to {real}")
    return real


def _kind(real: str) -> Literal["file", "directory"]:
    try:
        mode = os.stat(real).st_mode
    except FileNotFoundError:
        raise _CannotStoreError("does not exist, or is a link to something that does not") from None
    except OSError as error:
        raise _CannotStoreError(f"cannot be read: {error.strerror}") from None
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    raise _CannotStoreError("is a socket, pipe or device")


def _stored(named: str, real: str, left_out: LeftOut) -> StoredPath:
    name = os.path.basename(named)
    if not name:
        raise _CannotStoreError("has no name")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise _CannotStoreError("has a name that is not UTF-8, which JSON cannot hold") from None
    kind = _kind(real)
    try:
        looks = looks_of_source(real, left_out)
        digest = _known.get({}).get(looks.digest) or _read_once(real, looks, left_out)
        kept = looks.digest if looks.is_settled(time.time_ns()) else ""
        return StoredPath(name=name, digest=digest, source=real, kind=kind, looks=kept, left_out=left_out)
    except TreeError as error:
        inner = os.path.relpath(error.path, real)
        raise _CannotStoreError(f"cannot be stored: {'' if inner == '.' else f'{inner}: '}{error.reason}") from None
    except OSError as error:
        raise _CannotStoreError(f"cannot be read: {error.strerror}: {error.filename}") from None


@contextlib.contextmanager
def known_digests(known: Mapping[str, str]) -> Iterator[None]:
    """Within this context a tree is not read if `known` has a digest for its looks."""
    before = _known.set(known)
    try:
        yield
    finally:
        _known.reset(before)


_known: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar("known_digests")


@functools.lru_cache(maxsize=4096)
def _read_once(real: str, looks: Looks, left_out: LeftOut) -> str:
    """The tree digest, once for the same looks: a pipeline that names a data set is traced for every assignment."""
    del looks
    return tree_digest(real, left_out)


def _patterns(exclude: Exclude, place: SourceLocation) -> tuple[str, ...]:
    """The patterns as they are matched: without the slash that a directory's may end in, or a `./` before it."""
    given = (exclude,) if isinstance(exclude, str) else tuple(exclude)
    for one in given:
        if not isinstance(one, str) or not one.strip("/") or "\n" in one:
            raise DefinitionError(
                f"exclude={exclude!r} holds {one!r}, which is not a pattern",
                location=place,
                hint='write "*.log", "raw/old" or a list of these',
            )
    return tuple(sorted({one.rstrip("/").removeprefix("./") for one in given}))


def _pattern(match: str | None, place: SourceLocation) -> re.Pattern[str] | None:
    if match is None:
        return None
    try:
        return re.compile(match)
    except (re.error, TypeError) as error:
        raise DefinitionError(
            f"match={match!r} is not a regular expression: {error}",
            location=place,
            hint=r'write "group-[0-9]+" or ".*\\.csv"; "*.csv" is a shell pattern',
        ) from None


def _siblings(absolute: str) -> str:
    """A hint that names the nearest sibling of a missing path."""
    parent, name = os.path.split(absolute)
    try:
        return nearest(name, os.listdir(parent))
    except OSError:
        return f"there is no directory {parent} either"


_COMPLAINTS_SHOWN = 12

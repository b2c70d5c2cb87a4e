"""What of the user's a Lab is made from, so that it can be told when that has changed; reads no file.

In a Lab each is a text beside a path, which is relative to the experiment's folder:

    experiment.py    experiment <SHA-256>
    helpers.py       file <SHA-256>
    data             names <digest of the names> <file, directory or any> <JSON of match and exclude>

A folder has a line for each way in which it was scanned.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from repx.agent.base.digest import canonical_json, digest_of_text


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the user's: its path below the experiment's folder, and its SHA-256 (hex)."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Scan:
    """How a folder was scanned, and the digest of the names that were found."""

    folder: str
    names_digest: str
    kind: str
    match: str | None
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundBy:
    """The scan that found a path; its folder is absolute here, `is_relative` says whether it was named so."""

    scan: Scan
    is_relative: bool


@dataclass(frozen=True, slots=True)
class Sources:
    """All that a Lab was made from; `experiment` is None for one that was made in a notebook."""

    experiment: Source | None = None
    files: tuple[Source, ...] = ()
    scans: tuple[Scan, ...] = ()

    def without_patterns(self) -> Sources:
        """The same without scans by regular expressions: one from elsewhere may take for ever to fit a name."""
        return replace(self, scans=tuple(scan for scan in self.scans if scan.match is None))

    def texts(self) -> dict[str, str]:
        """What a Lab says of them."""
        said = {one.path: f"file {one.sha256}" for one in self.files}
        if self.experiment is not None:
            said[self.experiment.path] = f"experiment {self.experiment.sha256}"
        for scan in sorted(self.scans, key=lambda scan: (scan.folder, scan.kind, scan.match or "", scan.exclude)):
            line = f"names {scan.names_digest} {scan.kind} {canonical_json([scan.match, list(scan.exclude)])}"
            said[scan.folder] = f"{said[scan.folder]}\n{line}" if scan.folder in said else line
        return said


def parse_sources(texts: Mapping[str, str]) -> Sources:
    """What a Lab says that it was made from. What cannot be understood is left out: it could only be told wrongly."""
    experiment = None
    files: list[Source] = []
    scans: list[Scan] = []
    for path, text in texts.items():
        if not _is_place(path):
            continue
        for line in text.split("\n"):
            match line.split(" ", 3):
                case ["experiment", sha256] if "/" not in path:
                    experiment = Source(path, sha256)
                case ["file", sha256]:
                    files.append(Source(path, sha256))
                case ["names", digest, ("file" | "directory" | "any") as kind, how]:
                    if (parsed := _match_and_exclude(how)) is not None:
                        scans.append(Scan(path, digest, kind, *parsed))
    return Sources(experiment, tuple(files), tuple(scans))


def _match_and_exclude(text: str) -> tuple[str | None, tuple[str, ...]] | None:
    """How a folder was scanned, as a Lab says it; None for anything else."""
    try:
        match json.loads(text):
            case [(str() | None) as pattern, [*exclude]] if all(isinstance(one, str) for one in exclude):
                return pattern, tuple(exclude)
    except (ValueError, RecursionError):
        pass
    return None


def fitting(names: Iterable[str], match: str | None) -> list[str]:
    """The names that a scan takes, sorted. Raises re.error for a `match` that is not a regular expression."""
    pattern = None if match is None else re.compile(match)
    taken = (name for name in names if is_visible(name, match) and (pattern is None or pattern.fullmatch(name)))
    return sorted(taken, key=os.fsencode)


def is_visible(name: str, match: str | None) -> bool:
    """Whether a scan looks at a name at all: hidden ones come and go with tools, so `match` has to ask for them."""
    return not name.startswith(".") or (match is not None and match.startswith(("\\.", "[.]")))


def names_digest(names: Iterable[str]) -> str:
    """The digest of some names."""
    return digest_of_text("\0".join(names))


def _is_place(path: str) -> bool:
    return bool(path) and "\0" not in path and not os.path.isabs(path) and os.path.normpath(path) == path

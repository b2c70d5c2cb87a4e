"""Whether what a Lab was made from has changed since; a Lab is not trusted with what it names."""

from __future__ import annotations

import os
import re
import stat

from repx.agent.base.digest import file_sha256
from repx.agent.base.left_out import LeftOut
from repx.model.sources import Scan, Sources, fitting, names_digest

LARGEST = 1 << 24
"""Bytes of the largest file that is read: an experiment and its modules are smaller, and a Lab may name any file."""


def changed_sources(sources: Sources, folder: str) -> list[str]:
    """The paths of those that are not what they were, when the experiment's folder is this one."""
    files = [*([sources.experiment] if sources.experiment is not None else []), *sources.files]
    changed = [one.path for one in files if _sha256(f"{folder}/{one.path}") != one.sha256]
    for scan in sources.scans:
        names = scanned_names(f"{folder}/{scan.folder}", scan)
        if names_digest(names) != scan.names_digest and scan.folder not in changed:
            changed.append(scan.folder)
    return changed


def scanned_names(folder: str, scan: Scan) -> list[str]:
    """The names that a scan of a folder finds now; none where it cannot be read."""
    left_out = LeftOut(folder, scan.exclude)
    try:
        with os.scandir(folder) as listing:
            entries = {entry.name: entry for entry in listing if not left_out(entry)}
        return [name for name in fitting(entries, scan.match) if _is_of_kind(entries[name], scan.kind)]
    except (OSError, re.error):
        return []


def _is_of_kind(entry: os.DirEntry[str], kind: str) -> bool:
    if kind == "any":
        return True
    return entry.is_dir() if kind == "directory" else entry.is_file()


def _sha256(path: str) -> str:
    try:
        status = os.stat(path)
        return file_sha256(path) if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST else ""
    except OSError:
        return ""

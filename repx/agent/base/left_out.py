"""What of a user's tree never counts: what Python, Jupyter, the Finder and repx leave there, and what is excluded.

Reads no file; of a link it reads where that leads.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase

from repx.agent.base.names import is_digest

_LEFT_BY_TOOLS = frozenset({"__pycache__", ".DS_Store", ".ipynb_checkpoints"})
_SUFFIXES = (".pyc", ".pyo")
_STORE = ("labs", "objects", "outputs", "keys", "gcroots")


@dataclass(frozen=True)
class LeftOut:
    """What does not count below `top`, the directory that the user names; `patterns` are theirs.

    A pattern is that of a shell, for a name at any depth, or with a slash in it for a path below `top`.
    """

    top: str
    patterns: tuple[str, ...] = ()

    def __call__(self, entry: os.DirEntry[str]) -> bool:
        """Whether this entry, and all that is in it, is as if it were not there."""
        return is_left_by_a_tool(entry) or (bool(self.patterns) and self._is_excluded(entry))

    def _is_excluded(self, entry: os.DirEntry[str]) -> bool:
        below = os.path.relpath(entry.path, self.top)
        return any(fnmatchcase(below if "/" in one else entry.name, one) for one in self.patterns)


def is_left_by_a_tool(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is of the kinds that tools leave without being asked: caches, our own links, a whole store."""
    name = entry.name
    if name in _LEFT_BY_TOOLS or name.endswith(_SUFFIXES):
        return True
    if entry.is_symlink():
        return _leads_to_a_lab(entry.path)
    return entry.is_dir(follow_symlinks=False) and _is_a_store(entry.path)


def _leads_to_a_lab(link: str) -> bool:
    """Whether a link is one that repx makes (`result`), whatever it is called."""
    directory, name = os.path.split(os.readlink(link))
    return os.path.isabs(directory) and os.path.basename(directory) in ("labs", "foreign") and is_digest(name)


def _is_a_store(directory: str) -> bool:
    # The rarest name first: nearly every directory has been told apart after one look.
    return all(os.path.isdir(directory + "/" + name) for name in reversed(_STORE))

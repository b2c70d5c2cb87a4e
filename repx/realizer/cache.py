"""Where realizing keeps what can be found out again: answers of Nix and of checks, compiled templates."""

from __future__ import annotations

import contextlib
import os


def cache_directory() -> str:
    """`$XDG_CACHE_HOME/repx`, else `~/.cache/repx`; made by whoever writes there."""
    return f"{os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')}/repx"


OLD_S = 30 * 86400.0
"""Seconds after which an answer that was kept, and not since, is taken to be of no use any more."""


def old_files(now: float) -> list[str]:
    """The files of the cache that were written long before `now`, in seconds since 1970."""
    found = []
    for directory, _, names in os.walk(cache_directory()):
        for name in names:
            path = f"{directory}/{name}"
            with contextlib.suppress(FileNotFoundError):
                if now - os.lstat(path).st_mtime > OLD_S:
                    found.append(path)
    return found

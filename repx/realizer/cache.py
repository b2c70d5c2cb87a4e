"""Where realizing keeps what can be found out again: answers of Nix and of checks, compiled templates."""

from __future__ import annotations

import os


def cache_directory() -> str:
    """`$XDG_CACHE_HOME/repx`, else `~/.cache/repx`; made by whoever writes there."""
    return f"{os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')}/repx"

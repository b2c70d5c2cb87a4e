"""The Python of a stage that uses the machine's: a virtual environment of exactly the distributions that it has.

Whatever way a job imports a module, it finds those and the standard library. Knows no stage, and starts nothing.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Iterable, Mapping

from repx.agent.installed import compiled_beside

BIN = "bin/python3"
"""The interpreter of an environment, below its directory."""


def environment_entries(places: Iterable[Mapping[str, str]]) -> dict[str, str | bytes]:
    """The files and links (by their targets) that make an environment; the keys are paths below its directory.

    `places` are those of its distributions (`repx.agent.installed.Installed`).
    """
    base = getattr(sys, "_base_executable", "") or sys.executable
    home = os.path.dirname(base)
    described = "home = %s\ninclude-system-site-packages = false\nversion = %s\n" % (home, platform.python_version())
    entries: dict[str, str | bytes] = {
        "pyvenv.cfg": described.encode("utf-8", "surrogateescape"),
        BIN: base,
        "bin/python": "python3",
    }
    scheme = "venv" if "venv" in sysconfig.get_scheme_names() else "posix_prefix"
    site = sysconfig.get_path("purelib", scheme, {"base": "/", "platbase": "/", "installed_base": "/"})
    below = site.strip("/")
    for some in places:
        for place, path in some.items():
            entries["%s/%s" % (below, place)] = path
            entries.update(("%s/%s" % (below, one), target) for one, target in compiled_beside(place, path).items())
    return _without_inner(entries)


def _without_inner(entries: dict[str, str | bytes]) -> dict[str, str | bytes]:
    """Without what lies in a directory that is linked whole, as a part of a shared package may."""
    return {
        path: entry
        for path, entry in entries.items()
        if not any(path[:end] in entries for end in range(len(path)) if path[end] == "/")
    }

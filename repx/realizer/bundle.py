"""The agent, and a whole `repx` that runs Labs, as one file each: zip applications of the standard library's kind.

The same bytes on every machine, for the same version of repx (and of click, which the second one holds).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

RUNNER_PACKAGES = ("agent", "model", "lab", "store", "runtime", "doctor", "analysis", "cli")
"""What runs Labs and looks at them: none of it needs anything but the standard library and click."""

_AGENT = "from repx.agent.__main__ import main\nimport sys\n\nsys.exit(main(sys.argv[1:]))\n"

# Workers are started as this process was: by the launcher beside, since the interpreter alone finds no loader.
_RUNNER = """\
import os
import sys

launcher = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "python3")
if os.path.exists(launcher):
    sys.executable = launcher
from repx.cli.main import main

main()
"""


ANY_PYTHON = b"#!/usr/bin/env python3\n"
"""Starts a bundle with the Python of the machine."""

PYTHON_BESIDE = b'#!/bin/sh\nexec "${0%/*}/python3" "$0" "$@"\n'
"""Starts it with the `python3` beside it. A shell reads no further than `exec`, Python looks from the end."""


def agent_bundle(start: bytes = ANY_PYTHON) -> bytes:
    """The bytes of `repx-agent`: starts with a Python 3.9 or later and nothing installed (Python docs, zipapp)."""
    sources = {"__main__.py": _AGENT, "repx/__init__.py": ""}
    sources.update(_modules("repx.agent"))
    return _archive(start, sources)


def runner_bundle(start: bytes = ANY_PYTHON) -> bytes:
    """The bytes of a Lab's own `repx`, for Python 3.11: all of this program but what defines and realizes."""
    sources = {"__main__.py": _RUNNER}
    for name in ("__init__.py", "errors.py", "process.py"):
        sources[f"repx/{name}"] = files("repx").joinpath(name).read_text(encoding="utf-8")
    for package in (*(f"repx.{name}" for name in RUNNER_PACKAGES), "click"):
        sources.update(_modules(package))
    return _archive(start, sources)


def _modules(package: str) -> Iterator[tuple[str, str]]:
    """(path in the archive, text) of every module of a package and of the packages in it."""
    yield from _modules_below(files(package), package.replace(".", "/"))


def _modules_below(directory: Traversable, place: str) -> Iterator[tuple[str, str]]:
    for entry in directory.iterdir():
        if entry.name.endswith(".py"):
            yield f"{place}/{entry.name}", entry.read_text(encoding="utf-8")
        elif entry.is_dir() and entry.joinpath("__init__.py").is_file():
            yield from _modules_below(entry, f"{place}/{entry.name}")


def _archive(start: bytes, sources: Mapping[str, str]) -> bytes:
    archive = io.BytesIO()
    archive.write(start)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as bundle:
        for name, text in sorted(sources.items()):
            information = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            information.external_attr = 0o644 << 16
            bundle.writestr(information, text)
    return archive.getvalue()

"""The agent as one file: a zip application of the standard library's kind, the same bytes on every machine."""

from __future__ import annotations

import io
import zipfile
from importlib.resources import files

_MAIN = "from repx.agent.__main__ import main\nimport sys\n\nsys.exit(main(sys.argv[1:]))\n"


ANY_PYTHON = b"#!/usr/bin/env python3\n"
"""Starts a bundle with the Python of the machine."""

PYTHON_BESIDE = b'#!/bin/sh\nexec "${0%/*}/python3" "$0" "$@"\n'
"""Starts it with the `python3` beside it. A shell reads no further than `exec`, Python looks from the end."""


def agent_bundle(start: bytes = ANY_PYTHON) -> bytes:
    """The bytes of `repx-agent`: starts with a Python 3.9 or later and nothing installed (Python docs, zipapp)."""
    sources = {"__main__.py": _MAIN, "repx/__init__.py": ""}
    for entry in files("repx.agent").iterdir():
        if entry.name.endswith(".py"):
            sources[f"repx/agent/{entry.name}"] = entry.read_text(encoding="utf-8")
    archive = io.BytesIO()
    archive.write(start)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as bundle:
        for name, text in sorted(sources.items()):
            information = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            information.external_attr = 0o644 << 16
            bundle.writestr(information, text)
    return archive.getvalue()

"""The Pythons of this machine that start, by name; knows PATH and pyenv's folder of versions."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

NAMES = ("python3.11", "python3.12", "python3.13")


@functools.cache
def interpreters() -> dict[str, str]:
    """Each name's first interpreter that works: a pyenv shim may stand on PATH and lead nowhere."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [Path(folder) for folder in os.get_exec_path()]
    folders += sorted(pyenv.glob("versions/*/bin"))
    found: dict[str, str] = {}
    for name in NAMES:
        for folder in folders:
            path = folder / name
            if name not in found and path.is_file() and _works(path):
                found[name] = str(path)
    return found


def _works(path: Path) -> bool:
    return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0

"""repx for somebody who owns nothing and may not look into the checkout: an installation that everybody may enter.

A checkout, its environment and its Python may lie below a home that is shut. Knows setpriv and venv, and no test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import repx
from repx.agent.base.files import remove_tree
from tests.machine import needs

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
"""The start of a command line that root gives to somebody who owns nothing."""


@dataclass(frozen=True)
class OrdinaryUser:
    """Who may write nowhere, and the folder of a virtual environment that holds repx and what it needs."""

    environment: Path

    def command(self, *argv: str, folder: Path) -> tuple[str, ...]:
        """The command line, for root, of `repx` as this user in a folder."""
        code = f"import os; os.chdir({str(folder)!r}); from repx.cli.main import main; main()"
        return (*AS_NOBODY, str(self.environment / "bin" / "python"), "-c", code, *argv)


@contextmanager
def ordinary_user() -> Iterator[OrdinaryUser]:
    """One of them, with an environment that is gone afterwards."""
    needs(os.geteuid() == 0 and shutil.which("setpriv"), "only root can become somebody else")
    python = _python_for_everybody()
    assert python is not None
    root = Path(tempfile.mkdtemp(prefix="repx-ordinary-", dir="/tmp"))
    try:
        subprocess.run([python, "-m", "venv", "--without-pip", root], check=True)
        packages = root / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        for found in _requirements("repx").values():
            _copy_distribution(found, packages)
        shutil.copytree(Path(repx.__file__).parent, packages / "repx", ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run(["chmod", "-R", "a+rX", root], check=True)
        yield OrdinaryUser(root)
    finally:
        remove_tree(str(root))


def _python_for_everybody() -> str | None:
    """An interpreter of this one's version that an ordinary user can start: it may take the same packages."""
    name = f"python3.{sys.version_info.minor}"
    candidates = [os.path.realpath(sys.executable), f"/usr/bin/{name}", f"/usr/local/bin/{name}"]
    for candidate in candidates:
        if Path(candidate).exists():
            # Twice: the first still has rights of root's, by which it may pass through a home that is shut.
            again = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
            tried = subprocess.run([*AS_NOBODY, candidate, "-c", again], capture_output=True, check=False)
            if tried.returncode == 0:
                return candidate
    needs(False, f"an ordinary user can start none of {', '.join(candidates)}")
    return None


def _requirements(name: str) -> dict[str, Distribution]:
    """A distribution and all that it requires, by name."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        one = canonicalize_name(waiting.pop())
        if one not in found:
            found[one] = distribution(one)
            required = [Requirement(text) for text in found[one].requires or ()]
            waiting += [each.name for each in required if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def _copy_distribution(found: Distribution, packages: Path) -> None:
    """Its files, at the same places as seen from another environment's packages: programs lie in ../../../bin."""
    for file in found.files or ():
        source = Path(str(found.locate_file(file)))
        if source.is_file() and source.suffix not in (".pth", ".pyc"):
            target = Path(os.path.normpath(packages / file))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)

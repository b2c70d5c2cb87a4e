"""Variables of the runner's environment that a target lets through to its jobs, and what of them a record may say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

OWN = frozenset(
    [
        "HOME", "LANG", "LOCPATH", "OMP_NUM_THREADS", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONPATH",
        "SHELL", "TMPDIR", "TZ", "USER",
    ]
)  # fmt: skip
"""What every job has of its own: a stage would be another one with the runner's."""

_SECRET = re.compile(
    r"key|token|secret|passw|passphrase|(^|_)(pg)?(pass|pwd|pat)(_|$)|credential|auth|private|cookie|session"
)
_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://)[^/@\s]*@", re.IGNORECASE)


def passed_variables(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Those of the named variables that are set."""
    return {name: environment[name] for name in sorted(set(names)) if name in environment}


def told_variables(passed: Mapping[str, str]) -> dict[str, str | None]:
    """What a record says of variables that a job was given: each name, and its value unless it may be a secret.

    Of an address with a user and a password in it, these two are left out.
    """
    return {
        name: None if _SECRET.search(name.lower()) else _PASSWORD.sub(r"\1…@", value) for name, value in passed.items()
    }

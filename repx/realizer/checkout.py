"""An experiment as it was at a commit: the files of that commit, in a folder of their own; changes no repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from repx.errors import UsageError
from repx.process import Completed, TimedOutError, run

PATIENCE_S = 600.0

_OFFLINE = {"GIT_LFS_SKIP_SMUDGE": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}


def check_out(experiment: str, commit: str, into: str) -> str:
    """Put all files of a commit below `into`; the path of the experiment there. Raises UsageError."""
    folder, name = os.path.split(os.path.abspath(experiment))
    while not os.path.isdir(folder):
        # The folder itself may be one of that commit alone.
        folder, above = os.path.split(folder)
        name = f"{above}/{name}"
    inside = _git(folder, "rev-parse", "--show-prefix", "--show-toplevel")
    if inside.exit_status != 0:
        raise UsageError(f"{experiment} is not in a git repository", hint="without a commit: the file as it is now")
    prefix, top = inside.stdout.decode().split("\n")[:2]
    found = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    if found.exit_status != 0:
        raise UsageError(f"{top} has no commit {commit!r}", hint="list them: git log --oneline")
    digest = found.stdout.decode().strip()
    tree = f"{into}/tree"
    Path(tree).mkdir()
    # With an index of its own: neither that of the user nor their files are touched.
    index = {"GIT_INDEX_FILE": f"{into}/index"}
    for argv in (("read-tree", digest), ("checkout-index", "--all", f"--prefix={tree}/")):
        done = _git(top, *argv, variables=index)
        if done.exit_status != 0:
            raise UsageError(f"commit {commit!r} cannot be checked out", facts=[("git", done.stderr.decode().strip())])
    place = f"{tree}/{prefix}{name}"
    if not os.path.isfile(place):
        raise UsageError(f"commit {commit!r} has no {prefix}{name}")
    return place


def _git(folder: str, *argv: str, variables: Mapping[str, str] | None = None) -> Completed:
    try:
        return run(
            ["git", "-C", folder, *argv], timeout_s=PATIENCE_S, env={**os.environ, **_OFFLINE, **(variables or {})}
        )
    except FileNotFoundError:
        raise UsageError("git is not installed, and a commit was named") from None
    except TimedOutError:
        raise UsageError(f"git does not answer in {folder}") from None

"""Which commit an experiment stands in, as git says it while others work; decides nothing by it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from repx.process import Completed, TimedOutError, started

PATIENCE_S = 30.0


class Commit(NamedTuple):
    """A commit and its date (YYYY-MM-DD); a changed tree has "-dirty" behind its commit. Empty without git."""

    name: str = ""
    date: str = ""


@contextlib.contextmanager
def commit_of(folder: str) -> Iterator[Callable[[], Commit]]:
    """The commit of a folder's working tree: asked for at once, waited for when the result is called."""
    asked = (
        ["git", "-C", folder, "log", "-1", "--format=%H %cs"],
        ["git", "-C", folder, "status", "--porcelain", "--", "."],
    )
    with contextlib.ExitStack() as stack:
        try:
            wait = stack.enter_context(started(asked))
        except FileNotFoundError:
            yield Commit
            return
        yield lambda: _commit(wait)


def _commit(wait: Callable[[float], list[Completed]]) -> Commit:
    try:
        shown, changed = wait(PATIENCE_S)
    except TimedOutError:
        return Commit()
    if shown.exit_status != 0:
        return Commit()
    name, _, date = shown.stdout.decode().strip().partition(" ")
    return Commit(name + ("-dirty" if changed.stdout.strip() else ""), date)

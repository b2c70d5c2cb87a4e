"""Who uses a store just now, and which Lab: said in tmp/ before anything is looked at. Collects nothing.

A collector takes a result away first and then looks who uses the store; whoever uses it says so first and then looks
what there is. So one of the two sees the other, in whatever order their steps come.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from typing import NamedTuple

from repx.agent.base.files import read_if_there, write_file
from repx.agent.base.layout import HEARTBEAT, Store
from repx.agent.held import server_time
from repx.agent.makers import is_abandoned, is_made_here, maker_name, same_maker
from repx.agent.runner import is_in_use

USE = "use"
REALIZES = ""
"""In place of a Lab: somebody makes one, of things that nothing else needs yet."""

FORGOTTEN_S = 86400.0
"""Seconds after which the word of another machine is void, unless it has been renewed."""

_RENEWED_S = 3600.0


class Use(NamedTuple):
    """Somebody who lives uses a store. `lab` is the path of the Lab, `REALIZES`, or None where nobody can tell."""

    name: str
    lab: str | None


@contextlib.contextmanager
def using(store: Store, lab: str) -> Iterator[None]:
    """A context in which a store is used for a Lab. Where nothing can be written, nothing is said."""
    path = "%s/%s" % (store.tmp, maker_name(USE))
    ended = threading.Event()
    try:
        with contextlib.suppress(OSError):
            _say(store, path, lab)
            threading.Thread(target=_renew, args=(path, ended), daemon=True).start()
        yield
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            os.unlink(path)


def uses_of(store: Store) -> list[Use]:
    """Everybody who uses a store now: those who have said so, and runners who have not."""
    found = []
    try:
        names = sorted(os.listdir(store.tmp))
    except FileNotFoundError:
        return []
    said = [name for name in names if name.startswith(USE + ",")]
    for name in said:
        path = "%s/%s" % (store.tmp, name)
        with contextlib.suppress(FileNotFoundError):
            if _lives(name, path, store):
                found.append(Use(name, _lab(read_if_there(path))))
    for name in names:
        # A runner that is taken to be dead is cleared up after by whoever comes next.
        path = "%s/%s" % (store.tmp, name)
        if name.startswith("run,") and not any(same_maker(name, one) for one in said):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                if os.path.lexists(path + "/" + HEARTBEAT) and is_in_use(path, store.tmp):
                    found.append(Use(name, None))
    return found


def _say(store: Store, path: str, lab: str) -> None:
    text = json.dumps({"lab": lab}).encode()
    try:
        write_file(path, text)
    except FileNotFoundError:
        store.create()
        write_file(path, text)


def _renew(path: str, ended: threading.Event) -> None:
    while not ended.wait(_RENEWED_S):
        with contextlib.suppress(OSError):
            os.utime(path)


def _lives(name: str, path: str, store: Store) -> bool:
    if is_made_here(name):
        return not is_abandoned(name)
    return server_time(store.tmp) - os.stat(path).st_mtime < FORGOTTEN_S


def _lab(data: bytes | None) -> str | None:
    # Nothing is in it where the disk was full, or where it has just been made.
    try:
        lab = json.loads(data or b"")["lab"]
    except (ValueError, TypeError, KeyError):
        return None
    return lab if isinstance(lab, str) else None

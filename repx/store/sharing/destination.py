"""Other stores as a user names them, and Labs as they stand there: a directory now; opens none of their results."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from repx.agent.base.layout import Store
from repx.errors import StoreError, UsageError, nearest
from repx.lab.directory import LabDirectory
from repx.store.sharing.labs import lab_at, lab_ids

_SHORTEST = 4
"""Letters of a Lab's id that may stand for it."""

_HINT = "give the directory of a store, as --store would"
_ON_A_HOST = re.compile(r"(ssh://|[^/\s:]+:)")


def source_store(path: str, own: Store) -> Store:
    """The store at `path` that something is taken from. Raises StoreError."""
    store = _other(path, own)
    if not os.path.isdir(store.root):
        raise StoreError(f"there is no store at {path}", hint=_HINT)
    if not _is_store(store):
        raise StoreError(f"{path} is not a store", hint=_HINT)
    return store


def destination_store(path: str, own: Store) -> tuple[Store, bool]:
    """The store at `path` that something is brought to, and whether it is new: where nothing is, one is made.

    Raises StoreError; OSError where it cannot be made.
    """
    store = _other(path, own)
    if os.path.lexists(store.root) and not os.path.isdir(store.root):
        raise StoreError(f"{path} is not a store: it is not a directory", hint=_HINT)
    if _is_store(store):
        return store, False
    # One that is just being made by somebody else has some of its directories.
    own_names = {os.path.relpath(one, store.root).split("/")[0] for one in store.directories()}
    if os.path.isdir(store.root) and not own_names.issuperset(os.listdir(store.root)):
        raise StoreError(f"{path} is not a store, and something else is in it", hint=_HINT)
    if not os.path.isdir(os.path.dirname(store.root)):
        raise StoreError(
            f"there is no store at {path}, and none can be made: {os.path.dirname(store.root)} is not a directory",
            hint=_HINT,
        )
    store.create()
    return store, True


def find_lab(store: Store, start: str) -> LabDirectory | None:
    """The Lab of a store whose id begins so; None when it has none. Raises UsageError where it has several."""
    if len(start) < _SHORTEST:
        return None
    found = [one for one in lab_ids(store) if one.startswith(start)]
    if len(found) > 1:
        raise UsageError(f"{start!r} is the start of several ids of Labs", facts=[("they are", "\n".join(found))])
    return lab_at(store, found[0]) if found else None


def only_lab(store: Store, named: Sequence[str] = ()) -> LabDirectory:
    """The one Lab of a store. Raises UsageError when it has none, or several, of which none was named."""
    found = lab_ids(store)
    if len(found) == 1 and not named:
        return lab_at(store, found[0])
    facts = [("Labs there", "\n".join(found) or "none")]
    if named:
        raise UsageError(f"there is no Lab {named[0]!r} in {store.root}", facts=facts, hint=nearest(named[0], found))
    raise UsageError(
        f"no Lab is here, and {store.root} has {len(found)}", facts=facts, hint="name one by the start of its id"
    )


def _other(path: str, own: Store) -> Store:
    if not path.strip():
        raise StoreError("the other store's path is empty", hint=_HINT)
    if _ON_A_HOST.match(path) and not os.path.lexists(path):
        raise StoreError(
            f"{path} is on another host, and repx reaches directories only", hint="mount it, and name the directory"
        )
    store = Store(os.path.abspath(os.path.expanduser(path)))
    if os.path.realpath(store.root) == os.path.realpath(own.root):
        raise StoreError(f"{path} is the store itself", facts=[("store", own.root)], hint="name another one")
    return store


def _is_store(store: Store) -> bool:
    """Whether a directory is one that repx keeps Labs and results in."""
    return all(os.path.isdir(one) for one in (store.labs, store.objects, store.outputs, store.keys, store.tmp))

"""Where the store is, and whether a Lab has been looked at before; the one reader of its environment variables."""

from __future__ import annotations

import errno
import os

from repx.agent.base.digest import digest_of_text
from repx.agent.base.files import publish_file, read_if_there
from repx.agent.base.layout import Store
from repx.errors import LabError, StoreError
from repx.lab.directory import LabDirectory
from repx.lab.verification import state_of, verify


def open_store(path: str | os.PathLike[str] | None = None) -> Store:
    """The store at `path`, else `$REPX_STORE`, else `$XDG_DATA_HOME/repx`, else `~/.local/share/repx`.

    Raises StoreError for an empty path, one that PATH cannot hold, and where there is no home. Makes nothing: that is
    for whoever writes first.
    """
    given = os.fspath(path) if path is not None else os.environ.get("REPX_STORE")
    if given is not None and not given.strip():
        raise StoreError("the store's path is empty", hint="set --store or REPX_STORE to a directory")
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    expanded = os.path.expanduser(given or f"{home}/repx")
    if expanded.startswith("~"):
        raise StoreError(f"{expanded} is in no home directory", hint="set HOME, or say where: --store or REPX_STORE")
    root = os.path.abspath(expanded)
    if ":" in root or "\n" in root:
        raise StoreError(
            f"the store's path has {'a colon' if ':' in root else 'a newline'} in it: {root!r}",
            hint="jobs find programs in it by PATH, which a colon divides; say another place by --store or REPX_STORE",
        )
    return Store(root)


def store_of(lab: LabDirectory, path: str | os.PathLike[str] | None = None) -> Store:
    """The store to look for a Lab's results in: `path`, else `$REPX_STORE`, else the store the Lab itself lies in.

    A Lab that lies in none has its results where `open_store` says.
    """
    labs = os.path.dirname(lab.path)
    store = Store(os.path.dirname(labs))
    is_in_store = labs in (store.labs, store.foreign) and os.path.isdir(store.tmp)
    if path is None and "REPX_STORE" not in os.environ and is_in_store:
        return store
    return open_store(path)


def open_lab(
    path: str | os.PathLike[str], store: Store | str | os.PathLike[str] | None = None
) -> tuple[LabDirectory, Store]:
    """A Lab and the store that its results are looked for in, as `store_of` says. Raises LabError.

    `path` is a Lab, or an archive of one, which is unpacked into the store the first time.
    """
    if os.path.isfile(path):
        # Imported here: nearly every Lab is a directory.
        from repx.store.sharing.compression import is_archive
        from repx.store.sharing.unpack import archived_lab

        if is_archive(os.fspath(path)):
            store = store if isinstance(store, Store) else open_store(store)
            path = archived_lab(os.fspath(path), store)
    lab = LabDirectory(os.fspath(path))
    found = store if isinstance(store, Store) else store_of(lab, store)
    return lab.seen_from(found), found


def verify_once(lab: LabDirectory, store: Store) -> None:
    """Verify a Lab in full, unless its files look as they did the last time that was done. Raises LabError."""
    try:
        state = state_of(lab)
    except OSError:
        # A listed file is missing: verification says which, and whatever else is wrong.
        state = ""
    if not state or read_if_there(_verified(lab, store)) != state.encode():
        verify(lab)
        remember_verified(lab, store)


def is_whole(path: str, store: Store) -> bool:
    """Whether what stands at `path` is a Lab as it was made. Raises OSError when that cannot be read."""
    try:
        verify_once(LabDirectory(path), store)
    except LabError:
        return False
    return True


def remember_verified(lab: LabDirectory, store: Store) -> None:
    """Note what a Lab that is known to be whole looks like."""
    try:
        os.makedirs(store.verified, exist_ok=True)
        publish_file(_verified(lab, store), state_of(lab).encode())
    except OSError:
        # Remembering saves time and nothing else; whoever has something to keep says that the store cannot be written.
        return


def _verified(lab: LabDirectory, store: Store) -> str:
    return f"{store.verified}/{digest_of_text(lab.path)}"


def store_error(error: OSError, store: Store) -> StoreError:
    """What a failing disk means to the user."""
    facts = [("store", store.root)]
    if error.filename:
        facts.append(("path", str(error.filename)))
    hints = {
        errno.ENOSPC: "free some space and run the same command again; nothing that was finished is lost",
        errno.EDQUOT: "your quota is used up; free some space and run the same command again",
        errno.EACCES: "you may not write there; choose another store with --store or REPX_STORE",
        errno.EPERM: "you may not write there; choose another store with --store or REPX_STORE",
        errno.EEXIST: "a file is in the way; choose another store with --store or REPX_STORE",
        errno.ENOTDIR: "a file is in the way; choose another store with --store or REPX_STORE",
        errno.EROFS: "that file system is read-only; choose another store with --store or REPX_STORE",
    }
    return StoreError(
        f"the store cannot be written: {error.strerror}", facts=facts, hint=hints.get(error.errno or 0, "")
    )

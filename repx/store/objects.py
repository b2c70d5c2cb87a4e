"""Files and trees stored once, each named by its content digest; knows no Lab."""

from __future__ import annotations

import os
import uuid

from repx.agent.base.digest import TreeError, tree_digest
from repx.agent.base.files import copy_tree, make_read_only, remove_tree
from repx.agent.base.layout import Store
from repx.errors import StoreError
from repx.model.lab import stored_name
from repx.model.values import StoredPath


def add_object(store: Store, path: StoredPath) -> str:
    """The place of a stored path below `objects/`; copied or downloaded to there if it is new.

    Raises StoreError when it changed meanwhile, or when no URL gives it.
    """
    target = f"{store.objects}/{stored_name(path).removeprefix('store/')}"
    if os.path.lexists(target):
        return target
    if path.download is not None:
        # Imported here: HTTP and TLS take 20 ms to load, and most Labs have nothing to download.
        from repx.store.transfer.download import download

        part = f"{store.tmp}/fetch-{path.download.sha256}.part"
        download(path.download, path.name, part=part, target=target)
        return target
    beside = f"{store.tmp}/object-{uuid.uuid4().hex}"
    try:
        copy_tree(os.path.realpath(path.source), beside)
        if tree_digest(beside) != path.digest:
            raise StoreError(
                f"{path.name!r} changed while it was being stored",
                facts=[("path", path.source)],
                hint="run the command again",
            )
        make_read_only(beside)
        put_in_place(beside, target)
    except TreeError as error:
        raise StoreError(f"{path.name!r} cannot be stored: {error.reason}", facts=[("path", error.path)]) from None
    finally:
        remove_tree(beside)
    return target


def put_in_place(source: str, target: str) -> None:
    """Publish a finished object; somebody else's equal object is as good as ours."""
    mode = os.lstat(source).st_mode & 0o7777
    # A directory can be renamed only while it may be written to: its `..` is part of it.
    if os.path.isdir(source) and not os.path.islink(source):
        os.chmod(source, mode | 0o200)
    try:
        os.rename(source, target)
    except OSError:
        if not os.path.lexists(target):
            raise
        return
    if os.path.isdir(target) and not os.path.islink(target):
        os.chmod(target, mode)

"""Store paths in a store: copied from Nix's, each checked against the hash Nix has of it; starts no Nix."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable

from repx.agent.base.files import copy_tree, make_read_only, remove_tree, walk
from repx.agent.base.layout import Store
from repx.agent.base.nar import nar_sha256
from repx.errors import SoftwareError
from repx.model.closure import STORE_DIR, StorePath
from repx.store.objects import put_in_place

_TIME = (1, 1)
"""When every file of a store path was last changed, as Nix has it: compiled Python code says so, and is compared."""


def add_store_paths(store: Store, paths: Iterable[StorePath], source: str = STORE_DIR) -> None:
    """Copy what is not in `objects/` yet from Nix's store. Raises SoftwareError for a path that has been changed."""
    for one in paths:
        target = f"{store.objects}/{one.name}"
        if os.path.lexists(target):
            continue
        beside = f"{store.tmp}/{one.name}-{uuid.uuid4().hex}"
        try:
            _copy(f"{source}/{one.name}", beside)
            found = nar_sha256(beside)
            if found != one.nar_sha256:
                raise SoftwareError(
                    f"{source}/{one.name} is not what Nix has built: somebody has changed it",
                    facts=[("NAR hash", f"sha256:{found}"), ("recorded", f"sha256:{one.nar_sha256}")],
                    hint=f"let Nix mend it: nix store repair {source}/{one.name}",
                )
            put_in_place(beside, target)
        finally:
            remove_tree(beside)


def _copy(source: str, target: str) -> None:
    copy_tree(source, target)
    make_read_only(target)
    for entry in walk(target):
        os.utime(entry, _TIME, follow_symlinks=False)

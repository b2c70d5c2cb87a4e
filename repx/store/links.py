"""The links that users have to Labs, such as ./result; reads no Lab."""

from __future__ import annotations

import os
from pathlib import Path

from repx.agent.base.layout import Store
from repx.agent.base.names import is_digest
from repx.errors import StoreError
from repx.store.roots import keep_link


def check_link(link: str) -> None:
    """Whether a Lab can be linked there: asked before the work, not after it. Raises StoreError."""
    path = Path(link)
    in_the_way = next((one for one in (path, *path.parents) if os.path.lexists(one)), path)
    if in_the_way == path and path.exists() and not path.is_symlink():
        raise StoreError(
            f"{link} is in the way: it is not a link",
            hint="move it away, or choose another place with: repx realize -o",
        )
    if path.is_symlink() and not _leads_to_lab(path):
        raise StoreError(
            f"{link} is in the way: it is a link that repx has not made",
            facts=[("it leads to", os.readlink(path))],
            hint="move it away, or choose another place with: repx realize -o",
        )
    if in_the_way != path and not in_the_way.is_dir():
        raise StoreError(f"{link} cannot be made: {in_the_way} is no directory", hint="choose another place with -o")


def _leads_to_lab(link: Path) -> bool:
    """Whether a link was made by `link_result`, though its Lab may be gone."""
    target = Path(os.readlink(link))
    return (target.parent.name in ("labs", "foreign") and is_digest(target.name)) or (
        target / "lab" / "lab-metadata.json"
    ).is_file()


def link_result(lab: str, link: str, store: Store) -> None:
    """Point a link (`./result`) at the Lab at `lab`, and keep the Lab as long as the link is there."""
    check_link(link)
    path = Path(link)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        beside.symlink_to(lab)
        beside.rename(path)
    except OSError as error:
        raise StoreError(
            f"the link {link} cannot be made: {error.strerror}",
            facts=[("the Lab", lab)],
            hint="the Lab itself is complete; choose another place for its link with: repx realize -o",
        ) from None
    keep_link(store, link, os.path.basename(lab))


def keep_root(store: Store, path: str) -> None:
    """Let the Lab at `path`, a directory in the store, be kept."""
    keep_link(store, path, os.path.basename(path))

"""What keeps things in a store from being collected: links in gcroots/, made on the way or by the user.

auto/link-<path>-<lab>@<host>   a result link, or a Lab from elsewhere that was run: as long as it leads to a Lab
    /lab-<project>-<lab>        a Lab that was realized: the last ones of each project count
    /call-<project>-<lab>       what a notebook has made
pinned/<name>                   what the user has pinned: a Lab, or a job's outputs
projects/<project>              where the experiment of a project is

It decides nothing: which of these count is for whoever collects.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from repx.agent.base.digest import digest_of_text
from repx.agent.base.files import random_name
from repx.agent.base.layout import Store
from repx.agent.base.names import is_digest, is_file_name, is_job_id
from repx.agent.lab.format import MANIFEST
from repx.agent.processes import this_process
from repx.errors import StoreError, UsageError
from repx.model.names import unknown
from repx.store.location import store_error

RootKind = Literal["link", "lab", "call", "pin"]

_PROJECT_LENGTH = 12
_LINK = re.compile(r"link-([0-9a-z]{32})-([0-9a-z]{32})@(.*)\Z")
_MADE = re.compile(r"(lab|call)-([0-9a-z]{12})-([0-9a-z]{32})\Z")


@dataclass(frozen=True, slots=True)
class Root:
    """One root: `lab` is the id of the Lab that it was made for, `job` that of a pinned job; one of them is empty.

    `path` is where it stands itself, `target` where it leads, `host` the machine that knows that place, `project` the
    path of an experiment; `made_at` is when it was made or renewed, in seconds since 1970.
    """

    kind: RootKind
    name: str
    path: str
    target: str
    lab: str = ""
    job: str = ""
    host: str = ""
    project: str = ""
    made_at: float = 0.0


def keep_link(store: Store, path: str, lab_id: str) -> None:
    """Let a Lab be kept as long as `path` leads to it, or is it."""
    path = os.path.abspath(path)
    digest = digest_of_text(path)
    name = f"link-{digest}-{lab_id}@{_host()}"
    is_inside = os.path.dirname(path) in (store.labs, store.foreign)
    if not is_inside and _read_link(f"{store.gcroots}/auto/{name}") == path:
        # As long as it is there it counts, whenever it was made.
        return
    with _told(store):
        _link(path, f"{store.gcroots}/auto/{name}")
        for other in os.listdir(f"{store.gcroots}/auto"):
            # What it led to before is kept by its own roots, or by none.
            if other != name and other.startswith(f"link-{digest}-") and other.endswith(f"@{_host()}"):
                os.unlink(f"{store.gcroots}/auto/{other}")


def keep_realized(store: Store, kind: Literal["lab", "call"], project: str, lab_id: str) -> None:
    """Note that a Lab of a project, which is named by an absolute path, was realized now."""
    short = digest_of_text(project)[:_PROJECT_LENGTH]
    with _told(store):
        os.makedirs(_projects(store), exist_ok=True)
        _link(project, f"{_projects(store)}/{short}")
        _link(f"../../labs/{lab_id}", f"{store.gcroots}/auto/{kind}-{short}-{lab_id}")


def pin(store: Store, name: str, *, lab: str = "", job: str = "") -> None:
    """Keep a Lab, or a job's outputs, under a name until that is unpinned. Raises UsageError, StoreError."""
    if not is_file_name(name):
        raise UsageError(
            f"a pin cannot be called {name!r}", hint="ASCII letters, digits and . _ + - only, at most 150 of them"
        )
    labs = "labs" if os.path.isdir(f"{store.labs}/{lab}") else "foreign"
    target = f"../../{labs}/{lab}" if lab else f"../../outputs/{job}"
    place = f"{store.gcroots}/pinned/{name}"
    if os.path.lexists(place) and _read_link(place) != target:
        raise UsageError(
            f"there is a pin {name!r} already, of something else",
            facts=[("it keeps", _read_link(place).removeprefix("../../") or "nothing that repx knows")],
            hint=f"take another name (--name), or let that go first: repx unpin {name}",
        )
    with _told(store):
        os.makedirs(f"{store.gcroots}/pinned", exist_ok=True)
        _link(target, place)


def unpin(store: Store, name: str) -> Root:
    """Let go of what was pinned under a name, or the start of one pin's name. Raises UsageError."""
    pins = {root.name: root for root in read_roots(store) if root.kind == "pin"}
    found = [name] if name in pins else [one for one in pins if name and one.startswith(name)]
    if len(found) > 1:
        raise UsageError(f"{name!r} is the start of several pins", facts=[("they are", "\n".join(sorted(found)))])
    if not found:
        raise unknown("pin", name, pins)
    with _told(store):
        os.unlink(pins[found[0]].path)
    return pins[found[0]]


def read_roots(store: Store) -> list[Root]:
    """All roots, by kind and name. Whatever else is in gcroots/ is a root of kind link."""
    found = []
    for path in _entries(f"{store.gcroots}/pinned"):
        found.append(_pin(path))
    for path in _entries(f"{store.gcroots}/auto"):
        found.append(_automatic(store, path))
    return sorted(found, key=lambda root: (root.kind, root.project, root.name))


def lab_at(store: Store, root: Root) -> str | None:
    """The path of the Lab that a root leads to; empty when it leads to none, None when nobody can tell from here.

    A link that is gone leads to none, if this is the machine that it was on. Where even the folder of the link is gone,
    an empty folder above it may be the place of a disk that is not here now.
    """
    if root.kind != "link":
        places = [f"{labs}/{root.lab}" for labs in (store.labs, store.foreign)] if root.lab else []
        return next((path for path in places if os.path.isdir(path)), "")
    try:
        os.stat(root.target)
        return os.path.realpath(root.target) if os.path.isfile(f"{root.target}/{MANIFEST}") else ""
    except PermissionError:
        return None
    except OSError:
        pass
    if root.host not in ("", _host()):
        return None
    if os.path.lexists(root.target):
        return ""
    above = os.path.dirname(root.target)
    if os.path.isdir(above):
        return ""
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    try:
        return "" if os.listdir(above) else None
    except OSError:
        return None


def _automatic(store: Store, path: str) -> Root:
    name = os.path.basename(path)
    target, made_at = _read_link(path), os.lstat(path).st_mtime
    if match := _MADE.match(name):
        project = _read_link(f"{_projects(store)}/{match[2]}")
        kind: RootKind = "lab" if match[1] == "lab" else "call"
        return Root(kind, name, path, target, lab=match[3], project=project, made_at=made_at)
    if match := _LINK.match(name):
        # Of a Lab in the store itself no link is left that anybody could remove.
        is_inside = target in (f"{store.labs}/{match[2]}", f"{store.foreign}/{match[2]}")
        return Root("call" if is_inside else "link", name, path, target, lab=match[2], host=match[3], made_at=made_at)
    lab = os.path.basename(target)
    return Root("link", name, path, target or path, lab=lab if is_digest(lab) else "", made_at=made_at)


def _pin(path: str) -> Root:
    target = _read_link(path)
    last = os.path.basename(target.rstrip("/"))
    lab, job = last if is_digest(last) else "", last if is_job_id(last) else ""
    return Root("pin", os.path.basename(path), path, target, lab=lab, job=job, made_at=os.lstat(path).st_mtime)


def _entries(directory: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return
    for name in names:
        if not name.endswith(".tmp"):
            yield f"{directory}/{name}"


def _projects(store: Store) -> str:
    return f"{store.gcroots}/projects"


def _link(target: str, place: str) -> None:
    """Have a link there, made now: its time says when that was."""
    beside = f"{place}.{random_name()}.tmp"
    os.symlink(target, beside)
    try:
        os.rename(beside, place)
    except OSError:
        os.unlink(beside)
        raise


def _read_link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _host() -> str:
    return this_process().host.replace("/", "")


@contextlib.contextmanager
def _told(store: Store) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise store_error(error, store) from None


def labs_with_prefix(store: Store, prefix: str) -> list[str]:
    """The ids of the Labs in a store that start so; at least four letters, so that no other name is taken for one."""
    found: set[str] = set()
    for directory in (store.labs, store.foreign):
        with contextlib.suppress(OSError):
            found.update(one for one in os.listdir(directory) if is_digest(one) and one.startswith(prefix))
    return sorted(found) if len(prefix) >= 4 else []


def refuse_missing_store(store: Store) -> None:
    """Raises StoreError where there is no store."""
    if not os.path.isdir(store.outputs):
        raise StoreError(
            f"there is no store at {store.root}", hint="say which one: --store or REPX_STORE; the first run makes it"
        )

"""Whether a Lab's tree is exactly what its files say, links and modes included; knows no job's inside."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from repx.agent.base.digest import ID_LENGTH, TreeError, file_sha256, short_digest, tree_content
from repx.agent.base.nar import nar_sha256
from repx.agent.lab.fault import Complaint
from repx.agent.lab.format import HOST_TOOLS, MANIFEST

JOBS = "jobs"
_FOLDERS = (HOST_TOOLS, JOBS, "lab", "readme", "revision", "store")
_UNNAMED = "the manifest does not name it"
_SPECIAL = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


@dataclass(frozen=True, slots=True)
class Contents:
    """What a Lab says it consists of, by path.

    `files` have a SHA-256, those in `programs` may be executed, and no other. `trees` are stored paths with their tree
    digests, empty where only the name says it; `closure` are store paths with their NAR hashes, whose files `files` has
    not. `folders` may be empty. `images` have blobs that may be links to `files`. `jobs` has the stage of each job.
    """

    files: Mapping[str, str]
    programs: frozenset[str]
    trees: Mapping[str, str]
    closure: Mapping[str, str]
    folders: frozenset[str]
    images: frozenset[str]
    jobs: Mapping[str, str]


def file_complaints(root: str, files: Mapping[str, str]) -> Iterator[Complaint]:
    """Which of the listed files are not plain files below `root`, or have not the SHA-256 that is listed."""
    folders: dict[str, str] = {"": ""}

    def wrong_folder(place: str) -> str:
        if place not in folders:
            folders[place] = wrong_folder(os.path.dirname(place)) or _wrong_kind(f"{root}/{place}", stat.S_ISDIR)
        return folders[place]

    for place, digest in files.items():
        path = f"{root}/{place}"
        try:
            wrong = wrong_folder(os.path.dirname(place)) or _wrong_kind(path, stat.S_ISREG)
            if wrong:
                yield place, wrong
            else:
                yield from _changed(place, "SHA-256", file_sha256(path), digest)
        except OSError as error:
            yield place, error.strerror or str(error)


def tree_complaints(root: str, contents: Contents) -> Iterator[Complaint]:
    """How the tree below `root` differs from what it should be."""
    walk = _Walk(root, contents)
    yield from walk.directory("")
    for place in sorted((contents.files.keys() | contents.trees.keys() | contents.closure.keys()) - walk.seen):
        yield place, "it is missing"
    yield from _job_complaints(root, contents.jobs)


def _wrong_kind(path: str, is_right: Callable[[int], bool]) -> str:
    mode = os.lstat(path).st_mode
    if is_right(mode):
        return ""
    return "it is a link, or stands behind one" if stat.S_ISLNK(mode) else "it is not a plain file in plain folders"


class _Entry(NamedTuple):
    name: str
    place: str
    path: str
    status: os.stat_result


@dataclass(slots=True)
class _Walk:
    root: str
    contents: Contents
    seen: set[str] = field(default_factory=set)
    parents: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        known = (self.contents.files, self.contents.trees, self.contents.closure, self.contents.folders, [MANIFEST])
        for place in (place for places in known for place in places):
            directory = os.path.dirname(place)
            while directory and directory not in self.parents:
                self.parents.add(directory)
                directory = os.path.dirname(directory)
        self.parents.update(self.contents.folders, _FOLDERS)

    def directory(self, place: str) -> Iterator[Complaint]:
        try:
            with os.scandir(f"{self.root}/{place}") as listing:
                found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in listing]
        except OSError as error:
            yield place, error.strerror or str(error)
            return
        for name, status in sorted(found, key=lambda one: one[0]):
            inner = f"{place}/{name}" if place else name
            yield from self.entry(_Entry(name, inner, f"{self.root}/{inner}", status))

    def entry(self, entry: _Entry) -> Iterator[Complaint]:
        mode, place = entry.status.st_mode, entry.place
        self.seen.add(place)
        try:
            if place in self.contents.closure:
                yield from self.store_path(entry)
            elif place in self.contents.trees:
                yield from self.stored(entry)
            elif stat.S_ISDIR(mode):
                if place not in self.parents:
                    yield place, _UNNAMED
                elif place != JOBS:
                    yield from self.directory(place)
            elif stat.S_ISLNK(mode):
                yield from self.link(entry)
            elif not stat.S_ISREG(mode):
                yield place, "it is neither a file nor a directory"
            elif place != MANIFEST:
                yield from self.file(entry)
        except OSError as error:
            yield place, error.strerror or str(error)
        except TreeError as error:
            yield os.path.relpath(error.path, self.root), error.reason
        except (ValueError, RecursionError) as error:  # what no NAR can hold; folders in folders in folders
            yield place, str(error)

    def file(self, entry: _Entry) -> Iterator[Complaint]:
        digest = self.contents.files.get(entry.place)
        if digest is None:
            yield entry.place, _UNNAMED
            return
        yield from _changed(entry.place, "SHA-256", file_sha256(entry.path), digest)
        yield from _mode_complaints(entry, is_program=entry.place in self.contents.programs)

    def link(self, entry: _Entry) -> Iterator[Complaint]:
        """A blob of an image may stand elsewhere in the Lab, as a file with the SHA-256 that is the blob's name."""
        image, _, rest = entry.place.rpartition("/blobs/sha256/")
        target = os.readlink(entry.path)
        meant = os.path.normpath(os.path.join(os.path.dirname(entry.place), target))
        if image not in self.contents.images or rest != entry.name or self.contents.files.get(meant) != entry.name:
            yield entry.place, f"it is a link to {target}"

    def stored(self, entry: _Entry) -> Iterator[Complaint]:
        """A stored path: the digest of its tree, whose first digits are its name, and that of each file in it."""
        content = tree_content(entry.path)
        complaints: list[Complaint] = []
        for inner, sha256 in content.files:
            place = f"{entry.place}/{inner}" if inner else entry.place
            self.seen.add(place)
            if place not in self.contents.files:
                complaints.append((place, _UNNAMED))
            else:
                complaints += _changed(place, "SHA-256", sha256, self.contents.files[place])
        wanted = self.contents.trees[entry.place]
        is_named = short_digest(bytes.fromhex(content.digest)) == entry.name[:ID_LENGTH]
        if not complaints and (not is_named or (wanted and wanted != content.digest)):
            complaints.append((entry.place, "its content is not what its name says"))
        yield from complaints

    def store_path(self, entry: _Entry) -> Iterator[Complaint]:
        yield from _changed(entry.place, "NAR hash", nar_sha256(entry.path), self.contents.closure[entry.place])


def _mode_complaints(entry: _Entry, *, is_program: bool) -> Iterator[Complaint]:
    if entry.status.st_mode & _SPECIAL:
        yield entry.place, "it is setuid, setgid or sticky"
    if bool(entry.status.st_mode & stat.S_IXUSR) != is_program:
        yield entry.place, f"it can{'not' if is_program else ''} be executed"


def _changed(place: str, what: str, found: str, wanted: str) -> Iterator[Complaint]:
    if found != wanted:
        yield place, f"it has changed: {what} {found[:16]}… instead of {wanted[:16]}…"


def _job_complaints(root: str, jobs: Mapping[str, str]) -> Iterator[Complaint]:
    """Each job is one link to its stage's directory, and there is nothing else beside them."""
    try:
        found = set(os.listdir(f"{root}/{JOBS}"))
    except OSError as error:
        yield JOBS, error.strerror or str(error)
        return
    for name in sorted(found - jobs.keys()):
        yield f"{JOBS}/{name}", "no run has such a job"
    for identity, stage in jobs.items():
        place = f"{JOBS}/{identity}"
        if identity not in found:
            yield place, "it is missing"
            continue
        try:
            target = os.readlink(f"{root}/{place}")
        except OSError:
            yield place, "it is not a link"
            continue
        if target.rstrip("/") != f"../store/{stage}":
            yield place, f"it leads to {target}"


def tree_state(root: str) -> str:
    """What the tree looks like: names, kinds, sizes, times, inodes; the links of jobs by their directory alone.

    A directory tells of what was added to it, removed or replaced, so that 100,000 links need not be looked at.
    """
    looks: list[str] = []
    waiting = [""]
    while waiting:
        place = waiting.pop()
        with os.scandir(f"{root}/{place}") as listing:
            entries = [(entry.name, entry.stat(follow_symlinks=False)) for entry in listing]
        for name, status in sorted(entries, key=lambda one: one[0]):
            inner = f"{place}/{name}" if place else name
            looks.append(f"{inner!a} {status.st_mode} {status.st_size} {status.st_mtime_ns} {status.st_ino}")
            if stat.S_ISDIR(status.st_mode) and inner != JOBS:
                waiting.append(inner)
    return "\n".join(looks)

"""Digests: Nix's base-32, canonical JSON, the content digest of a file or tree; knows nothing of stores."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable
from typing import Any, NamedTuple

NIX_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
"""Nix's base-32 digits, least to greatest: no e, o, u, t."""

ID_LENGTH = 32
"""Digits of a digest that name a job, a stage or a key: its 160 most significant bits."""

_PAIRS = [first + second for first in NIX_ALPHABET for second in NIX_ALPHABET]
_CHUNK = 1 << 20

MOST_LEVELS = 256
"""Directories that may lie in each other in a tree: far more than anybody makes on purpose."""

Visit = Callable[[str, os.stat_result, str], None]
LeaveOut = Callable[["os.DirEntry[str]"], bool]
"""Whether an entry of a directory is as if it were not there."""
Sha256Of = Callable[[str], str]
"""The SHA-256 (hex) of a file's bytes."""
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class TreeError(Exception):
    """A tree cannot have a content digest: `path` is a socket, a device, or a link that leaves the tree."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__("%s: %s" % (path, reason))
        self.path = path
        self.reason = reason


def nix_base32(digest: bytes) -> str:
    """All 52 digits of a SHA-256, as Nix prints it: the bytes are one little-endian number, written from its top."""
    number = int.from_bytes(digest, "little")
    return "".join(NIX_ALPHABET[(number >> (5 * place)) & 31] for place in range(51, -1, -1))


def nix_base32_bytes(text: str) -> bytes:
    """The SHA-256 whose 52 digits these are. ValueError for anything else."""
    number = 0
    for digit in text:
        number = number * 32 + NIX_ALPHABET.index(digit)
    if len(text) != 52 or number >> 256:
        raise ValueError("%r is not a SHA-256 in Nix's base-32" % text)
    return number.to_bytes(32, "little")


def short_digest(digest: bytes) -> str:
    """The first 32 of `nix_base32`'s digits, two at a time: instantiating a sweep calls this twice for each job."""
    top = int.from_bytes(digest, "little") >> 100
    pairs = _PAIRS
    # Four numbers of 40 bits: arithmetic on small integers is what makes this quick.
    high, low = top >> 80, top & 0xFFFFFFFFFFFFFFFFFFFF
    a, b, c, d = high >> 40, high & 0xFFFFFFFFFF, low >> 40, low & 0xFFFFFFFFFF
    return (
        f"{pairs[a >> 30]}{pairs[a >> 20 & 1023]}{pairs[a >> 10 & 1023]}{pairs[a & 1023]}"
        f"{pairs[b >> 30]}{pairs[b >> 20 & 1023]}{pairs[b >> 10 & 1023]}{pairs[b & 1023]}"
        f"{pairs[c >> 30]}{pairs[c >> 20 & 1023]}{pairs[c >> 10 & 1023]}{pairs[c & 1023]}"
        f"{pairs[d >> 30]}{pairs[d >> 20 & 1023]}{pairs[d >> 10 & 1023]}{pairs[d & 1023]}"
    )


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no blanks, unicode kept; tells 1, 1.0, true and "1" apart. ValueError for NaN."""
    return _encode(value)


def digest_of_text(text: str) -> str:
    """The 32 digits that name `text`. Lone surrogates (file names that are not UTF-8) keep their bytes."""
    return short_digest(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest())


def file_sha256(path: str) -> str:
    """The SHA-256 of a file's bytes, lowercase hex; links are followed."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while True:
            chunk = os.read(descriptor, _CHUNK)
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)
    finally:
        os.close(descriptor)


def tree_digest(path: str, leave_out: LeaveOut | None = None) -> str:
    """The content digest (hex) of a file, link or directory, over names, types, exec bits and bytes.

    Raises TreeError for anything else in the tree and for a link that leaves it, OSError when it cannot be read.
    """
    return digest_and_size(path, leave_out=leave_out)[0]


def digest_and_size(
    path: str,
    root: str | None = None,
    visit: Visit | None = None,
    leave_out: LeaveOut | None = None,
    sha256_of: Sha256Of | None = None,
) -> tuple[str, int]:
    """`tree_digest` and the sum of the files' sizes in bytes, in one walk; links may point anywhere below `root`.

    `visit` is called with every path, what lstat(2) says of it, and a file's SHA-256 in hex. What `leave_out` says is
    as if it were not there. `sha256_of` reads a file, if it is not `file_sha256`.
    """
    top = os.path.abspath(path)
    rules = _Rules(os.path.abspath(root) if root else top, visit, leave_out, sha256_of or file_sha256)
    kind, inner, size = _entry(top, os.lstat(top), rules)
    return _top_digest(kind, inner), size


class TreeContent(NamedTuple):
    """A tree's digest, the sum of its files' sizes, and each file: its path below the top ("" for it), its SHA-256."""

    digest: str
    size: int
    files: tuple[tuple[str, str], ...]


def tree_content(path: str) -> TreeContent:
    """A tree's digest with those of its files, read once. Raises as `tree_digest` does."""
    top = os.path.abspath(path)
    files: list[tuple[str, str]] = []

    def note(entry: str, status: os.stat_result, sha256: str) -> None:
        if stat.S_ISREG(status.st_mode):
            files.append((entry, sha256))

    kind, inner, size = _entry(top, os.lstat(top), _Rules(top, note, None, file_sha256))
    return TreeContent(_top_digest(kind, inner), size, tuple((file[len(top) + 1 :], digest) for file, digest in files))


def check_entry(path: str, status: os.stat_result, root: str) -> None:
    """Whether an entry of a tree could have a digest; `root` is where the tree begins. Raises TreeError."""
    if stat.S_ISLNK(status.st_mode):
        _link_target(path, root)
    elif not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise TreeError(path, "a socket, pipe or device cannot be kept")
    elif stat.S_ISDIR(status.st_mode):
        check_depth(path, root)


def check_depth(path: str, root: str) -> None:
    """Whether a directory lies so near to where its tree begins that all of it can be handled. Raises TreeError."""
    if path.count("/", len(root)) > MOST_LEVELS:
        raise TreeError(path[: len(root) + 80] + "…", "it lies in more than %d directories" % MOST_LEVELS)


def plain_file_digest(sha256: str) -> str:
    """The `tree_digest` of a file that may not be executed and whose bytes have this SHA-256 (lowercase hex)."""
    return _top_digest(b"f", sha256)


def _top_digest(kind: bytes, inner: str) -> str:
    return hashlib.sha256(b"repx-tree 1\n%s %s\n" % (kind, inner.encode())).hexdigest()


class _Rules(NamedTuple):
    """How a tree is read: where it begins, who is told of its entries, what is left out, how a file is hashed."""

    root: str
    visit: Visit | None
    leave_out: LeaveOut | None
    sha256_of: Sha256Of


def _entry(path: str, status: os.stat_result, rules: _Rules) -> tuple[bytes, str, int]:
    mode = status.st_mode
    sha256 = rules.sha256_of(path) if stat.S_ISREG(mode) else ""
    if rules.visit is not None:
        rules.visit(path, status, sha256)
    if sha256:
        return (b"x" if mode & stat.S_IXUSR else b"f"), sha256, status.st_size
    if stat.S_ISLNK(mode):
        return b"l", hashlib.sha256(os.fsencode(_link_target(path, rules.root))).hexdigest(), 0
    if stat.S_ISDIR(mode):
        return _directory(path, rules)
    raise TreeError(path, "a socket, pipe or device cannot be kept")


def _link_target(path: str, root: str) -> str:
    """What a link says. Raises TreeError when that is not below `root`."""
    target = os.readlink(path)
    # By its text it may stay inside and yet leave through another link on the way: both must hold.
    inside = os.path.normpath(os.path.join(os.path.dirname(path), target))
    if os.path.isabs(target) or not (
        _is_below(inside, root) and _is_below(os.path.realpath(path), os.path.realpath(root))
    ):
        raise TreeError(path, "the link to %s leaves the tree" % target)
    return target


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root + os.sep)


def _directory(path: str, rules: _Rules) -> tuple[bytes, str, int]:
    check_depth(path, rules.root)
    leave_out = rules.leave_out
    digest = hashlib.sha256()
    total = 0
    with os.scandir(path) as listing:
        counted = [entry for entry in listing if leave_out is None or not leave_out(entry)]
    for entry in sorted(counted, key=lambda entry: os.fsencode(entry.name)):
        kind, inner, size = _entry(entry.path, entry.stat(follow_symlinks=False), rules)
        name = os.fsencode(entry.name)
        # The length goes first, so that no file name can imitate two entries.
        digest.update(b"%s %s %d:%s\n" % (kind, inner.encode(), len(name), name))
        total += size
    return b"d", digest.hexdigest(), total

"""Modes of what a job leaves: no special bits, and of a result the same whoever made it; moves and removes nothing."""

from __future__ import annotations

import errno
import os
import stat

from repx.agent.base.files import SPECIAL_BITS, walk


def take_special_bits(path: str, status: os.stat_result, _: str = "") -> None:
    """Take setuid, setgid and sticky from a file or directory of which lstat(2) says `status`."""
    if status.st_mode & SPECIAL_BITS and not stat.S_ISLNK(status.st_mode):
        os.chmod(path, stat.S_IMODE(status.st_mode) & ~SPECIAL_BITS)


def make_file_read_only(path: str, status: os.stat_result, _: str = "") -> None:
    """Make a file read-only of which lstat(2) says `status`; a directory stays writable, or it could not be moved.

    PermissionError for what is somebody else's.
    """
    if stat.S_ISDIR(status.st_mode):
        if os.geteuid() not in (0, status.st_uid):
            # Later, it could not be made read-only.
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
        take_special_bits(path, status)
    else:
        _set_read_only(path, status.st_mode)


def _set_read_only(path: str, mode: int) -> None:
    """Modes do not depend on who made the tree, in which sandbox and with which umask: all may read, nobody writes."""
    wanted = 0o555 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o444
    if stat.S_IMODE(mode) != wanted and not stat.S_ISLNK(mode):
        os.chmod(path, wanted)


def make_ordinary(path: str) -> None:
    """Take the special bits from a tree, and let its owner into every directory. FileNotFoundError without a tree."""
    for entry in walk(path, open_to_owner=True):
        status = os.lstat(entry)
        take_special_bits(entry, status)


def make_read_only(path: str) -> None:
    """Let all read a tree, and nobody write to it; links are left alone.

    Call it after the tree stands at its final name.
    """
    for entry in walk(path):
        _set_read_only(entry, os.lstat(entry).st_mode)


def make_directories_read_only(path: str) -> None:
    """Make a directory and those below it read-only; its files are so already."""
    status = os.lstat(path)
    # A directory has a name in each of its own: with two it has none, where the file system counts.
    if status.st_nlink != 2:
        make_read_only(path)
    else:
        _set_read_only(path, status.st_mode)

"""What a tree looks like: names, kinds, sizes, times, inodes; equal looks mean equal contents, and no file is read.

Only shortcuts look at times. What looks the same has been left alone, unless somebody has set a time back.
"""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from repx.agent.base.files import walk
from repx.agent.base.left_out import LeftOut

SETTLED_NS = 2 * 10**9
"""A file that was changed less long ago may be changed again and look the same: clocks of file systems are coarse."""


class Looks(NamedTuple):
    """The digest of what a tree looks like, and when it was changed last, in nanoseconds since 1970."""

    digest: str
    changed_ns: int

    def is_settled(self, now_ns: int) -> bool:
        """Whether a later change will be seen."""
        return self.changed_ns < now_ns - SETTLED_NS


def looks_of_source(path: str, left_out: LeftOut) -> Looks:
    """The looks of what counts in a tree of the user's; the change time is in them, which nobody can set back."""
    # What is left out changes the times of its directory, so that the tree is read again when that comes or goes.
    return _looks(path, left_out)


def looks_of_object(path: str) -> str:
    """The looks of a tree of a store. A second name, which Labs and jobs give its files, changes their change times."""
    return _looks(path, None).digest


def _looks(path: str, left_out: LeftOut | None) -> Looks:
    digest = hashlib.sha256()
    if left_out is not None:
        digest.update(repr((os.path.relpath(path, left_out.top), left_out.patterns)).encode("utf-8", "surrogateescape"))
    changed_ns = 0
    for entry in walk(path, left_out):
        status = os.lstat(entry)
        changed_ns = max(changed_ns, status.st_ctime_ns)
        seen = [status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns]
        if left_out is not None:
            seen.append(status.st_ctime_ns)
        digest.update(repr((entry[len(path) :], *seen)).encode("utf-8", "surrogateescape"))
    return Looks(digest.hexdigest(), changed_ns)

"""Digests of several large files at once, on several processors; decides by size alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping

from repx.agent.base.digest import file_sha256
from repx.agent.base.files import walk

LARGE = 32 << 20
"""Bytes from which on a file is worth a thread: hashing it takes some 20 ms."""

MOST_THREADS = 4


def large_digests(paths: Iterable[str]) -> Mapping[str, str]:
    """The SHA-256 (hex) of the large files among some paths and in the trees that they are, where there are several.

    Empty where there are not. What cannot be read is left out: whoever needs it comes to it again.
    """
    large = [path for top in paths for path in _files_of(top) if _is_large(path)]
    # How many processors there are costs a look at the system, which nearly no job needs.
    count = min(len(large), os.cpu_count() or 1, MOST_THREADS) if len(large) > 1 else 1
    if count < 2:
        return {}
    # Most jobs have no use for it.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(count) as pool:
        digests = list(pool.map(_digest_if_readable, large))
    return {path: digest for path, digest in zip(large, digests) if digest}


def _files_of(top: str) -> Iterable[str]:
    return walk(top) if os.path.isdir(top) and not os.path.islink(top) else (top,)


def _is_large(path: str) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size >= LARGE


def _digest_if_readable(path: str) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return ""

"""How much of a disk things take: blocks and files, each file once however many names it has; changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import NamedTuple


class Size(NamedTuple):
    """Bytes on the disk, and how many files, links and directories."""

    bytes: int = 0
    files: int = 0

    def plus(self, other: Size) -> Size:
        """The sum."""
        return Size(self.bytes + other.bytes, self.files + other.files)


class Measure:
    """Measures one thing after the other. What has several names counts with the last of them that comes.

    So that is counted which goes when all that was measured is removed: a file of a Lab that the store has as an object
    too stays where only one of both goes. With `is_shared`, it counts with its first name.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        self._is_shared = is_shared
        self._seen: dict[tuple[int, int], int] = {}

    def tree(self, path: str) -> Size:
        """The size of a file or tree; nothing where there is none."""
        return self.trees([path])

    def trees(self, paths: Iterable[str]) -> Size:
        """The sum of the sizes of files and trees: of 100,000 small ones too, so that each step is a plain one."""
        blocks = files = 0
        is_new, lstat, is_directory, scan = self._is_new, os.lstat, stat.S_ISDIR, os.scandir
        waiting: list[str] = []
        for path in paths:
            try:
                status = lstat(path)
            except OSError:
                continue
            if is_directory(status.st_mode):
                waiting.append(path)
            elif status.st_nlink > 1 and not is_new(status):
                continue
            blocks += status.st_blocks
            files += 1
            while waiting:
                try:
                    with scan(waiting.pop()) as entries:
                        for entry in entries:
                            status = entry.stat(follow_symlinks=False)
                            if is_directory(status.st_mode):
                                waiting.append(entry.path)
                            elif status.st_nlink > 1 and not is_new(status):
                                continue
                            blocks += status.st_blocks
                            files += 1
                except OSError:
                    # Gone meanwhile, or not for us to look into.
                    continue
        return Size(blocks * 512, files)

    def _is_new(self, status: os.stat_result) -> bool:
        place = (status.st_dev, status.st_ino)
        seen = self._seen[place] = self._seen.get(place, 0) + 1
        return seen == (1 if self._is_shared else status.st_nlink)

"""Finished files and trees get their names: flushed before that, many at once; does not know what they are.

After a loss of power a file that was renamed unflushed is a name without content, and whoever finds the name trusts it.
So a store, a Lab and a PATH folder come by their names here, or by `publish_file`, which flushes one file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping

from repx.agent.base.files import random_name, remove_tree, sync_filesystem

_WAITING_SIZE = 1 << 28


class Publisher:
    """Gives names on one file system; `spare` is a directory of it, into which goes what stood at a name before."""

    def __init__(
        self,
        spare: str,
        flush: Callable[[str], None] = sync_filesystem,
        rename: Callable[[str, str], None] = os.rename,
    ) -> None:
        self._spare = spare
        self._flush = flush
        self._rename = rename

    def publish(self, finished: Mapping[str, str]) -> None:
        """Give each finished file, link or tree its name: names, with where each was made.

        What has a name already stays, since names are made of contents: somebody else was first, and whoever made the
        second one removes it.
        """
        if finished:
            self._flush(self._spare)
        for name, made in finished.items():
            if not os.path.lexists(name):
                self._give(made, name)

    def replace(self, name: str, made: str) -> None:
        """Give a finished file or tree a name that something wrong has; nobody meets half of either."""
        self._flush(self._spare)
        self.discard(name)
        self._give(made, name)

    def discard(self, name: str) -> None:
        """Take what is wrong off its name in one step, then remove it. Nothing there is no error."""
        doomed = "%s/doomed-%s" % (self._spare, random_name())
        try:
            self._move(name, doomed)
        except FileNotFoundError:
            return
        remove_tree(doomed)

    def _give(self, made: str, name: str) -> None:
        try:
            self._move(made, name)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise

    def _move(self, source: str, target: str) -> None:
        # A directory can be renamed only while it may be written to: its `..` is part of it.
        mode = os.lstat(source).st_mode
        is_locked = stat.S_ISDIR(mode) and not mode & 0o200
        if is_locked:
            os.chmod(source, stat.S_IMODE(mode) | 0o200)
        self._rename(source, target)
        if is_locked:
            os.chmod(target, stat.S_IMODE(mode))


class Waiting:
    """Finished things that wait for their names together, for one flush costs as much as a hundred: a context.

    However it is left, what was added gets its name, and nothing stays where it was made. What waits is at most a
    quarter of a gigabyte, so that a kill in the middle of a long copy loses no more.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._finished: dict[str, str] = {}
        self._size = 0

    def __enter__(self) -> Waiting:
        return self

    def add(self, name: str, made: str, size: int) -> None:
        """Something of `size` bytes is finished at `made`."""
        self._finished[name] = made
        self._size += size
        if self._size > _WAITING_SIZE:
            self._publish()

    def __exit__(self, *_: object) -> None:
        self._publish()

    def _publish(self) -> None:
        finished, self._finished, self._size = self._finished, {}, 0
        try:
            self._publisher.publish(finished)
        finally:
            for made in finished.values():
                remove_tree(made)

"""Files put in place whole or not at all: publish, exclusive links, one sync for many; knows no layout."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator

_libc = None


def write_file(path: str, data: bytes, mode: int = 0o644) -> None:
    """Create or overwrite `path` in place; for files that only their writer reads."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    """Write all of it where one write(2) may take less."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def random_name() -> str:
    """A name that nobody else has: no process id is in it, for two containers on one store may have the same.

    Not a UUID: importing that costs a worker a tenth of its start.
    """
    return os.urandom(8).hex()


def publish_file(path: str, data: bytes, mode: int = 0o644) -> None:
    """Put a file in place whole: written beside, flushed, renamed. An older one is replaced."""
    beside = "%s.%s.tmp" % (path, random_name())
    try:
        write_file(beside, data, mode)
        sync_path(beside)
        os.rename(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def read_file(path: str) -> bytes:
    """The bytes of a file; three system calls for a small one, because a command may read 100,000 of them."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Small first: a large buffer is zeroed by the kernel page by page, for nothing.
        data = os.read(descriptor, 4096)
        if len(data) < 4096:
            return data
        parts = [data]
        while data:
            data = os.read(descriptor, 1 << 20)
            parts.append(data)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def read_if_there(path: str) -> bytes | None:
    """The bytes of a file, or None when it does not exist; of a process's, when that has ended meanwhile."""
    try:
        return read_file(path)
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return None


def mark_of_file(path: str) -> str | None:
    """What tells this file from the one that replaces it, by the same server's clock; None when there is none."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return "%d-%d" % (status.st_ino, status.st_mtime_ns)


class ScratchFile:
    """A file that is written again and again: held open and overwritten in place.

    Truncating a file and closing it makes ext4 allocate its blocks at once (auto_da_alloc, ext4(5)), which for a file
    that lives a millisecond costs more than everything else about it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._length = 0
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes) -> None:
        """Replace the content of a text; blanks and a newline stand where an older one was longer."""
        length = len(data)
        if length < self._length:
            data = data.ljust(self._length - 1) + b"\n"
        self._length = max(length, self._length)
        written = os.pwrite(self._descriptor, data, 0)
        while written < len(data):
            written += os.pwrite(self._descriptor, data[written:], written)


def link_exclusive(source: str, target: str) -> bool:
    """Give `source` the second name `target`; False when that name is taken.

    Where the file system has no hard links a copy is made with O_EXCL. On NFS a link may succeed although its answer
    was lost, which only a look at both names tells (open(2), O_EXCL).
    """
    try:
        os.link(source, target)
        return True
    except FileExistsError:
        return _is_same(source, target)
    except OSError as error:
        if _is_same(source, target):
            return True
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV):
            raise
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as copy:
        copy.write(read_file(source))
    return True


def _is_same(source: str, target: str) -> bool:
    try:
        return os.path.samefile(source, target)
    except OSError:
        return False


def sync_path(path: str) -> None:
    """Flush one file or directory to its device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(path: str) -> None:
    """Flush the whole file system that holds `path` (syncfs(2)): one call for a batch of results."""
    global _libc
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            if code in (errno.ENOSYS, errno.EINVAL):
                os.sync()
            else:
                raise OSError(code, os.strerror(code), path)
    finally:
        os.close(descriptor)


SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
"""What lets a program run as its owner. Nothing that a job leaves keeps them: the owner is who runs repx."""


def remove_tree(path: str) -> None:
    """Remove a file or tree, read-only parts included, however deep. It is not an error when nothing is there."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        os.unlink(path)
        return
    try:
        shutil.rmtree(path)
    except (RecursionError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (
            errno.EACCES,
            errno.EPERM,
            errno.ENAMETOOLONG,
            errno.EMFILE,
        ):
            raise
        _flatten(path)
        shutil.rmtree(path)


_TOO_DEEP_OR_CLOSED = frozenset([errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EMFILE])


def _flatten(path: str) -> None:
    """Bring every directory of a tree to its top, open to its owner: then nothing is deep, and no path is long."""
    os.chmod(path, stat.S_IRWXU)
    waiting = ["."]
    while waiting:
        directory = path + "/" + waiting.pop()
        os.chmod(directory, stat.S_IRWXU)
        with os.scandir(directory) as listing:
            inner = [entry.name for entry in listing if entry.is_dir(follow_symlinks=False)]
        for name in inner:
            os.chmod(directory + "/" + name, stat.S_IRWXU)
            place = random_name()
            os.rename(directory + "/" + name, path + "/" + place)
            waiting.append(place)


def discard_tree(path: str) -> None:
    """Remove a tree; where it cannot be, for something in it is somebody else's, have it out of the way."""
    try:
        remove_tree(path)
    except PermissionError:
        os.rename(path, "%s.left-%s" % (path, random_name()))


def link_tree(source: str, target: str) -> None:
    """A second name for every file of a tree; copies where the file system has no hard links."""
    _make_tree(source, target, _link_or_copy)


def copy_tree(source: str, target: str, leave_out: Callable[[os.DirEntry[str]], bool] | None = None) -> None:
    """Copy a file, link or tree: bytes, links, who may execute; nothing else of it. The first OSError ends it."""
    # Not shutil.copytree: it goes on after an error, and does not tell which one it was.
    _make_tree(source, target, _copy_file, leave_out)


def hardlink_or_symlink(source: str, target: str) -> None:
    """Let `target` be what `source` is: by hard links where that can be, else by a symbolic one.

    A tool that copies what it finds there must get a copy: `cp -r` copies a symbolic link as one, and whoever writes to
    that copy writes to the original. FileNotFoundError when there is no directory to put it into.
    """
    try:
        # A file is linked as it is named; finding out where a path really leads is a call for each of its parts.
        is_file = stat.S_ISREG(os.lstat(source).st_mode)
        _make_tree(source if is_file else os.path.realpath(source), target, os.link)
    except OSError as error:
        if error.errno == errno.ENOENT and not os.path.isdir(os.path.dirname(target)):
            raise
        # Another file system, somebody else's file, too many names; or nothing is there, as its reader will find.
        remove_tree(target)
        os.symlink(source, target)


def _make_tree(
    source: str,
    target: str,
    place: Callable[[str, str], None],
    leave_out: Callable[[os.DirEntry[str]], bool] | None = None,
) -> None:
    """The links and directories of a tree anew, its files as `place` puts them there."""
    mode = os.lstat(source).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISDIR(mode):
        os.mkdir(target)
        with os.scandir(source) as listing:
            names = [entry.name for entry in listing if leave_out is None or not leave_out(entry)]
        for name in sorted(names):
            _make_tree(source + "/" + name, target + "/" + name, place, leave_out)
    else:
        place(source, target)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def _copy_file(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    os.chmod(target, 0o755 if os.stat(source).st_mode & stat.S_IXUSR else 0o644)


def walk(
    path: str, leave_out: Callable[[os.DirEntry[str]], bool] | None = None, *, open_to_owner: bool = False
) -> Iterator[str]:
    """`path` and everything below it, parents first; links are not followed, and nothing is too deep.

    With `open_to_owner`, directories that their owner may not look into are opened to him.
    """
    waiting = [path]
    while waiting:
        top = waiting.pop()
        mode = os.lstat(top).st_mode
        if stat.S_ISDIR(mode):
            if open_to_owner and mode & stat.S_IRWXU != stat.S_IRWXU:
                os.chmod(top, stat.S_IMODE(mode) & ~SPECIAL_BITS | stat.S_IRWXU)
            yield top
            with os.scandir(top) as listing:
                waiting.extend(entry.path for entry in listing if leave_out is None or not leave_out(entry))
        else:
            yield top


def is_inside(relative: str) -> bool:
    """Whether a path from elsewhere is relative and stays below where it starts: no `..`, no NUL, not empty."""
    if not relative or "\0" in relative or os.path.isabs(relative):
        return False
    return ".." not in relative.split("/")

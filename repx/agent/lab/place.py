"""Places of a Lab: files and directories found beneath its root without following a link; knows no format.

A Lab comes from anywhere. A link in it could lead to any file of this machine, a pipe would keep its reader waiting for
ever, a device has no end. So whoever opens, shows or mounts something of a Lab takes a `Place`, and to make one is to
have found it: a plain file or a directory, beneath the root, with no link on the way.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat

from repx.agent.base.files import is_inside
from repx.agent.lab.fault import AsError, LabFault, as_it_is, kind_of

_LOOK = os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK)
_READ = os.O_CLOEXEC | os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY

# openat2(2), since Linux 5.6. Its number is the same on all machines but Alpha.
_OPENAT2 = 437
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_LINK = "it is a link, or stands behind one"


class LabRoot:
    """The directory of a Lab, itself reached by whatever links. Its places are looked for once."""

    __slots__ = ("_as_error", "_known", "given", "path")

    def __init__(self, path: str, as_error: AsError = as_it_is) -> None:
        self.given = path
        self.path = os.path.realpath(path)
        self._as_error = as_error
        self._known: dict[str, Place] = {}

    def place(self, name: str) -> Place:
        """A file or directory of the Lab by its path below the root. Raises for anything else, or nothing, there."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = Place(self, name)
        return known

    def file(self, name: str) -> Place:
        """A file of the Lab."""
        place = self.place(name)
        if place.is_directory:
            raise self.fault((name, "it is a directory"))
        return place

    def directory(self, name: str) -> Place:
        """A directory of the Lab."""
        place = self.place(name)
        if not place.is_directory:
            raise self.fault((name, "it is not a directory"))
        return place

    def has(self, name: str) -> bool:
        """Whether there is anything of that name, of whatever kind."""
        try:
            os.close(open_beneath(self.path, name, _LOOK))
        except OSError as error:
            return error.errno not in (errno.ENOENT, errno.ENOTDIR)
        return True

    def fault(self, *complaints: tuple[str, str]) -> Exception:
        """What to raise for what is wrong with some files."""
        return self._as_error(LabFault(self.given, complaints))

    def disk_fault(self, name: str, error: OSError) -> Exception:
        """What to raise for what the disk says of a file."""
        return self._as_error(LabFault(self.given, [(name, _reason(error))], kind_of(error.errno or 0)))

    def no_lab(self, name: str) -> Exception:
        """What to raise where there is no such file, so that this is not a Lab at all."""
        return self._as_error(LabFault(self.given, [(name, "it is missing")], "no Lab"))

    def other_format(self, name: str, found: object, wanted: int) -> Exception:
        """What to raise for a format of another time: what else is wrong with it, nobody can say."""
        text = "its format is %.20r; this repx reads %d" % (found, wanted)
        return self._as_error(LabFault(self.given, [(name, text)], "other format"))

    def __repr__(self) -> str:
        return "<Lab at %s>" % self.path


class Place:
    """A file or directory of a Lab. `name` is its path below the Lab's root, `path` the absolute one.

    Making one raises what its root raises where there is none.
    """

    __slots__ = ("_root", "is_directory", "name", "path", "size")

    def __init__(self, root: LabRoot, name: str) -> None:
        self._root = root
        self.name = name
        self.path = "%s/%s" % (root.path, name)
        descriptor = self._opened(_LOOK)
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            is_link = stat.S_ISLNK(status.st_mode)
            raise root.fault((name, _LINK if is_link else "it is neither a file nor a directory"))
        self.is_directory = stat.S_ISDIR(status.st_mode)
        self.size = status.st_size

    def open(self) -> int:
        """A descriptor to read the file with: looked for anew, and it keeps nobody waiting if it is a pipe by now."""
        descriptor = self._opened(_READ)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._root.fault((self.name, "it is not a file"))
        return descriptor

    def read(self, limit: int) -> bytes:
        """The whole file, which has at most `limit` bytes."""
        descriptor = self.open()
        try:
            parts: list[bytes] = []
            left = limit + 1
            while left:
                data = os.read(descriptor, min(left, 1 << 20))
                if not data:
                    return b"".join(parts)
                parts.append(data)
                left -= len(data)
        except OSError as error:
            raise self._root.disk_fault(self.name, error) from None
        finally:
            os.close(descriptor)
        raise self._root.fault((self.name, "it has more than %d MiB" % (limit >> 20)))

    def names(self) -> list[str]:
        """What is in the directory, sorted."""
        descriptor = self._opened(_READ | os.O_DIRECTORY)
        try:
            return sorted(os.listdir(descriptor))
        except OSError as error:
            raise self._root.disk_fault(self.name, error) from None
        finally:
            os.close(descriptor)

    def _opened(self, flags: int) -> int:
        if not is_inside(self.name):
            raise self._root.fault((self.name, "it leads outside the Lab"))
        try:
            return open_beneath(self._root.path, self.name, flags)
        except OSError as error:
            raise self._root.disk_fault(self.name, error) from None
        except UnicodeEncodeError:
            raise self._root.fault((self.name, "no file can be called so")) from None

    def __repr__(self) -> str:
        return "<place %s>" % self.path


def open_beneath(root: str, name: str, flags: int) -> int:
    """A descriptor of what has a name beneath a directory, with no link on the way. Raises OSError: ELOOP for one."""
    directory = os.open(root, _LOOK | os.O_DIRECTORY)
    try:
        found = _openat2(directory, name, flags) if _has_openat2() else None
        return open_step_by_step(directory, name, flags) if found is None else found
    finally:
        os.close(directory)


def open_step_by_step(directory: int, name: str, flags: int) -> int:
    """The same where the kernel cannot do it at once: one part of the name after the other, none of them a link."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    here = os.dup(directory)
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        try:
            step = os.open(part, (flags if is_last else _LOOK) | os.O_NOFOLLOW, dir_fd=here)
        finally:
            os.close(here)
        here = step
        # With O_PATH it is the link itself that has been opened (open(2)).
        if stat.S_ISLNK(os.fstat(here).st_mode):
            os.close(here)
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    return here


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


_syscall = ctypes.CDLL(None, use_errno=True).syscall


@functools.cache
def _has_openat2() -> bool:
    """Whether the kernel has it, and what watches over this process (seccomp) lets it through."""
    try:
        found = _openat2(-100, ".", _LOOK)  # AT_FDCWD
    except OSError:
        return False
    if found is not None:
        os.close(found)
    return True


def _openat2(directory: int, name: str, flags: int) -> int | None:
    """A descriptor by one call of the kernel; None when something was renamed meanwhile, so that it cannot be sure."""
    how = _OpenHow(flags, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
    found = _syscall(_OPENAT2, directory, os.fsencode(name), ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how)))
    if found >= 0:
        return int(found)
    code = ctypes.get_errno()
    if code == errno.EAGAIN:
        return None
    raise OSError(code, os.strerror(code), name)


def _reason(error: OSError) -> str:
    return _LINK if error.errno == errno.ELOOP else error.strerror or str(error)

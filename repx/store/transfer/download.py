"""Downloads a file known by its SHA-256 and goes on where an earlier try stopped; does not know what it is for.

The hash decides, and nothing else: it does not matter which mirror the first half came from, or what a server says of
its file. A part that leads to a wrong hash is thrown away before anyone else is asked.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator

from repx.errors import StoreError
from repx.model.values import Download
from repx.store.transfer.remote import SILENCE_S, UnavailableError, ask


def lock(descriptor: int) -> None:
    """Wait until this open file is ours alone (flock(2)); closing it gives it back."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def download(
    wanted: Download,
    name: str,
    *,
    part: str,
    target: str,
    silence_s: float = SILENCE_S,
    lock: Callable[[int], None] = lock,
) -> None:
    """Put the file at `target`, verified and read-only; what has arrived of it stands at `part` until it is whole.

    Of two that download the same, one waits for the other. Raises StoreError with what happened at each URL when none
    gives it, and OSError when the disk fails.
    """
    with _owned(part, lock) as own:
        if os.path.lexists(target):
            # Another process was first.
            own.restart()
            return
        if own.sha256() == wanted.sha256:
            # It was ended between the last byte and its publication.
            own.publish(target)
            return
        before = own.size
        facts: list[tuple[str, object]] = []
        others: dict[str, str] = {}
        for number, url in enumerate(wanted.urls):
            facts.append(("mirror" if number else "url", url))
            try:
                content_type = _receive(url, own, silence_s, wanted.sha256)
            except UnavailableError as error:
                facts.append(("failed", str(error)))
                continue
            if own.sha256() == wanted.sha256:
                own.publish(target)
                return
            if own.size:
                others[own.sha256()] = content_type
            facts.append(("got", f"{own.sha256()}\n{own.size} bytes, {content_type}"))
            own.restart()
        raise StoreError(
            f"{name!r} cannot be fetched",
            location=wanted.location,
            facts=[("expected", wanted.sha256), *facts],
            hint=_hint(others, own.size if own.is_kept and own.size != before else 0),
        )


class _Part:
    """A file that is written from its beginning to its end, and the hash of what it holds."""

    def __init__(self, path: str, descriptor: int, *, is_kept: bool) -> None:
        self.is_kept = is_kept
        self._path = path
        self._descriptor = descriptor
        self._hash = hashlib.sha256()
        self.size = 0
        while chunk := os.read(descriptor, _CHUNK):
            self._hash.update(chunk)
            self.size += len(chunk)

    def sha256(self) -> str:
        return self._hash.hexdigest()

    def append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._hash.update(data)
        self.size += len(data)

    def restart(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.size = 0

    def publish(self, target: str) -> None:
        os.fsync(self._descriptor)
        os.rename(self._path, target)
        # Afterwards, so that a part is writable to whoever takes it up.
        os.fchmod(self._descriptor, 0o444)


@contextlib.contextmanager
def _owned(path: str, lock: Callable[[int], None]) -> Iterator[_Part]:
    """The part at `path`, written by nobody else meanwhile; removed in the end if there is nothing in it to keep."""
    own = path
    while True:
        descriptor = os.open(own, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        is_private = is_ours = own != path
        try:
            is_ours = is_private or _take(descriptor, lock)
            if not is_ours:
                # Two would write into one file: it must be one of our own, which nobody takes up again.
                own = f"{path}.{uuid.uuid4().hex}"
            # While we waited, who had the lock may have published this file, or removed it.
            elif _is_at(own, descriptor):
                yield _Part(own, descriptor, is_kept=not is_private)
                return
        finally:
            if is_ours and _is_at(own, descriptor) and (is_private or os.fstat(descriptor).st_size == 0):
                os.unlink(own)
            os.close(descriptor)


def _take(descriptor: int, lock: Callable[[int], None]) -> bool:
    """Wait for the lock; False on a file system without locks."""
    try:
        lock(descriptor)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _receive(url: str, part: _Part, silence_s: float, sha256: str) -> str:
    """Add to a part what a server has of the rest, and say of which content type it is. Raises UnavailableError."""
    answer = ask(url, part.size, silence_s)
    with contextlib.closing(answer):
        start = answer.start
        if start == 0:
            part.restart()
        for chunk in answer.chunks():
            part.append(chunk)
    if start > 0 and part.sha256() != sha256:
        # The first half may be what is wrong: from another mirror, or from before a loss of power.
        part.restart()
        return _receive(url, part, silence_s, sha256)
    return answer.content_type


def _hint(others: dict[str, str], kept: int) -> str:
    if kept:
        return f"run the same command again: the {kept} bytes that have come are kept"
    if any("html" in content_type for content_type in others.values()):
        return "a web page came in place of the file: look at the URL in a browser"
    if len(others) == 1:
        return f'if the file that came is the one you want, write sha256="{next(iter(others))}"'
    return "check the URL, or name further places to get it from with mirrors=[…]"


_CHUNK = 1 << 18
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)

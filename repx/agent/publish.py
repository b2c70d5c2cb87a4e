"""Results put in place: out, then a pending record, then one flush for many, then the records; runs nothing.

Whatever is killed between any two of these steps, a result is complete, or pending with its record beside it, or not
there. A pending one is taken up by whoever comes next while the machine has not been switched off since.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from repx.agent.base.files import (
    link_exclusive,
    locked_directory,
    make_ordinary,
    make_read_only,
    read_if_there,
    remove_tree,
    sync_filesystem,
    write_file,
)
from repx.agent.base.layout import FAILED, FAILURE, OUT, PENDING, RECORD, Store, realization
from repx.agent.base.record import (
    LogFile,
    Outcome,
    RecordError,
    decode_attempts,
    decode_outcome,
    is_intact,
    read_attempts,
    read_outcome,
)
from repx.agent.claim import boot_id, is_alive, read_claim


class Batch:
    """Results in place but not flushed yet: at most `LIMIT` of them, none older than `AGE_S` seconds."""

    LIMIT = 100
    AGE_S = 0.5

    def __init__(self, store: Store, release: Callable[[str], None]) -> None:
        self._store = store
        self._release = release
        self._waiting: list[tuple[str, str, str, bool]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job_directory: str, directory: str, key: str, *, after_failure: bool) -> None:
        """Remember a result whose `out` and pending record stand in `directory`."""
        self._waiting.append((job_directory, directory, key, after_failure))

    def commit(self) -> None:
        """Flush the file system once, then turn each pending record into a record. OSError when the disk refuses."""
        if not self._waiting:
            return
        sync_filesystem(self._store.root)
        lost = None
        while self._waiting:
            job_directory, directory, key, after_failure = self._waiting[0]
            try:
                commit_pending(self._store, directory, key, after_failure=after_failure)
            except FileNotFoundError as error:
                # Somebody has removed it meanwhile; the others are not to wait for it.
                lost = error
            # Only now: what a full disk refuses is tried again.
            del self._waiting[0]
            self._release(job_directory)
        if lost is not None:
            raise lost


def publish_success(
    job_directory: str, index: int, key: str, made: str, record: bytes, tmp: str, *, is_new: bool = False
) -> str:
    """Move a finished `out` from `made` into place, its pending record beside it; returns the realization's directory.

    `is_new` says that nothing is kept of the job yet.
    """
    directory = job_directory if index == 0 else realization(job_directory, index, key)
    if is_new:
        os.rename(made, directory + "/" + OUT)
        write_file(directory + "/" + PENDING, record)
        return directory
    os.makedirs(directory, exist_ok=True)
    with locked_directory(job_directory):
        # Also records whose outputs somebody has removed: they must not speak for the new ones.
        if any(os.path.lexists(directory + "/" + name) for name in (OUT, RECORD, PENDING)):
            displace(job_directory, directory, key, tmp)
        os.rename(made, directory + "/" + OUT)
        write_file(directory + "/" + PENDING, record)
    return directory


def publish_failure(directory: str, made: str, record: bytes) -> None:
    """Keep what a failed attempt left in `out`, and its record, in place of those of the failure before it."""
    remove_tree(directory + "/" + FAILED)
    # A script may have removed even its $out.
    with contextlib.suppress(FileNotFoundError):
        make_ordinary(made)
        os.rename(made, directory + "/" + FAILED)
    beside = directory + "/" + FAILURE + ".tmp"
    write_file(beside, record)
    os.rename(beside, directory + "/" + FAILURE)


def commit_pending(store: Store, directory: str, key: str, *, after_failure: bool = True) -> None:
    """Turn the pending record of a flushed result into its record, unless another record got there first."""
    pending = directory + "/" + PENDING
    make_read_only(directory + "/" + OUT)
    link_exclusive(pending, directory + "/" + RECORD)
    with contextlib.suppress(OSError):
        link_exclusive(pending, store.key(key))
    os.unlink(pending)
    if after_failure:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(directory + "/" + FAILURE)
        remove_tree(directory + "/" + FAILED)


def recover_pending(store: Store, directory: str, key: str) -> Outcome | None:
    """Finish what a killed worker had in place: its outcome, if it is whole, of this boot and has this key."""
    data = read_if_there(directory + "/" + PENDING)
    if data is None:
        return None
    try:
        outcome, attempts = decode_outcome(data), decode_attempts(data)
    except RecordError:
        return None
    of_this_boot = bool(attempts) and attempts[-1].boot == boot_id() != ""
    if not (of_this_boot and outcome.key == key and is_intact(directory, outcome)):
        return None
    sync_filesystem(directory)
    commit_pending(store, directory, key)
    return outcome


def displace(job_directory: str, directory: str, key: str, tmp: str) -> None:
    """Make room for a new result: the old one goes to its own place, or away if it is not whole or has the same key."""
    # It may be one file with the record: nobody must write to it again.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(directory + "/" + PENDING)
    outcome = read_outcome(directory + "/" + RECORD)
    if outcome is not None and outcome.key != key and is_intact(directory, outcome):
        aside = realization(job_directory, outcome.realization, outcome.key)
        remove_tree(aside)
        os.mkdir(aside)
        _move_result(directory, aside)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(directory + "/" + RECORD)
        if os.path.lexists(directory + "/" + OUT):
            doomed = "%s/doomed-%d" % (tmp, os.getpid())
            remove_tree(doomed)
            move_directory(directory + "/" + OUT, doomed)
            remove_tree(doomed)


def make_current(store: Store, job_directory: str, index: int, key: str) -> bool:
    """Bring a displaced result of realization 0 back to the current place; False when somebody works there."""
    aside = realization(job_directory, index, key)
    with locked_directory(job_directory):
        outcome = read_outcome(aside + "/" + RECORD)
        if index != 0 or outcome is None or not is_intact(aside, outcome):
            return False
        held = read_claim(job_directory)
        if held is not None and is_alive(held, job_directory, store.tmp):
            return False
        if os.path.lexists(job_directory + "/" + OUT) or os.path.lexists(job_directory + "/" + RECORD):
            displace(job_directory, job_directory, key, store.tmp)
        _move_result(aside, job_directory)
        remove_tree(aside)
        return True


def _move_result(source: str, target: str) -> None:
    """Give a result another place. Its record stands at both until `out` has moved, so that no kill loses it."""
    for attempt in read_attempts(source + "/" + RECORD):
        for log in (attempt.stdout, attempt.stderr):
            if isinstance(log, LogFile):
                with contextlib.suppress(FileNotFoundError):
                    os.rename("%s/%s" % (source, log.name), "%s/%s" % (target, log.name))
    link_exclusive(source + "/" + RECORD, target + "/" + RECORD)
    move_directory(source + "/" + OUT, target + "/" + OUT)
    os.unlink(source + "/" + RECORD)


def move_directory(source: str, target: str) -> None:
    """Rename a directory into another one, read-only or not: its `..` changes, for which it must be writable."""
    mode = os.lstat(source).st_mode & 0o7777
    if not mode & 0o200:
        os.chmod(source, mode | 0o200)
    os.rename(source, target)
    if not mode & 0o200:
        os.chmod(target, mode)

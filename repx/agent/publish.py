"""Results put in place: out, then a pending record, then one flush for many, then the records; runs nothing.

Whatever is killed between any two of these steps, a result is complete, or pending with its record beside it, or not
there. A pending one is taken up by whoever comes next, if the machine has not been switched off since or its outputs
have the digests that the record says. Whoever changes a job's directory holds its claim: there is no other lock.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from repx.agent.base.digest import TreeError, digest_and_size
from repx.agent.base.files import (
    discard_tree,
    link_exclusive,
    random_name,
    read_if_there,
    remove_tree,
    sync_filesystem,
    write_file,
)
from repx.agent.base.found import find_realization, is_intact
from repx.agent.base.layout import COLLECTED, FAILED, FAILURE, OUT, PENDING, RECORD, Store, realization
from repx.agent.base.modes import make_directories_read_only, make_ordinary
from repx.agent.base.names import is_job_id
from repx.agent.base.record import (
    LogFile,
    Outcome,
    RecordError,
    decode_attempts,
    decode_outcome,
    read_attempts,
    read_outcome,
)
from repx.agent.claim import ClaimFile
from repx.agent.processes import boot_id


class Batch:
    """Results in place but not flushed yet: at most `LIMIT` of them, none older than `AGE_S` seconds.

    `claim` holds the job of each until its record is there.
    """

    LIMIT = 100
    AGE_S = 0.5

    def __init__(self, store: Store, claim: ClaimFile) -> None:
        self._store = store
        self._claim = claim
        self._waiting: list[tuple[str, str, str, bool]] = []
        self._is_flushed = True

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job_directory: str, directory: str, key: str, *, after_failure: bool) -> None:
        """Remember a result whose `out` and pending record stand in `directory`."""
        self._waiting.append((job_directory, directory, key, after_failure))

    def commit(self) -> list[str]:
        """Flush the file system once, then turn each pending record into a record. OSError when the disk refuses.

        Returns the directories of results that are lost: somebody has taken their jobs from this worker, or removed
        them. What somebody else has completed in the meantime is not lost.
        """
        if not self._waiting:
            return []
        sync_filesystem(self._store.root)
        self._is_flushed = False
        lost = []
        while self._waiting:
            job_directory, directory, key, after_failure = self._waiting[0]
            is_held = self._claim.holds(job_directory)
            try:
                if is_held:
                    commit_pending(self._store, directory, key, after_failure=after_failure)
                elif not _is_complete(directory, key):
                    lost.append(directory)
            except FileNotFoundError:
                # The others are not to wait for it.
                if not _is_complete(directory, key):
                    lost.append(directory)
                is_held = self._claim.holds(job_directory)
            # Only now: what a full disk refuses is tried again.
            del self._waiting[0]
            if is_held:
                self._claim.release_held(job_directory)
        return lost

    def flush_records(self) -> None:
        """Flush the records themselves, when nothing more will come: what is told then survives a loss of power."""
        if not self._is_flushed:
            sync_filesystem(self._store.root)
            self._is_flushed = True


def publish_success(
    job_directory: str,
    index: int,
    key: str,
    made: str,
    record: bytes,
    tmp: str,
    *,
    is_new: bool = False,
    replace: bool = False,
) -> str:
    """Move a finished `out` from `made` into place, its pending record beside it; returns the realization's directory.

    Its files are read-only already. `is_new` says that nothing is kept of the job yet. A complete result under the same
    key stays, and `made` where it is, unless it is to be replaced. The job's claim is held. PermissionError where it
    cannot be made read-only, and is back at `made`.
    """
    directory = job_directory if index == 0 else realization(job_directory, index, key)
    if not is_new:
        os.makedirs(directory, exist_ok=True)
        # Also records whose outputs somebody has removed: they must not speak for the new ones.
        if any(os.path.lexists(directory + "/" + name) for name in (OUT, RECORD, PENDING)):
            if not replace and _is_complete(directory, key):
                return directory
            displace(job_directory, directory, key, tmp)
        _keep_collected(job_directory, directory, key)
    os.rename(made, directory + "/" + OUT)
    try:
        # Before anybody is told of it: whoever takes it as an input has the same files.
        make_directories_read_only(directory + "/" + OUT)
    except PermissionError:
        move_directory(directory + "/" + OUT, made)
        raise
    write_file(directory + "/" + PENDING, record)
    return directory


def publish_failure(directory: str, made: str, record: bytes) -> None:
    """Keep what a failed attempt left in `out`, and its record, in place of those of the failure before it."""
    discard_tree(directory + "/" + FAILED)
    # A script may have removed even its $out, or left in it what is somebody else's. There is a record in any case.
    with contextlib.suppress(FileNotFoundError, PermissionError):
        make_ordinary(made)
        os.rename(made, directory + "/" + FAILED)
    beside = directory + "/" + FAILURE + ".tmp"
    write_file(beside, record)
    os.rename(beside, directory + "/" + FAILURE)


def commit_pending(store: Store, directory: str, key: str, *, after_failure: bool = True) -> None:
    """Turn the pending record of a flushed result into its record. The job's claim is held."""
    pending = directory + "/" + PENDING
    link_exclusive(pending, directory + "/" + RECORD)
    with contextlib.suppress(OSError):
        _serve(pending, store, key)
    if after_failure:
        for name in (FAILURE, COLLECTED):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(directory + "/" + name)
        discard_tree(directory + "/" + FAILED)
    # Last: while it is there, whoever comes next does all of this again.
    os.unlink(pending)


def _serve(pending: str, store: Store, key: str) -> None:
    """Let others find a result by its key, where no result that they could adopt is found by it yet."""
    place = store.key(key)
    if link_exclusive(pending, place):
        return
    outcome = read_outcome(place)
    if outcome is not None and is_job_id(outcome.job):
        found = find_realization(store.job(outcome.job), outcome.realization, key)
        if found is not None and not found[1].is_private:
            return
    beside = "%s/key-%s" % (store.tmp, random_name())
    link_exclusive(pending, beside)
    os.rename(beside, place)


def pending_outcome(directory: str) -> Outcome | None:
    """What a worker that was killed had in place, if it is whole.

    It is, when this machine has not been switched off since; else when every output has the digest it is said to have.
    """
    data = read_if_there(directory + "/" + PENDING)
    if data is None:
        return None
    try:
        outcome, attempts = decode_outcome(data), decode_attempts(data)
    except RecordError:
        return None
    if not is_intact(directory, outcome):
        return None
    is_of_this_boot = bool(attempts) and attempts[-1].boot == boot_id() != ""
    return outcome if is_of_this_boot or _has_its_digests(directory, outcome) else None


def recover_pending(store: Store, directory: str) -> Outcome | None:
    """Finish what a killed worker had in place, whatever its key: its outcome. The job's claim is held."""
    outcome = pending_outcome(directory)
    if outcome is not None:
        sync_filesystem(directory)
        commit_pending(store, directory, outcome.key)
    return outcome


def displace(job_directory: str, directory: str, key: str, tmp: str) -> None:
    """Make room for a new result: the old one goes to its own place, or away if it is not whole or has the same key."""
    # It may be one file with the record: nobody must write to it again.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(directory + "/" + PENDING)
    outcome = read_outcome(directory + "/" + RECORD)
    aside = "" if outcome is None else realization(job_directory, outcome.realization, outcome.key)
    if outcome is not None and outcome.key != key and aside != directory and is_intact(directory, outcome):
        remove_tree(aside)
        os.mkdir(aside)
        _move_result(directory, aside)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(directory + "/" + RECORD)
        if os.path.lexists(directory + "/" + OUT):
            doomed = "%s/doomed-%s" % (tmp, random_name())
            move_directory(directory + "/" + OUT, doomed)
            remove_tree(doomed)


def _keep_collected(job_directory: str, directory: str, key: str) -> None:
    """Make room where a new result will stand in place of a collected one: the record of another key is kept."""
    outcome = read_outcome(directory + "/" + COLLECTED)
    if outcome is None or outcome.key == key:
        return
    aside = realization(job_directory, outcome.realization, outcome.key)
    if aside != directory and not os.path.lexists(aside + "/" + RECORD):
        os.makedirs(aside, exist_ok=True)
        os.rename(directory + "/" + COLLECTED, aside + "/" + COLLECTED)


def make_current(store: Store, job_directory: str, index: int, key: str, claim: ClaimFile) -> bool:
    """Bring a displaced result of realization 0 back to the current place; False when somebody works there."""
    aside = realization(job_directory, index, key)
    if index != 0 or not _is_complete(aside, key):
        return False
    names = claim.take(job_directory)
    if names is None:
        return False
    try:
        outcome = read_outcome(aside + "/" + RECORD)
        if outcome is None or not is_intact(aside, outcome):
            return False
        recover_pending(store, job_directory)
        if os.path.lexists(job_directory + "/" + OUT) or os.path.lexists(job_directory + "/" + RECORD):
            displace(job_directory, job_directory, key, store.tmp)
        _move_result(aside, job_directory)
        remove_tree(aside)
        return True
    finally:
        claim.release(job_directory)


def _is_complete(directory: str, key: str) -> bool:
    outcome = read_outcome(directory + "/" + RECORD)
    return outcome is not None and outcome.key == key and is_intact(directory, outcome)


def _has_its_digests(directory: str, outcome: Outcome) -> bool:
    out = directory + "/" + OUT
    try:
        return all(
            digest_and_size(out + "/" + output.path, out) == (output.digest, output.size)
            for output in outcome.outputs.values()
        )
    except (OSError, TreeError):
        return False


def _move_result(source: str, target: str) -> None:
    """Give a result another place. Its record stands at both until `out` has moved, so that no kill loses it."""
    for log in _logs(source):
        with contextlib.suppress(FileNotFoundError):
            os.rename("%s/%s" % (source, log.name), "%s/%s" % (target, log.name))
    link_exclusive(source + "/" + RECORD, target + "/" + RECORD)
    move_directory(source + "/" + OUT, target + "/" + OUT)
    os.unlink(source + "/" + RECORD)


def _logs(directory: str) -> Sequence[LogFile]:
    attempts = read_attempts(directory + "/" + RECORD)
    return [log for attempt in attempts for log in (attempt.stdout, attempt.stderr) if isinstance(log, LogFile)]


def move_directory(source: str, target: str) -> None:
    """Rename a directory into another one, read-only or not: its `..` changes, for which it must be writable."""
    mode = os.lstat(source).st_mode & 0o7777
    if not mode & 0o200:
        os.chmod(source, mode | 0o200)
    os.rename(source, target)
    if not mode & 0o200:
        os.chmod(target, mode)

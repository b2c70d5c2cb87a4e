"""Who works on a job: one claim a job, a hard link to its worker's own claim file; knows nothing of running it.

No lock is taken, for a network file system may refuse locks. A rescuer renames a dead claim aside and looks at it. When
its worker lives after all, the rescuer puts it back, and a worker that has taken the job meanwhile gives way. So a
claim counts by either of its names, and a rescuer may be killed anywhere.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence

from repx.agent.base.files import link_exclusive, random_name
from repx.agent.base.layout import CLAIM, short_name
from repx.agent.held import LEASE_S, Claim, Held, is_alive, read_claim, read_held
from repx.agent.processes import kill_group_begun_at, kill_marked, this_process
from repx.agent.worker_cgroup import kill_cgroup

HEARTBEAT_S = 10.0
"""Seconds between two heartbeats."""

_DOUBT_S = LEASE_S / 2
"""Seconds between two heartbeats from which on a worker asks whether it still has what it had."""

_MOVED = CLAIM + ".dead-"
_TRIES = 200


class ScratchGoneError(Exception):
    """Somebody has taken this worker for dead and removed its files."""


class ClaimFile:
    """The claim file of one slot. Taking a job is one link(2); the file says what the slot does now."""

    def __init__(self, path: str, tmp: str, runner: str, number: int) -> None:
        self.path = path
        self._tmp = tmp
        self._claim = Claim(runner, number, this_process())
        self._cgroup = ""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        status = os.fstat(self._descriptor)
        self._file = (status.st_dev, status.st_ino)
        self._touched = _clocks()
        self._in_doubt = False
        self.update(None, None)

    def update(self, job: str | None, group: int | None) -> None:
        """Say which job runs now, in which process group. Nothing is said at its end: the next job replaces it."""
        began = int(time.time()) if group else 0
        claim = self._claim._replace(job=job, group=group, group_began=began, cgroup=self._cgroup)
        # Padded and written in place: a reader never meets an empty file or the tail of a longer one.
        os.pwrite(self._descriptor, claim.encoded().ljust(1024), 0)
        self._note_touch()

    def say_cgroup(self, path: str) -> None:
        """Say in which control group the worker's jobs are born: whoever ends it finds them there."""
        if path != self._cgroup:
            self._cgroup = path
            self.update(None, None)

    def touch(self) -> None:
        """The heartbeat: every claim of the slot is this file, so all of them are touched."""
        os.utime(self._descriptor)
        self._note_touch()

    def is_in_doubt(self) -> bool:
        """Whether others may have taken this worker for dead since the last time that this was asked.

        True once for each such pause; the claim file has been touched then, and claims are to be asked again.
        """
        if not self._in_doubt and not _is_long_ago(self._touched):
            return False
        self.touch()
        self._in_doubt = False
        return True

    def take(self, job_directory: str, *, is_new: bool = False) -> list[str] | None:
        """Claim a job: the names of what is kept of it, or None when somebody else has it.

        `is_new` says that this worker has made the directory just now: it is not looked into.
        FileNotFoundError when there is no such directory, ScratchGoneError when this worker's files are gone.
        """
        place = job_directory + "/" + CLAIM
        try:
            if not link_exclusive(self.path, place):
                return None
        except FileNotFoundError:
            if not os.path.lexists(self.path):
                raise ScratchGoneError(self.path) from None
            raise
        if is_new:
            return []
        names = os.listdir(job_directory)
        if any(name.startswith(_MOVED) for name in names) and not self._is_alone(job_directory, names):
            self._let_go(job_directory)
            return None
        return [name for name in names if not name.startswith(CLAIM)]

    def release(self, job_directory: str) -> None:
        """Give a job back, unless somebody else has it by now."""
        if self.holds(job_directory):
            self.release_held(job_directory)

    def release_held(self, job_directory: str) -> None:
        """Give a job back of which `holds` has just said that it is this slot's."""
        os.unlink(job_directory + "/" + CLAIM)

    def holds(self, job_directory: str) -> bool:
        """Whether the claim of a job is still this slot's. One that was moved aside by mistake is taken back."""
        for _ in range(_TRIES):
            if self._is_mine(job_directory + "/" + CLAIM):
                return True
            if not self._moved(job_directory):
                # Looked at twice, for it may have been on its way back.
                return self._is_mine(job_directory + "/" + CLAIM)
            # Whoever has linked theirs meanwhile sees that this one lives, and gives way.
            if self.take(job_directory) is not None:
                return True
            time.sleep(0.001)
        self._let_go(job_directory)
        return False

    def exists(self) -> bool:
        """Whether this worker's files are still there."""
        return os.path.lexists(self.path)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _note_touch(self) -> None:
        if _is_long_ago(self._touched):
            self._in_doubt = True
        self._touched = _clocks()

    def _is_mine(self, path: str) -> bool:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return False
        if (status.st_dev, status.st_ino) == self._file:
            return True
        if status.st_nlink > 1:
            return False
        # Where there are no hard links it is a copy.
        held = read_held(path)
        return held is not None and held.claim.is_of(self._claim)

    def _moved(self, job_directory: str) -> list[str]:
        """This slot's claims of a job that a rescuer has moved aside."""
        try:
            names = os.listdir(job_directory)
        except FileNotFoundError:
            return []
        paths = [job_directory + "/" + name for name in names if name.startswith(_MOVED)]
        return [path for path in paths if self._is_mine(path)]

    def _is_alone(self, job_directory: str, names: Sequence[str]) -> bool:
        """Whether this claim has its name, and no living worker's was moved aside. Those of the dead are removed."""
        mine = []
        for name in names:
            if name.startswith(_MOVED):
                path = job_directory + "/" + name
                held = read_held(path)
                if held is not None and held.claim.is_of(self._claim):
                    mine.append(path)
                elif held is not None and is_alive(held, self._tmp):
                    return False
                else:
                    _remove(path)
        if not self._is_mine(job_directory + "/" + CLAIM):
            return False
        for path in mine:
            _remove(path)
        return True

    def _let_go(self, job_directory: str) -> None:
        """Give up a job by all the names that the claim has, some of which a rescuer may be giving back just now."""
        for _ in range(3):
            if self._is_mine(job_directory + "/" + CLAIM):
                _move_aside(job_directory, self._is_mine)
            for path in self._moved(job_directory):
                _remove(path)


def take_over(job_directory: str, tmp: str) -> bool:
    """Remove a dead claim, what its worker left running here killed first. False when it is alive after all.

    Of several rescuers any may do it; whoever then links first has the job.
    """
    held = read_claim(job_directory)
    if held is None:
        return True
    if is_alive(held, tmp):
        return False
    end_processes_of([held.claim])
    return remove_dead(job_directory, held)


def remove_dead(job_directory: str, dead: Held) -> bool:
    """Take a dead claim away. False when another one stands in its place by now."""

    def is_dead(path: str) -> bool:
        held = read_held(path)
        return held is not None and held.file == dead.file and held.claim.is_of(dead.claim)

    # Look before moving it as well, so that a living worker's claim is hardly ever moved.
    if not is_dead(job_directory + "/" + CLAIM):
        return not os.path.lexists(job_directory + "/" + CLAIM)
    return _move_aside(job_directory, is_dead)


def _move_aside(job_directory: str, is_right: Callable[[str], bool]) -> bool:
    """Take a claim away if it is the right one, which is asked when nobody can exchange it any more.

    False when it was not, and has been put back.
    """
    place, aside = job_directory + "/" + CLAIM, job_directory + "/" + _MOVED + random_name()
    try:
        os.rename(place, aside)
    except FileNotFoundError:
        return True
    if not is_right(aside):
        _put_back(place, aside)
        return False
    _remove(aside)
    return True


def end_processes_of(claims: Sequence[Claim]) -> None:
    """Kill what dead workers were running here: by control group, process group, and slot in the environment."""
    here = [claim for claim in claims if claim.process.is_here()]
    for claim in here:
        if claim.cgroup:
            kill_cgroup(claim.cgroup, claim.runner, claim.slot, claim.process)
        if claim.group is not None:
            kill_group_begun_at(claim.group, claim.group_began)
    # The claim may be older than the job: a worker can be killed between starting one and saying so.
    slots = ["/%s/slot-%d" % (claim.runner, claim.slot) for claim in here if claim.runner]
    if slots:
        kill_marked([os.fsencode(name + "/") for place in slots for name in (place, short_name(place))])
        for place in slots:
            _remove(short_name(place))


def _put_back(place: str, aside: str) -> None:
    """Give a living worker's claim its name again, if that is free; else it counts under the name it has."""
    for _ in range(_TRIES):
        try:
            if link_exclusive(aside, place):
                _remove(aside)
                return
        except FileNotFoundError:
            # Its worker has done so by itself.
            return
        time.sleep(0.001)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _clocks() -> tuple[float, float]:
    """Clocks that go on while this machine sleeps, and while this process does not get to run."""
    return time.clock_gettime(time.CLOCK_BOOTTIME), time.time()


def _is_long_ago(then: tuple[float, float]) -> bool:
    # A clock may be set back; forward it is set as well where a virtual machine was stopped.
    return any(now - before > _DOUBT_S for now, before in zip(_clocks(), then))

"""Where results are brought to: a store, through the door by which a job's come in; fetches nothing.

What has arrived whole waits for its flush with others: at most a hundred results or a quarter of a gigabyte.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from repx.agent.base.files import publish_file, remove_tree, walk
from repx.agent.base.layout import COLLECTED, FAILURE, ITEMS, OUT, PENDING, RECORD, Store, realization
from repx.agent.base.modes import make_file_read_only
from repx.agent.base.record import Attempt, Log, LogFile, Outcome, encode_record, read_attempts
from repx.agent.base.state import State
from repx.agent.claim import ClaimFile, take_over
from repx.agent.in_use import using
from repx.agent.lab.job_line import FromJob
from repx.agent.lab.run_file import Job
from repx.agent.makers import maker_name
from repx.agent.publish import Batch, move_directory, publish_success, recover_pending
from repx.agent.recovery import recover_dead_runners
from repx.agent.resolve import Given, Realized, chosen_indexes, look_up
from repx.agent.runner import temporary_claim
from repx.agent.selections import numbers_of
from repx.agent.stage_lines import StageLines
from repx.errors import StoreError
from repx.lab.directory import LabDirectory
from repx.store.sharing.sender import Parcel
from repx.store.sharing.units import Unit
from repx.store.sharing.view import Look, StoreView

_MOST_WAITING = 100
_MOST_BYTES = 1 << 28
_PATIENCE_S = 5.0
"""Seconds that another command may take to publish the same result before it counts as somebody's who runs the job."""


class _Waiting(NamedTuple):
    expected: Look
    parcel: Parcel


@dataclass
class Receiver:
    """A store that a Lab's results are brought to; `lab` is as it is seen from there. A context: it flushes at the end.

    `taken` were put in place, `collected` too, without outputs; `met` were there when they were to be, because somebody
    else has brought or made them meanwhile; `busy` are those that somebody is making there at this moment.
    """

    lab: LabDirectory
    store: Store
    taken: int = 0
    collected: int = 0
    met: int = 0
    size: int = 0
    busy: list[Look] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._view = StoreView(self.lab, self.store)
        self._lines = StageLines(self.store)
        self._staging = f"{self.store.tmp}/{maker_name('arrival')}"
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._number = 0
        self._use = contextlib.ExitStack()

    def __enter__(self) -> Receiver:
        recover_dead_runners(self.store)
        os.mkdir(self._staging, 0o700)
        # What arrives is of a Lab that nothing may keep yet.
        self._use.enter_context(using(self.store, self.lab.path))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            # What has arrived whole stays, also where the rest could not come.
            with contextlib.suppress(*([OSError] if kind is not None else [])):
                self.flush()
        finally:
            with contextlib.suppress(OSError):
                remove_tree(self._staging)
            self._use.close()

    def expect(self, unit: Unit) -> Look | None:
        """What a unit is here, and what stands of it; None while something that it takes has no result here."""
        if any(one.expected.realization for one in self._waiting) and _takes_selections(unit.job):
            # A selector counts what is in place.
            self.flush()
        return self._view.look(unit)

    def items(self, job: Job) -> list[str]:
        """The work items of a scatter-gather whose scatter has a result here."""
        return self._view.items(job)

    def new_place(self) -> str:
        """An empty directory for a result to be fetched into."""
        self._number += 1
        place = f"{self._staging}/{self._number}"
        os.mkdir(place)
        return place

    def take(self, expected: Look, parcel: Parcel) -> None:
        """Take a result that was fetched. It is in place after the next flush."""
        if not parcel.is_collected:
            for entry in walk(f"{parcel.directory}/{OUT}"):
                make_file_read_only(entry, os.lstat(entry))
            self._waiting_bytes += sum(output.size for output in parcel.outputs.values())
        made = Realized(parcel.directory, parcel.outputs, expected.resolved.key, parcel.is_collected)
        self._view.note(expected, made)
        self._waiting.append(_Waiting(expected, parcel))
        if len(self._waiting) >= _MOST_WAITING or self._waiting_bytes >= _MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Put in place what waits: claimed for a moment, flushed once, then recorded. OSError when the disk refuses."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if not waiting:
            return
        with temporary_claim(self.store) as claim:
            batch = Batch(self.store, claim)
            try:
                placed = [one for one in waiting if self._place(one, claim, batch)]
            finally:
                lost = batch.commit()
                batch.flush_records()
            if lost:
                raise StoreError(
                    f"{len(lost)} results are lost: somebody has taken their jobs meanwhile",
                    facts=[("store", self.store.root)],
                    hint="give the same command again",
                )
        whole = [one.parcel for one in placed if not one.parcel.is_collected]
        self.taken += len(whole)
        self.collected += len(placed) - len(whole)
        self.size += sum(output.size for parcel in whole for output in parcel.outputs.values())

    def _place(self, one: _Waiting, claim: ClaimFile, batch: Batch) -> bool:
        """Put one result in place, its record pending; False where one stands already, or somebody makes it."""
        job, index, resolved, _ = one.expected
        job_directory = self.store.job(job.id)
        claimed = job_directory if index == 0 else realization(job_directory, index, resolved.key)
        kept = self._claimed(claimed, claim)
        if kept is None:
            self.busy.append(one.expected)
            return False
        is_placed = is_pending = False
        try:
            if PENDING in kept:
                recover_pending(self.store, claimed)
            found = look_up(self.store, job.id, index, resolved.key)
            if found is not None and (one.parcel.is_collected or not found.is_collected):
                self.met += 1
            else:
                directory = self._publish(one, claimed)
                found = Realized(directory, one.parcel.outputs, resolved.key, one.parcel.is_collected)
                is_placed = True
                if not one.parcel.is_collected:
                    batch.add(claimed, directory, resolved.key, after_failure=True)
                    is_pending = True
            self._view.note(one.expected, found)
            return is_placed
        finally:
            if not is_pending:
                claim.release(claimed)

    def _claimed(self, directory: str, claim: ClaimFile) -> list[str] | None:
        """Claim a job: the names of what is kept of it; None when somebody else goes on working on it."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            os.makedirs(directory, exist_ok=True)
            kept = claim.take(directory)
            if kept is not None:
                return kept
            if not take_over(directory, self.store.tmp):
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.02)

    def _publish(self, one: _Waiting, claimed: str) -> str:
        """Move a result into place, its record pending; or the record alone, where its outputs were collected."""
        job, index, resolved, _ = one.expected
        parcel, job_directory = one.parcel, self.store.job(job.id)
        came = {(attempt.start, attempt.host) for attempt in parcel.attempts}
        kept = [attempt for name in (COLLECTED, FAILURE) for attempt in read_attempts(f"{claimed}/{name}")]
        earlier = [attempt for attempt in kept if (attempt.start, attempt.host) not in came]
        attempts, logs = _renumbered(parcel, len(kept))
        record = self._record(one.expected, parcel, [*earlier, *attempts])
        if parcel.is_collected:
            directory = claimed
            if index == 0 and any(os.path.lexists(f"{claimed}/{name}") for name in (RECORD, COLLECTED)):
                directory = realization(job_directory, index, resolved.key)
                os.makedirs(directory, exist_ok=True)
            if os.path.lexists(f"{parcel.directory}/{ITEMS}"):
                os.rename(f"{parcel.directory}/{ITEMS}", f"{directory}/{ITEMS}")
            publish_file(f"{directory}/{COLLECTED}", record)
        else:
            made = f"{parcel.directory}/{OUT}"
            directory = job_directory if index == 0 else realization(job_directory, index, resolved.key)
            try:
                publish_success(job_directory, index, resolved.key, made, record, self.store.tmp)
            except OSError:
                _undo(directory, made)
                raise
        for old, new in logs:
            os.rename(f"{parcel.directory}/{old}", f"{directory}/{new}")
        return directory

    def _record(self, expected: Look, parcel: Parcel, attempts: Sequence[Attempt]) -> bytes:
        """The record as this store has it: of the sender's word only the attempts and the way are taken."""
        job, index, resolved, _ = expected
        stage = job.stage.parts.gather if isinstance(job, Job) and job.stage.parts is not None else job.stage
        outcome = Outcome(
            job.id,
            stage.name,
            stage.version,
            index,
            resolved.key,
            State.SUCCEEDED,
            self.lab.lab_id,
            {name: _digests(value) for name, value in resolved.inputs.items()},
            parcel.outputs,
            chosen_indexes(resolved.inputs),
            parcel.outcome.adopted,
            parcel.outcome.is_private,
            self._numbers(expected, parcel),
        )
        way = [*parcel.way[:-1], parcel.way[-1]._replace(time=time.time())]
        return encode_record(outcome, attempts, self._lines.fingerprint(job.identity), way)

    def _numbers(self, expected: Look, parcel: Parcel) -> Mapping[str, str]:
        """What selectors compare of a result whose stage has several realizations."""
        if expected.job.stage.realizations == 1:
            return {}
        if parcel.is_collected:
            return parcel.outcome.numbers
        return numbers_of(parcel.outputs, f"{parcel.directory}/{OUT}")


def _takes_selections(job: Job) -> bool:
    return any(isinstance(source, FromJob) and source.selector is not None for source in job.inputs)


def _undo(directory: str, made: str) -> None:
    """Take back outputs whose record could not be written, for a full disk most likely. The job's claim is held."""
    with contextlib.suppress(OSError):
        if not os.path.lexists(made):
            move_directory(f"{directory}/{OUT}", made)
            os.unlink(f"{directory}/{PENDING}")


def _renumbered(parcel: Parcel, earlier: int) -> tuple[list[Attempt], list[tuple[str, str]]]:
    """The attempts of a result after those that its job has here, and new names for the files of their logs."""
    logs: list[tuple[str, str]] = []

    def renamed(log: Log, name: str) -> Log:
        if not isinstance(log, LogFile):
            return log
        if not os.path.lexists(f"{parcel.directory}/{log.name}"):
            return ""
        logs.append((log.name, name))
        return LogFile(name)

    attempts = [
        attempt._replace(
            stdout=renamed(attempt.stdout, f"stdout-{number}.log"),
            stderr=renamed(attempt.stderr, f"stderr-{number}.log"),
        )
        for number, attempt in enumerate(parcel.attempts, earlier + 1)
    ]
    return attempts, logs


def _digests(given: Given) -> object:
    if isinstance(given, list):
        return [one.digest for one in given]
    return None if given is None else given.digest

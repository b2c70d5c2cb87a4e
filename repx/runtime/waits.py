"""Says of a job that another run has in hand who that is, once a job; waits for nobody and asks no process."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable

from repx.agent.base.files import read_if_there
from repx.agent.base.layout import HEARTBEAT, Store, realization
from repx.agent.held import Claim, parse_process
from repx.lab.directory import LabDirectory
from repx.lab.titles import Titles
from repx.runtime.report import unit_title
from repx.runtime.units import Unit
from repx.store.attempts import running_claim

TOLD_AFTER_S = 1.0
"""Seconds of waiting after which it is said. Two runs meet at many short jobs, of which nobody needs to hear."""


class Waits:
    """What a run waits for, by unit. `notice` is told."""

    def __init__(self, lab: LabDirectory, store: Store, notice: Callable[[str], None]) -> None:
        self._lab = lab
        self._store = store
        self._notice = notice
        self._since: dict[int, float] = {}
        self._told: set[int] = set()

    def still(self, unit: Unit) -> None:
        """A unit is not to be had: called each time that it has been asked for in vain."""
        since = self._since.setdefault(unit.number, time.monotonic())
        if unit.number in self._told or time.monotonic() - since < TOLD_AFTER_S:
            return
        self._told.add(unit.number)
        assert unit.job is not None
        assert unit.resolved is not None
        directory = self._store.job(unit.job.id)
        if unit.index:
            directory = realization(directory, unit.index, unit.resolved.key)
        claim = running_claim(directory, self._store)
        if claim is not None:
            self._notice(f"waiting for {unit_title(unit, Titles(self._lab.job))}, {self._who(claim, unit.job.id)}")

    def _who(self, claim: Claim, job: str) -> str:
        """Who has a job, by the process that somebody would look for: the command, not its worker."""
        process = claim.process
        # Another user's is not to be read.
        with contextlib.suppress(OSError, ValueError, TypeError):
            data = read_if_there(f"{self._store.tmp}/{claim.runner}/{HEARTBEAT}")
            process = process if data is None else parse_process(json.loads(data))
        # Of a job that another job's slot has only pending, nobody says when it began.
        began = claim.group_began if claim.job == job else 0
        for_so_long = f" for {max(0, round(time.time() - began))} s" if began else ""
        return f"run by {process.host}/{process.pid}{for_so_long}"

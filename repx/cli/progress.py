"""What `repx run` shows: one live line, failures as they happen, one report at the end; starts nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

from repx.agent.base.record import Attempt
from repx.agent.base.selector import ranges
from repx.agent.base.state import ENDED, State
from repx.agent.lab.inherited import Inherited
from repx.agent.lab.run_file import Job
from repx.agent.scatter import SCATTER, PartJob
from repx.cli.bill import bill_json, bill_lines
from repx.cli.live_line import LiveLine
from repx.cli.render import print_lines
from repx.cli.streams import say
from repx.errors import plural
from repx.lab.directory import LabDirectory
from repx.lab.job_order import params_order, stage_order
from repx.lab.plain_text import last_words, plain_lines
from repx.lab.script_places import ScriptPlaces
from repx.lab.selection import stage_of as stage_name
from repx.lab.titles import Titles
from repx.runtime.bill import Bill
from repx.runtime.report import Report, reason_text, stage_of, unit_title
from repx.runtime.units import Unit
from repx.store.attempts import cause_text

NAMED = 20
"""Jobs that a dry run names."""

SORTED = 20_000
"""Jobs of a stage that a dry run sorts; of more than so many, it names the first as the Lab has them."""

TAIL_LINES = 15
"""How many lines of a failed job's log are shown at most."""

DRAWS_AT_ONCE = 20
DRAWS_PER_S = 10
"""The live line is drawn at once for DRAWS_AT_ONCE changes, and then at most DRAWS_PER_S times a second."""


class Progress:
    """The live line and the failures. Without a terminal (`quiet`) only failures and notices are printed."""

    def __init__(self, lab: LabDirectory, *, quiet: bool) -> None:
        self._quiet = quiet
        self._places = ScriptPlaces(lab)
        self._titles = Titles(lab.job)
        self._total = 0
        self._counts: Counter[State] = Counter()
        self._running: dict[int, Unit] = {}
        self._looked = time.monotonic()
        self._draws = float(DRAWS_AT_ONCE)
        self._line = LiveLine(quiet=quiet)

    def planned(self, total: int, found: int) -> None:
        """See `repx.runtime.report.Watcher`."""
        self._total = total
        self._draw()

    def started(self, unit: Unit) -> None:
        """A worker has taken a unit."""
        self._running[unit.number] = unit
        self._draw()

    def ended(self, unit: Unit) -> None:
        """A unit has ended: a failure is shown at once, with the end of its log."""
        self._running.pop(unit.number, None)
        self._counts[unit.state] += 1
        if unit.state is State.FAILED:
            self._print_failure(unit)
        self._draw()

    def notice(self, text: str) -> None:
        """Print a line above the live one."""
        self._line.clear()
        say(text, color="yellow")

    def close(self) -> None:
        """Clear the live line."""
        self._line.clear()

    def _print_failure(self, unit: Unit) -> None:
        self._line.clear()
        say(f"failed: {unit_title(unit, self._titles)}: {cause_text(unit.attempt)}", color="red")
        stream, tail = log_tail(unit)
        lines = [f"  | {self._places.told(line)}" for line in tail]
        trace = "" if unit.attempt is None else last_words(unit.attempt.trace)
        if trace:
            # Without the signs by which Bash says how deep a command stands.
            lines.append(f"  last command: {trace.lstrip('+ ')}")
        if unit.job is not None and (tail or trace):
            option = {"stderr": " --stderr", "stdout": ""}[stream] if tail else " --trace" if trace else ""
            lines.append(f"  more: repx log {unit.job.id[:12]}{option}")
        say("\n".join(lines))

    def _draw(self) -> None:
        if self._quiet:
            return
        now = time.monotonic()
        self._draws = min(DRAWS_AT_ONCE, self._draws + (now - self._looked) * DRAWS_PER_S)
        self._looked = now
        if self._draws < 1:
            return
        self._draws -= 1
        done, failed = self._counts[State.SUCCEEDED], self._counts[State.FAILED]
        line = f"{done}/{self._total} done"
        if failed:
            line += f", {failed} failed"
        if self._running:
            line += f", running {len(self._running)}: {unit_title(next(iter(self._running.values())), self._titles)}"
        self._line.show(line)


def log_tail(unit: Unit) -> tuple[str, list[str]]:
    """The stream that a failed job wrote to (stderr, or else stdout), and its last lines."""
    attempt = unit.attempt or Attempt()
    for stream, text in (("stderr", attempt.stderr), ("stdout", attempt.stdout)):
        # Of a log in a file of its own, the worker has sent the end.
        if text and isinstance(text, str):
            lines = plain_lines(text.rstrip())
            while lines and not lines[-1].strip():
                lines.pop()
            if lines:
                return stream, lines[-TAIL_LINES:]
    return "", []


def print_plan(report: Report, lab: LabDirectory, bill: Bill, changes: Sequence[str], *, as_json: bool) -> None:
    """Print for each stage how many jobs are done, how many would run, and why; the bill; the first jobs by name.

    `changes` are lines that say what has changed since earlier versions of the jobs ran.
    """
    # "At most": a job that waits for one that would run may still find a result of the same content.
    reasons: dict[str, Counter[str]] = {}
    for unit in report.units:
        if unit.reason is not None:
            reasons.setdefault(stage_of(unit), Counter())[unit.reason.value] += 1
    would_run = Counter({stage: sum(counts.values()) for stage, counts in reasons.items()})
    done = Counter(stage_of(unit) for unit in report.units if unit.found)
    if as_json:
        plan = {
            "run": would_run,
            "reuse": done,
            "because": reasons,
            "at_most": True,
            "bill": bill_json(bill),
            "changes": changes,
        }
        print_lines([json.dumps(plan)])
        return
    if not would_run:
        print_nothing_to_run(len(report.units), as_json=False)
        return
    total = sum(would_run.values())
    lines = [f"at most {total} {plural('job', total)} would run; {sum(done.values())} done"]
    order = stage_order(unit.job for unit in report.units if isinstance(unit.job, Job))
    # Parts of a scatter-gather come before the whole, which has their place.
    last = len(order)
    units = sorted(report.units, key=lambda unit: _place(unit, order, last))
    stages = dict.fromkeys(map(stage_of, units))
    width = max(len("stage"), *(len(stage) for stage in stages))
    lines.append(f"  {'stage':<{width}}  would run  done  because")
    for stage in stages:
        counts = reasons.get(stage, Counter())
        one = len(counts) == 1
        because = ", ".join(why if one else f"{count} {why}" for why, count in counts.most_common())
        lines.append(f"  {stage:<{width}}  {would_run[stage]:>9}  {done[stage]:>4}  {because}".rstrip())
    titles = Titles(lab.job)
    first = islice(_by_params(units, order, last, Inherited(lab.job)), NAMED)
    named = [(unit_title(unit, titles), unit.reason.value) for unit in first if unit.reason is not None]
    width = max(len(title) for title, _ in named)
    lines += ["", *(f"  {title:<{width}}  {reason}" for title, reason in named)]
    if total > len(named):
        lines.append(f"  … and {total - len(named)} more")
    if changes:
        lines += ["", "since earlier ones ran:", *(f"  {plain_lines(one)[0]}" for one in changes)]
    lines += ["", "the bill:", *bill_lines(bill)]
    print_lines(lines)


def _place(unit: Unit, order: Mapping[str, int], last: int) -> tuple[int, int, int]:
    if isinstance(unit.job, PartJob):
        return unit.run, order.get(stage_name(unit.job.whole), last), 0 if unit.job.step == SCATTER else 1
    return unit.run, order.get(stage_of(unit), last), 2


def _by_params(units: Sequence[Unit], order: Mapping[str, int], last: int, inherited: Inherited) -> Iterator[Unit]:
    """Those of the sorted units that would run, of each place by params: as a listing has them."""

    def key(unit: Unit) -> tuple[Any, ...]:
        return (*params_order(inherited.of(unit.job).one), unit.index) if isinstance(unit.job, Job) else ()

    would_run = (unit for unit in units if unit.reason is not None)
    for _, group in groupby(would_run, key=lambda unit: _place(unit, order, last)):
        found = list(group)
        yield from sorted(found, key=key) if len(found) <= SORTED else found


def print_report(report: Report, lab: LabDirectory, *, as_json: bool) -> None:
    """Print the outcome of a run: counts, and a line for each failure."""
    counts = {state.value: report.count(state) for state in State if state in ENDED}
    titles = Titles(lab.job)
    if as_json:
        failures = [
            {
                "job": unit.name,
                "title": unit_title(unit, titles),
                "cause": cause_text(unit.attempt),
                "exit": unit.attempt.exit if unit.attempt else None,
            }
            for unit in report.failed
        ]
        done = {
            "jobs": len(report.units),
            "found": report.found,
            "adopted": report.adopted,
            "collected": report.collected,
            "retried": report.retried,
            "added": [unit.name for unit in report.added if unit.state is State.SUCCEEDED],
            **counts,
            "failures": failures,
            "trouble": report.trouble,
            "drift": report.drift,
        }
        say(json.dumps(done), is_answer=True)
        return
    ran = report.count(State.SUCCEEDED) - report.found - report.adopted
    if ran + report.adopted == 0 and report.succeeded:
        print_nothing_to_run(len(report.units), as_json=False)
        _note_collected(report)
        return
    line = f"{ran} {plural('job', ran)} ran"
    if report.adopted:
        line += f", {report.adopted} took the result of another that had the same inputs"
    if report.found:
        line += f", {report.found} {'was' if report.found == 1 else 'were'} done"
    if report.retried:
        line += f", {report.retried} took more than one attempt"
    for state in (State.FAILED, State.BLOCKED, State.CANCELLED):
        if report.count(state):
            line += f", {report.count(state)} {state.value}"
    lines = [line, *_added_lines(report)]
    places = ScriptPlaces(lab)
    for unit in report.failed:
        tried = f" (attempt {unit.retries + 1})" if unit.retries else ""
        lines.append(f"  failed: {unit_title(unit, titles)}{tried}: {reason_text(unit.attempt, places.told)}")
    lines += [f"  {text}" for text in report.trouble]
    lines += [f"  not as the Lab was made with: {text}" for text in report.drift]
    say("\n".join(lines), is_answer=True)
    _note_collected(report)


def _note_collected(report: Report) -> None:
    if report.collected:
        count = f"the outputs of {report.collected} {plural('job', report.collected)} that are done were collected"
        say(f"{count}; to have them again: repx run --outputs [RUN|STAGE|JOB]")


def _added_lines(report: Report) -> Iterator[str]:
    """For each stage which realizations its jobs have been given, and who does not see them."""
    by_stage: dict[str, list[Unit]] = {}
    for unit in report.added:
        if unit.state is State.SUCCEEDED:
            by_stage.setdefault(stage_of(unit), []).append(unit)
    for stage, units in by_stage.items():
        which = ranges({unit.index for unit in units})
        line = f"  added: realization {which} of {stage}"
        line += f", to {len(units)} jobs" if len(units) > 1 else ""
        if any(unit.job is not None and unit.job.stage.realizations == 1 for unit in units):
            line += "; what takes it without a selector keeps realization 0"
        yield line


def print_nothing_to_run(jobs: int, *, as_json: bool) -> None:
    """Print that all jobs are done already."""
    if as_json:
        counts = {state.value: jobs if state is State.SUCCEEDED else 0 for state in State if state in ENDED}
        told = json.dumps(
            {"jobs": jobs, "found": jobs, "adopted": 0, "collected": 0, **counts, "failures": [], "trouble": []}
        )
    else:
        told = f"all {jobs} jobs are done; nothing to run" if jobs != 1 else "the one job is done; nothing to run"
    say(told, is_answer=True)

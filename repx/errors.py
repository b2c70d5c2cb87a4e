"""Every error repx raises on purpose: what is wrong, where, and what to do next; does not know how it is printed.

RepxError                 exit code 2, headline, facts, hint
├── DefinitionError       the experiment file says something that cannot be
├── CheckError            checks found problems in stage scripts (carries all findings)
├── SoftwareError         a package is unknown, missing or has changed
├── LabError              a Lab is missing, broken, tampered with or of an unknown format
├── StoreError            the store cannot be read or written
├── UsageError            an argument of a command names nothing, or more than one thing
├── JobsFailedError       exit code 1: the command worked, some jobs did not
└── InterruptedRunError   exit code 130: stopped by the user or by a signal
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A place in a file of the user: the path as the user gave it, the line counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One complaint of a check, with its place; `remedy` is empty when there is nothing to suggest."""

    stage: str
    location: SourceLocation
    message: str
    remedy: str = ""


class RepxError(Exception):
    """A user's mistake, or a fault of the machine: a headline, aligned facts and one hint."""

    exit_code = 2

    def __init__(
        self,
        headline: str,
        *,
        facts: Sequence[tuple[str, object]] = (),
        hint: str = "",
        location: SourceLocation | None = None,
    ) -> None:
        super().__init__(headline)
        self.headline = headline
        self.facts = tuple(facts)
        self.hint = hint
        self.location = location

    def lines(self) -> list[str]:
        """The error as plain text lines: headline, facts in two aligned columns, hint."""
        facts = ([("at", self.location)] if self.location else []) + list(self.facts)
        width = max((len(label) for label, _ in facts), default=0)
        body: list[str] = []
        for label, value in facts:
            first, *rest = str(value).split("\n")
            body.append(f"  {label:<{width}}  {first}")
            body.extend(f"  {'':<{width}}  {line}" for line in rest)
        return [f"error: {self.headline}", *body, *([f"hint: {self.hint}"] if self.hint else [])]

    def __str__(self) -> str:
        return "\n".join(self.lines())[len("error: ") :]

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows (IPython asks for it): the place is the user's, frames of repx say nothing."""
        return self.lines()


class DefinitionError(RepxError):
    """The experiment file says something that cannot be."""


class CheckError(RepxError):
    """Checks found problems in stage scripts; all of them, of all stages, are in `findings`."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        stages = len({finding.stage for finding in findings})
        super().__init__(
            f"{len(findings)} {plural('finding', len(findings))} in {stages} {plural('stage', stages)}",
            hint="nothing was written; correct these and run the same command again",
        )

    def lines(self) -> list[str]:
        """The headline, then a block for each finding, then the hint."""
        body: list[str] = []
        for finding in self.findings:
            body.append(f"  {finding.location}: {finding.stage}: {finding.message}")
            if finding.remedy:
                body.append(f"      {finding.remedy}")
        return [f"error: {self.headline}", *body, f"hint: {self.hint}"]


class SoftwareError(RepxError):
    """A package is unknown, missing or has changed."""


class LabError(RepxError):
    """A Lab is missing, broken, tampered with or of an unknown format."""


class StoreError(RepxError):
    """The store cannot be read or written."""


class UsageError(RepxError):
    """An argument of a command names nothing, or more than one thing."""


class JobsFailedError(RepxError):
    """The command worked; some jobs did not."""

    exit_code = 1


class InterruptedRunError(RepxError):
    """The user or a signal stopped the command; nothing finished is lost."""

    exit_code = 130


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint that names the valid names near to `name`, or all of them when none is near and they are few."""
    names = sorted(set(valid))
    suggestion = did_you_mean(name, names)
    if suggestion or not names:
        return suggestion
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"valid names: {shown}"


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """A hint that names the valid names near to `name`, at most three; empty when none is near."""
    close = near_names(name, valid)
    return f"did you mean {' or '.join(close)}?" if close else ""


def near_names(name: str, valid: Iterable[str]) -> list[str]:
    """The valid names that somebody who writes `name` may well mean, the nearest three: never a far-fetched one.

    Near is what differs in at most one letter of three (of five, where valid names are so many that some are near by
    chance), or has the same words: `seed` for `train.seed`, `Sum_txt` for `sum.txt`, `plot` for `plotter`.
    """
    names = set(valid)
    written = _words(name)
    found = []
    for one in names:
        meant = _words(one)
        longest = max(len(written), len(meant))
        allowed = longest // (3 if len(names) <= _MANY else 5)
        distance = _distance(written, meant, allowed)
        if distance <= allowed:
            found.append((distance, one))
        elif len(written) > _SHORT and (f".{written}." in f".{meant}." or _begins(written, meant)):
            found.append((longest, one))
    return [one for _, one in sorted(found)[:_SUGGESTED]]


_MANY = 200
"""Names among which a short one is near to another by chance: the commands of a machine are thousands."""

_SHORT = 2
"""Letters of a name that may stand in many others by chance."""

_SUGGESTED = 3


def _words(name: str) -> str:
    return re.sub(r"[-_.\s]+", ".", name).casefold()


def _begins(written: str, meant: str) -> bool:
    """Whether one is the half of the other, or more, from its beginning."""
    short, long = sorted((written, meant), key=len)
    return long.startswith(short) and 2 * len(short) >= len(long)


def _distance(first: str, second: str, limit: int) -> int:
    """Letters to add, drop, change or swap with their neighbour, to make one word of the other; stops above `limit`.

    The optimal string alignment of Damerau and Levenshtein.
    """
    if abs(len(first) - len(second)) > limit:
        return limit + 1
    before: list[int] = []
    line = list(range(len(second) + 1))
    for at, letter in enumerate(first, 1):
        before, above, line = line, before, [at]
        for place, other in enumerate(second, 1):
            cost = min(before[place] + 1, line[place - 1] + 1, before[place - 1] + (letter != other))
            if at > 1 and place > 1 and letter == second[place - 2] and first[at - 2] == other:
                cost = min(cost, above[place - 2] + 1)
            line.append(cost)
        if min(line) > limit:
            return limit + 1
    return line[-1]


def plural(noun: str, count: int) -> str:
    """`noun`, with an s unless there is exactly one."""
    return noun if count == 1 else noun + "s"

"""The nearest earlier job of each job, by the fewest differing lines, never pair by pair; pure: reads nothing.

Earlier jobs of a stage are held by the digest of their stage's lines, of which there are few. Among those with the same
digest, a job with equal lines is found at once. Otherwise the lines whose texts no earlier job has must differ; the
others are looked up together, then with one of them left out. So each job costs a few look-ups, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from repx.agent.base.fingerprint import Line
from repx.analysis.differences import by_label, compare

GROUPS = 12
"""Digests of a stage's lines that are looked at: the nearest ones."""

_Items = tuple[tuple[str, str], ...]


class JobLines(NamedTuple):
    """A job by its own lines. `stage` is the digest of its stage's; `name` the stage's name."""

    id: str
    name: str
    stage: str
    params: tuple[Line, ...]
    inputs: tuple[Line, ...]

    def own(self, renamed: Mapping[str, str] | None = None) -> dict[str, str]:
        """Its lines by label; a job that an input comes from has another id where `renamed` says so."""
        if not self.inputs:
            # A param has one line.
            return dict(self.params)
        inputs = [(label, _renamed(text, renamed)) for label, text in self.inputs] if renamed else self.inputs
        return by_label((*self.params, *inputs))


class Counterpart(NamedTuple):
    """An earlier job, and how many lines differ."""

    job: JobLines
    distance: int


StageLinesOf = Callable[[str], Sequence[Line]]


class EarlierJobs:
    """The earlier jobs of one stage name. Of equally near ones, the first of those given is taken."""

    def __init__(self, jobs: Iterable[JobLines], lines_of: StageLinesOf, age: Callable[[str], float]) -> None:
        """`lines_of` gives a stage's lines by their digest, `age` how long ago that was first used."""
        self._groups: dict[str, _Group] = {}
        for job in jobs:
            group = self._groups.get(job.stage)
            if group is None:
                group = self._groups[job.stage] = _Group()
            group.jobs.append(job)
        self._lines_of = lines_of
        self._age = age
        self._ranked: dict[str, list[tuple[int, _Group]]] = {}

    def nearest(self, job: JobLines, lines: Sequence[Line], renamed: Mapping[str, str]) -> Counterpart | None:
        """The earlier job with the fewest lines that differ; `lines` are those of its stage."""
        own = job.own(renamed)
        best: Counterpart | None = None
        for distance, group in self._ranking(job.stage, lines):
            if best is not None and distance >= best.distance:
                break
            found, own_distance = group.nearest(own)
            if best is None or distance + own_distance < best.distance:
                best = Counterpart(found, distance + own_distance)
        return best

    def _ranking(self, digest: str, lines: Sequence[Line]) -> list[tuple[int, _Group]]:
        if digest not in self._ranked:
            distances = [(len(compare(self._lines_of(one), lines)), self._age(one), one) for one in self._groups]
            self._ranked[digest] = [(distance, self._groups[one]) for distance, _, one in sorted(distances)[:GROUPS]]
        return self._ranked[digest]


class _Group:
    """Earlier jobs whose stages have the same lines."""

    def __init__(self) -> None:
        self.jobs: list[JobLines] = []
        self._texts: dict[str, set[str]] | None = None
        self._without: dict[tuple[str, ...], dict[_Items, JobLines]] = {}

    def nearest(self, own: Mapping[str, str]) -> tuple[JobLines, int]:
        """The nearest of them and how many lines differ."""
        found = self._look_up(own, ())
        if found is not None:
            return found, 0
        texts = self._known_texts()
        must = tuple(label for label, text in own.items() if text not in texts.get(label, ()))
        must += tuple(label for label in texts if label not in own)
        found = self._look_up(own, must) if must else None
        if found is not None:
            return found, len(must)
        for label in own:
            if label not in must:
                found = self._look_up(own, (*must, label))
                if found is not None:
                    return found, len(must) + 1
        # Far from all: the first will do, for everything is told of it.
        first = self.jobs[0]
        return first, len(compare(first.own().items(), own.items()))

    def _look_up(self, own: Mapping[str, str], without: tuple[str, ...]) -> JobLines | None:
        if without not in self._without:
            index: dict[_Items, JobLines] = {}
            for job in self.jobs:
                index.setdefault(_items(job.own(), without), job)
            self._without[without] = index
        return self._without[without].get(_items(own, without))

    def _known_texts(self) -> dict[str, set[str]]:
        if self._texts is None:
            self._texts = {}
            for job in self.jobs:
                for label, text in job.own().items():
                    self._texts.setdefault(label, set()).add(text)
        return self._texts


def _items(own: Mapping[str, str], without: tuple[str, ...]) -> _Items:
    return tuple((label, text) for label, text in own.items() if label not in without)


def _renamed(text: str, renamed: Mapping[str, str]) -> str:
    if text.startswith("job "):
        kind, identity, rest = text.split(" ", 2)
        return f"{kind} {renamed.get(identity, identity)} {rest}"
    return text

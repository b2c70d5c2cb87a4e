"""What people call a job: its stage, what tells it from the others of that, the start of its id; reads no results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from repx.agent.lab.inherited import Inherited
from repx.agent.lab.run_file import Job, RunFile
from repx.agent.scatter import PartJob
from repx.lab.params import shown
from repx.lab.selection import stage_of

LOOKED_AT = 200
"""Jobs of a stage that are looked at for what tells them apart."""

TITLE_PARAMS = 60
"""Characters of a job's params that stand beside its name."""


class Titles:
    """What to call jobs: `train[lr=0.1,seed=1] 1q1yg2sxwbnh`. What tells the jobs of a stage apart comes first.

    `find` gives a job of another run by its id, for the params that are inherited from it.
    """

    def __init__(self, find: Callable[[str], Job | None]) -> None:
        self._inherited = Inherited(find)
        self._varying: dict[tuple[str, str], list[str]] = {}

    def of(self, job: Job | PartJob, index: int = 0) -> str:
        """The title of a realization."""
        if isinstance(job, PartJob):
            params = dict(sorted(job.params.items()))
            told = [] if job.item is None else [f"item={job.item}"]
        else:
            varying = self._names(job)
            has = self._inherited.of(job).one
            params = {name: has[name] for name in varying if name in has} | dict(sorted(job.params.items()))
            told = []
        text = ",".join([*told, *(f"{name}={shown(value)}" for name, value in params.items())])
        if len(text) > TITLE_PARAMS:
            text = text[: TITLE_PARAMS - 1] + "…"
        number = f"#{index}" if index else ""
        return f"{job.stage.name}{f'[{text}]' if text else ''} {job.id[:12]}{number}"

    def _names(self, job: Job) -> list[str]:
        """The params in which jobs of this one's stage differ: looked for among the first of its run."""
        key = (job.run.name, job.stage.name)
        if key not in self._varying:
            found = (job.run.job(one) for one in islice(_ids_of(job.run, job.stage.name), LOOKED_AT))
            params = [self._inherited.of(one).one for one in found if one is not None]
            values: dict[str, set[str]] = {}
            for one in params:
                for name, value in one.items():
                    values.setdefault(name, set()).add(shown(value))
            self._varying[key] = sorted(name for name, texts in values.items() if len(texts) > 1)
        return self._varying[key]


def _ids_of(run: RunFile, stage: str) -> Iterator[str]:
    return (identity for identity in run.ids() if stage_of(identity) == stage)

"""The params that a job has from everything upstream, and those its upstreams do not agree on; knows no store.

What is inherited has a value only where all that a job takes from agree. Otherwise the name stands for all values, and
each is told by the way it comes: `train.seed` is the seed of what comes in by the input `train`, or that of the stage
`train` where the values come of different stages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Callable, NamedTuple, TypeVar

from repx.agent.base.digest import canonical_json
from repx.agent.lab.job_line import FromJob, Stored
from repx.agent.lab.run_file import Job

Values = dict[str, Any]
"""Values by identity."""

_Seen = TypeVar("_Seen")
_PLAIN = frozenset([int, str, bool])


class Effective(NamedTuple):
    """What a job has: `one` are names with a single value, `several` those with more, each value by its identity.

    A stored path that it takes as an input counts as a param of that name: what is swept tells jobs apart.
    """

    one: Mapping[str, Any]
    stages: Mapping[str, str]
    """For a name in `one` that is not qualified, the stage whose param it is."""
    several: Mapping[str, Values]

    def values(self, name: str) -> list[Any]:
        """All values under a name."""
        return [self.one[name]] if name in self.one else list(self.several.get(name, {}).values())


class Inherited:
    """The effective params of jobs, each looked at once. `find` gives a job of another run by its id."""

    def __init__(self, find: Callable[[str], Job | None]) -> None:
        self._find = find
        self._known: dict[str, Effective] = {}
        self._of_stages: dict[str, dict[str, Values]] = {}

    def of(self, job: Job) -> Effective:
        """What a job has; its own params win."""
        return self._visit(job, self._known, self._effective)

    def values(self, job: Job, name: str) -> Sequence[Any]:
        """All values that a job has under a name; of `a.b` those of b that come by the input a, or of the stage a."""
        found = self.of(job).values(name)
        if found or "." not in name:
            return found
        first, _, rest = name.partition(".")
        by_input = [source.job for source in job.inputs if isinstance(source, FromJob) and source.input == first]
        if not by_input:
            return list(self._of_stage(job, name).values())
        found_by: Values = {}
        for one in by_input:
            upstream = self.upstream(job, one)
            found_by.update(_by_identity(self.values(upstream, rest) if upstream is not None else ()))
        return list(found_by.values())

    def upstream(self, job: Job, identity: str) -> Job | None:
        """The job of an id that `job` takes from."""
        return job.run.job(identity) or self._find(identity)

    def _of_stage(self, job: Job, name: str) -> Values:
        """The values of `stage.param` in the nearest jobs of that stage: the job itself, or whatever it takes from."""
        stage, _, param = name.partition(".")
        known = self._of_stages.setdefault(name, {})

        def look(one: Job, above: Sequence[Values]) -> Values:
            if one.stage.name == stage and param in one.params:
                return _by_identity([one.params[param]])
            return above[0] if len(above) == 1 else {key: value for each in above for key, value in each.items()}

        return self._visit(job, known, look)

    def _visit(self, job: Job, known: dict[str, _Seen], look: Callable[[Job, Sequence[_Seen]], _Seen]) -> _Seen:
        """Look at everything upstream of a job, then at the job. Without recursion: chains are long."""
        stack = [job]
        opened: set[str] = set()
        while stack:
            top = stack[-1]
            if top.id in known:
                stack.pop()
                continue
            ids = top.upstream_ids()
            waiting = [one for each in ids if each not in known and (one := self.upstream(top, each)) is not None]
            if waiting:
                if top.id in opened:
                    raise top.run.circle(top.id)
                opened.add(top.id)
                stack.extend(waiting)
                continue
            known[top.id] = look(top, [known[each] for each in ids if each in known])
            stack.pop()
        return known[job.id]

    def _effective(self, job: Job, above: Sequence[Effective]) -> Effective:
        own, several_own = _own(job)
        if not above:
            return Effective(own, dict.fromkeys(own, job.stage.name), several_own)
        merged = above[0] if len(above) == 1 else _merged(above)
        one, stages, several = dict(merged.one), dict(merged.stages), merged.several
        if len(above) > 1:
            for name in several:
                if "." not in name:
                    one.update(self._ways(job, name))
        for name, value in own.items():
            before = stages.get(name, "")
            # A stage that follows itself tells nothing by its name.
            if before not in ("", job.stage.name) and name in one and not is_same(one[name], value):
                one["%s.%s" % (before, name)] = one[name]
            one.pop("%s.%s" % (job.stage.name, name), None)
        for name in several_own:
            one.pop(name, None)
        one.update(own)
        stages.update(dict.fromkeys(own, job.stage.name))
        if several_own or not own.keys().isdisjoint(several):
            several = {name: values for name, values in several.items() if name not in own}
            several.update(several_own)
        return Effective(one, stages, several)

    def _ways(self, job: Job, name: str) -> dict[str, Any]:
        """The values of a param that upstreams do not agree on, by stage and by input, where each way has one."""
        by_stage: dict[str, list[Any]] = {}
        by_input: dict[str, list[Any]] = {}
        for source in job.inputs:
            above = self._known.get(source.job) if isinstance(source, FromJob) else None
            if above is None:
                continue
            if name in above.one:
                by_stage.setdefault(above.stages[name], []).append(above.one[name])
                by_input.setdefault(source.input, []).append(above.one[name])
            elif name in above.several:
                # Several already; two are enough to say so.
                by_input.setdefault(source.input, []).extend(islice(above.several[name].values(), 2))
        ways = {**by_stage, **by_input}
        single = {way: values[0] for way, values in ways.items() if all(is_same(values[0], one) for one in values)}
        return {"%s.%s" % (way, name): value for way, value in single.items()}


def is_same(one: Any, other: Any) -> bool:
    """Whether two values of params are the same one: 1, 1.0 and True are three."""
    if type(one) in _PLAIN and type(one) is type(other):
        return bool(one == other)
    return canonical_json(one) == canonical_json(other)


def _own(job: Job) -> tuple[dict[str, Any], dict[str, Values]]:
    """The params of a job, the stored paths it takes (of an input that takes several, all of them), its pipeline's
    arguments."""
    paths: dict[str, list[str]] = {}
    for source in job.inputs:
        if isinstance(source, Stored):
            paths.setdefault(source.input, []).append(source.place)
    one = {name: places[0] for name, places in paths.items() if len(places) == 1}
    several = {name: {place: place for place in places} for name, places in paths.items() if len(places) > 1}
    return {**job.arguments, **one, **job.params}, several


def _merged(above: Sequence[Effective]) -> Effective:
    """What upstreams have together."""
    one: dict[str, Any] = {}
    stages: dict[str, str] = {}
    several: dict[str, Values] = {}
    for each in above:
        for name, value in each.one.items():
            if name in several:
                several[name][canonical_json(value)] = value
            elif name not in one:
                one[name] = value
                stages[name] = each.stages.get(name, "")
            elif not is_same(one[name], value):
                several[name] = _by_identity([one.pop(name), value])
        for name, values in each.several.items():
            mine = several.setdefault(name, {})
            if name in one:
                mine.update(_by_identity([one.pop(name)]))
            mine.update(values)
    return Effective(one, stages, several)


def _by_identity(values: Sequence[Any]) -> Values:
    return {canonical_json(value): value for value in values}

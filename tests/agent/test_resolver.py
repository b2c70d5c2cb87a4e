"""What stands of a Lab's jobs today: pulled through their inputs, told otherwise, and why a job is to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from repx import Run, soft
from repx.agent.base.layout import FAILURE, RECORD, Store, realization
from repx.agent.lab.run_file import Job
from repx.agent.resolve import FileInput, Reason, Resolved, ResultsInput
from repx.agent.resolver import AWAITED, Resolver
from repx.agent.scatter import ScatterGather
from repx.lab.directory import LabDirectory
from tests.runtime.world import tree
from tests.small_labs import job_of, make, parts, put_record, put_result, report, small_lab, take, twice


def both() -> None:
    take(data=make().data)


class Place:
    """A Lab of some runs, its store, and a resolver that has seen nothing yet."""

    def __init__(self, root: Path, runs: Sequence[Run]) -> None:
        self.lab: LabDirectory = small_lab(root, runs)
        self.store = Store(str(root / "store"))
        self.root = root
        self.again()

    def again(self) -> Resolver:
        """A resolver that has seen nothing."""
        self.resolver = Resolver(self.lab, self.store)
        return self.resolver

    def resolved(self, job: Job, index: int = 0) -> Resolved:
        found = self.again().resolve(job, index)
        assert found is not None
        return found

    def put(self, job: Job, text: str, index: int = 0) -> None:
        files = dict.fromkeys(job.stage.outputs, text)
        put_result(self.store, job, self.resolved(job, index), files, index)


def test_a_job_is_resolved_when_what_it_takes_from_has_a_result(tmp_path: Path) -> None:
    place = Place(tmp_path, [Run("run", both)])
    first, second = job_of(place.lab, "make"), job_of(place.lab, "take")
    assert place.resolver.resolve(second) is None
    assert place.resolver.outcome(second) is None
    place.put(first, "one")
    assert place.resolver.resolve(second) == place.resolved(second)
    (value,) = place.resolved(second).inputs.values()
    assert isinstance(value, FileInput)
    assert (value.file, Path(value.path).read_text()) == ("data.txt", "one")


def test_a_result_counts_while_its_inputs_are_those_of_today(tmp_path: Path) -> None:
    place = Place(tmp_path, [Run("run", both)])
    first, second = job_of(place.lab, "make"), job_of(place.lab, "take")
    place.put(first, "one")
    place.put(second, "of one")
    assert place.again().outcome(second) is not None
    (Path(place.store.job(first.id)) / RECORD).unlink()
    assert place.again().outcome(second) is None
    place.put(first, "two")
    assert place.again().outcome(second) is None
    place.put(first, "one")
    assert place.again().outcome(second) is not None


def test_what_was_seen_stays_until_something_is_noted(tmp_path: Path) -> None:
    place = Place(tmp_path, [Run("run", both)])
    first, second = job_of(place.lab, "make"), job_of(place.lab, "take")
    resolver = place.again()
    assert resolver.outcome(first) is None
    put_result(place.store, first, place.resolved(first), {"data": "one"})
    assert resolver.outcome(first) is None
    assert resolver.resolve(second) is None
    outcome = place.again().outcome(first)
    resolver.note(first.id, outcome)
    assert resolver.outcome(first) == outcome
    assert resolver.resolve(second) is not None
    resolver.note(first.id, AWAITED)
    assert (resolver.outcome(first), resolver.resolve(second)) == (None, None)


def test_outputs_that_a_forced_run_has_put_under_the_same_key_are_seen(tmp_path: Path) -> None:
    place = Place(tmp_path, [Run("run", both)])
    first, second = job_of(place.lab, "make"), job_of(place.lab, "take")
    resolver = place.again()
    key = place.resolved(first).key
    place.put(first, "one")
    resolver.note_key(first.id, key)
    before = resolver.resolve(second)
    out = Path(place.store.job(first.id)) / "out"
    out.rename(tmp_path / "displaced")
    place.put(first, "two")
    resolver.note_key(first.id, key)
    after = resolver.resolve(second)
    assert before is not None
    assert after is not None
    assert before.key != after.key
    assert after == place.resolved(second)


def test_what_was_missing_is_looked_for_again_when_told_so(tmp_path: Path) -> None:
    place = Place(tmp_path, [Run("run", both)])
    first, second = job_of(place.lab, "make"), job_of(place.lab, "take")
    resolver = place.again()
    assert resolver.resolve(second) is None
    put_result(place.store, first, place.resolved(first), {"data": "one"})
    assert resolver.resolve(second) is None
    resolver.forget_missing()
    assert resolver.resolve(second) == place.resolved(second)


def test_each_realization_has_a_key_and_a_place_of_its_own(tmp_path: Path) -> None:
    place = Place(tmp_path, [Run("run", twice)])
    job = job_of(place.lab, "twice")
    place.put(job, "second", index=1)
    resolver = place.again()
    assert resolver.outcome(job) is None
    found = resolver.outcome(job, 1)
    assert found is not None
    assert found.directory == realization(place.store.job(job.id), 1, found.key)
    assert found.key != place.resolved(job).key


def test_the_results_of_a_run_say_what_failed_and_are_open_while_a_job_is_awaited(tmp_path: Path) -> None:
    first = Run("first", make, params={"n": [1, 2]})
    place = Place(tmp_path, [first, Run("last", report, after=[soft(first)])])
    one, two, last = job_of(place.lab, "make", n=1), job_of(place.lab, "make", n=2), job_of(place.lab, "report")
    place.put(one, "one")
    resolver = place.again()
    resolver.note(one.id, resolver.outcome(one))
    resolver.note(two.id, AWAITED)
    assert resolver.resolve(last) is None
    resolver.note(two.id, None)
    resolved = resolver.resolve(last)
    assert resolved is not None
    (value,) = resolved.inputs.values()
    results = resolver.results("first")
    assert results is not None
    assert value == ResultsInput("first", results.path(place.store), results.digest)
    assert [line.count('"state":"failed"') for line in results.text.splitlines()[1:-1]] == [0, 1]


def test_the_same_results_from_elsewhere_have_the_same_digest_and_another_text(tmp_path: Path) -> None:
    first = Run("first", make)
    runs = [first, Run("last", report, after=[first])]
    found = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        place = Place(tmp_path / name, runs)
        place.put(job_of(place.lab, "make"), "one")
        resolver = place.again()
        resolver.resolve(job_of(place.lab, "report"))
        found.append(resolver.results("first"))
    here, there = found
    assert here is not None
    assert there is not None
    assert here.digest == there.digest
    assert here.text != there.text


def test_a_scatter_gather_is_resolved_when_all_its_parts_have_results(tmp_path: Path) -> None:
    place = Place(tmp_path, [Run("run", parts)])
    whole = job_of(place.lab, "parts")
    seen = []
    for _ in range(10):
        resolver = place.again()
        if resolver.resolve(whole) is not None:
            break
        inside = resolver.scatter_gather(whole)
        assert inside is not None
        seen.append(put_next(place, inside))
    assert seen == ["scatter", "work 1", "finish 1", "work 2", "finish 2"]
    (value,) = place.resolved(whole).inputs.values()
    assert isinstance(value, list)
    assert [one.file for one in value] == ["end.txt", "end.txt"]


def put_next(place: Place, inside: ScatterGather) -> str:
    """A result for the first part that has none and could run; its name."""
    for part in inside.walk(place.resolver.look_up_part):
        if part.job is not None and part.resolved is not None and part.outcome is None:
            text = "[1, 2]" if part.item is None else f"{part.step} of {part.item}"
            put_result(place.store, part.job, part.resolved, dict.fromkeys(part.stage.outputs, text))
            assert place.resolver.resolve_part(inside.job, part.step, part.item) == (part.job, part.resolved)
            return part.step if part.item is None else f"{part.step} {part.item}"
    raise AssertionError("nothing to put")


def test_why_a_job_is_to_run(tmp_path: Path) -> None:
    place = Place(tmp_path, [Run("run", both)])
    first, second = job_of(place.lab, "make"), job_of(place.lab, "take")
    directory = Path(place.store.job(first.id))

    def why(job: Job) -> Reason:
        resolver = place.again()
        return resolver.reason(job, resolver.resolve(job))

    assert why(second) is Reason.UPSTREAM
    assert why(first) is Reason.NEW
    put_record(directory / FAILURE, place.resolved(first).key)
    assert why(first) is Reason.FAILED
    put_record(directory / FAILURE, "k" * 32)
    assert why(first) is Reason.CHANGED
    place.put(first, "one")
    assert why(second) is Reason.NEW
    (directory / "out" / "data.txt").unlink()
    assert why(first) is Reason.GONE
    put_record(directory / RECORD, "k" * 32)
    (directory / FAILURE).unlink()
    assert why(first) is Reason.CHANGED


def test_looking_writes_nothing(tmp_path: Path) -> None:
    first = Run("first", make)
    place = Place(tmp_path, [first, Run("last", report, after=[first])])
    place.put(job_of(place.lab, "make"), "one")
    before = tree(tmp_path)
    resolver = place.again()
    for job in place.lab.jobs():
        resolver.reason(job, resolver.resolve(job))
        resolver.outcome(job)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("count", [3000])
def test_a_long_chain_is_pulled_without_recursion(tmp_path: Path, count: int) -> None:
    def chain() -> None:
        last = make().data
        for number in range(count):
            last = take(data=last, n=number).more

    place = Place(tmp_path, [Run("run", chain)])
    assert place.resolver.outcome(job_of(place.lab, "take", n=count - 1)) is None

"""What a job waits for because its run comes after others, and when those block it."""

from __future__ import annotations

from pathlib import Path

import pytest

from repx import Run, hard, soft
from repx.lab.run_order import RunOrder, blocked_by_runs
from tests.small_labs import job_of, make, report, small_lab, take


def both() -> None:
    take(data=make(n=7).data)


def test_nothing_waits_where_no_run_comes_after_another(tmp_path: Path) -> None:
    lab = small_lab(tmp_path, [Run("one", both), Run("two", make)])
    order = RunOrder(lab, lab.runs)
    assert [order.waits(job) for job in lab.jobs()] == [()] * 3


def test_only_the_first_jobs_of_a_run_wait(tmp_path: Path) -> None:
    first = Run("first", make)
    lab = small_lab(tmp_path, [first, Run("second", both, after=[soft(first)])])
    order = RunOrder(lab, lab.runs)
    assert order.waits(job_of(lab, "make", n=7)) == [{"first": "soft"}]
    assert order.waits(job_of(lab, "take")) == ()
    assert order.waits(job_of(lab, "make", n=0)) == ()


def test_who_takes_the_results_of_a_run_waits_for_it_and_for_the_others(tmp_path: Path) -> None:
    first, other = Run("first", make), Run("other", make, params={"n": 1})
    lab = small_lab(tmp_path, [first, other, Run("last", report, after=[hard(first), soft(other)])])
    assert RunOrder(lab, lab.runs).waits(job_of(lab, "report")) == [{"first": "hard", "other": "soft"}]


def test_runs_that_are_not_selected_are_not_waited_for(tmp_path: Path) -> None:
    first = Run("first", make)
    lab = small_lab(tmp_path, [first, Run("second", both, after=[first])])
    assert RunOrder(lab, ["second"]).waits(job_of(lab, "make", n=7)) == ()


def test_a_shared_job_may_run_as_soon_as_one_of_its_runs_lets_it(tmp_path: Path) -> None:
    first = Run("first", make)
    late, free = Run("late", both, after=[first]), Run("open", both)
    lab = small_lab(tmp_path, [first, late, free])
    shared = job_of(lab, "make", n=7)
    assert shared.run.name == "late"
    assert RunOrder(lab, lab.runs).waits(shared) == ()
    assert RunOrder(lab, ["first", "late"]).waits(shared) == [{"first": "hard"}]


def test_a_job_shared_by_two_late_runs_waits_for_what_each_comes_after(tmp_path: Path) -> None:
    one, two = Run("one", make, params={"n": 1}), Run("two", make, params={"n": 2})
    lab = small_lab(tmp_path, [one, two, Run("x", make, after=[one]), Run("y", make, after=[two])])
    assert RunOrder(lab, lab.runs).waits(job_of(lab, "make", n=0)) == [{"one": "hard"}, {"two": "hard"}]


def test_a_job_of_an_earlier_run_does_not_wait_for_that_run(tmp_path: Path) -> None:
    first = Run("first", both)
    middle = Run("middle", make, params={"n": 1}, after=[first])
    lab = small_lab(tmp_path, [first, middle, Run("last", both, after=[middle])])
    assert RunOrder(lab, lab.runs).waits(job_of(lab, "make", n=7)) == ()


def test_up_to_a_run_come_those_before_it(tmp_path: Path) -> None:
    one = Run("one", make)
    two = Run("two", make, params={"n": 2}, after=[one])
    lab = small_lab(tmp_path, [one, two, Run("other", both), Run("three", make, params={"n": 3}, after=[two])])
    assert RunOrder(lab, lab.runs).up_to("three") == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("waits", "failed", "blocker"),
    [
        ((), {"a"}, None),
        ([{"a": "hard"}], set(), None),
        ([{"a": "hard"}], {"a"}, "job of a"),
        ([{"a": "soft"}], {"a"}, None),
        ([{"a": "soft", "b": "hard"}], {"a", "b"}, "job of b"),
        ([{"a": "hard"}, {"b": "hard"}], {"a"}, None),
        ([{"a": "hard"}, {"b": "hard"}], {"a", "b"}, "job of a"),
        ([{"a": "hard"}, {"b": "soft"}], {"a", "b"}, None),
    ],
)
def test_a_job_is_blocked_when_each_of_its_runs_has_a_hard_one_that_failed(
    waits: list[dict[str, str]], failed: set[str], blocker: str | None
) -> None:
    assert blocked_by_runs(waits, lambda run: f"job of {run}" if run in failed else None) == blocker

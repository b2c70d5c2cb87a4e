"""Changes between jobs and their nearest earlier ones: what is compared, which is nearest, what is put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from repx.agent.base.fingerprint import Line, stage_digest
from repx.analysis.changes import Change, find_changes
from repx.analysis.counterparts import EarlierJobs, JobLines
from repx.analysis.differences import Difference, Kind, compare, difference
from repx.analysis.script_changes import Changed, changed_definitions, user_text

SCRIPT, EDITED = (("script", "one"), ("stage.name", "train")), (("script", "two"), ("stage.name", "train"))
LINES = {stage_digest(lines): lines for lines in (SCRIPT, EDITED)}


def lines_of(digest: str) -> Sequence[Line]:
    return LINES[digest]


def job(number: int, lines: Sequence[Line] = SCRIPT, inputs: tuple[Line, ...] = (), **params: object) -> JobLines:
    identity = f"{number:032}-train-1"
    return JobLines(
        identity,
        "train",
        stage_digest(lines),
        tuple((f"param.{name}", str(value)) for name, value in params.items()),
        inputs,
    )


def changes(earlier: Iterable[JobLines], today: Iterable[JobLines]) -> list[Change]:
    known = EarlierJobs(earlier, lines_of, lambda digest: 0.0)
    return find_changes(today, lambda stage: known, lines_of)


def test_lines_differ_by_what_they_are_of() -> None:
    before = [("env.A", "1"), ("param.lr", "0.1"), ("scatter:script", "x"), ("output.data", "d.txt")]
    after = [
        ("param.lr", "0.2"),
        ("scatter:script", "y"),
        ("output.data", "d.txt"),
        ("step:work:software.python", "3.12"),
    ]
    assert compare(before, after) == (
        Difference(Kind.PARAM, "lr", "0.1", "0.2"),
        Difference(Kind.SCRIPT, "script", "x", "y", "scatter"),
        Difference(Kind.SOFTWARE, "python", None, "3.12", "step work"),
        Difference(Kind.ENV, "A", "1", None),
    )
    assert difference("takes-index", None, "true").kind is Kind.OTHER


def test_a_thousand_jobs_with_another_value_are_one_change() -> None:
    earlier = [job(number, seed=number, lr=0.1) for number in range(1000)]
    (found,) = changes(earlier, [job(number + 5000, seed=number, lr=0.2) for number in range(1000)])
    assert (found.count, found.of_stage) == (1000, ())
    assert {name: dict(pairs) for name, pairs in found.own.items()} == {(Kind.PARAM, "lr"): {("0.1", "0.2"): 1000}}
    assert found.counterpart == earlier[0].id


def test_of_two_earlier_jobs_the_one_with_fewer_other_lines_is_taken() -> None:
    earlier = [job(1, EDITED, seed=1, lr=0.5), job(2, SCRIPT, seed=1, lr=0.1)]
    (found,) = changes(earlier, [job(9, EDITED, seed=1, lr=0.1)])
    assert found.counterpart == earlier[0].id
    assert list(found.own) == [(Kind.PARAM, "lr")]
    nearer = job(3, SCRIPT, seed=1, lr=0.1)
    (found,) = changes([job(2, EDITED, seed=7, lr=0.7), nearer], [job(9, EDITED, seed=1, lr=0.1)])
    assert (found.counterpart, found.own) == (nearer.id, {})


def test_an_edited_script_is_told_once_for_all_values() -> None:
    (found,) = changes([job(n, seed=n) for n in range(9)], [job(100 + n, EDITED, seed=n) for n in range(9)])
    assert (found.count, found.own) == (9, {})
    assert found.of_stage == (Difference(Kind.SCRIPT, "script", "one", "two"),)


def test_a_new_param_is_compared_with_the_jobs_that_had_none() -> None:
    (found,) = changes([job(1, seed=1), job(2, seed=2)], [job(3, EDITED, seed=2, lr=0.1)])
    assert found.counterpart == job(2).id
    assert dict(found.own[Kind.PARAM, "lr"]) == {(None, "0.1"): 1}


def test_a_consumer_of_a_changed_job_only_follows_it() -> None:
    def consumer(number: int, upstream: JobLines) -> JobLines:
        lines = job(number, inputs=(("input.data", f"job {upstream.id} model"),))
        return lines._replace(name="evaluate")

    old, new = job(1, seed=1), job(2, EDITED, seed=1)
    found = changes([old, consumer(3, old)], [new, consumer(4, new)])
    assert [(one.stage, one.counterpart) for one in found] == [("train", old.id), ("evaluate", consumer(3, old).id)]
    assert dict(found[1].own[Kind.UPSTREAM, "data"]) == {("train", "train"): 1}


def test_a_stage_that_never_ran_has_no_counterpart() -> None:
    (found,) = find_changes([job(1)], lambda stage: None, lines_of)
    assert (found.before, found.counterpart, found.count) == ("", "", 1)


def test_changed_functions_are_named_with_their_place_in_the_users_file() -> None:
    head, tail = "#!/usr/bin/env python3\n# ---- e.py:7 ----\n", "# ---- end ----\n# at e.py 2 31\n# at lib.py 5 4\n"
    before = user_text(f"{head}\ndef helper():\n    return 1\n\nA = 1\n{tail}")
    after = user_text(f"{head}\ndef helper():\n    return 2\n\nB = 1\n{tail}")
    assert changed_definitions(before, after) == [
        Changed("helper()", "changed", "e.py:31"),
        Changed("B", "added", "lib.py:4"),
        Changed("A", "removed", "lib.py:4"),
    ]
    assert changed_definitions(before, user_text("def (:")) == []

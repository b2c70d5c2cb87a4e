"""Collecting from a real store: what nothing needs goes, its record stays, and nothing outside is touched."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from repx import Run
from repx.agent.base.layout import CLAIM, COLLECTED, ITEMS, OUT, RECORD
from repx.agent.base.modes import make_read_only
from repx.agent.in_use import REALIZES, using
from repx.agent.resolver import Resolver
from repx.agent.runner import temporary_claim
from repx.errors import StoreError, UsageError
from repx.store.damage import check_store
from repx.store.gc.collect import collect
from repx.store.gc.reading import Policy
from repx.store.roots import keep_link, pin, read_roots, unpin
from tests.small_labs import make, parts, take, twice
from tests.store.gc.filled import NONE_BEFORE, Filled, ids, names_in


def chain(number: int) -> Run:
    return Run(f"run{number}", lambda: take(data=make(n=number).data))


def test_what_no_root_reaches_goes_and_its_record_stays(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    old, new = filled.lab(chain(1)), filled.lab(chain(2))
    filled.keep(new)
    filled.collect()
    assert filled.done == ids(new)
    assert filled.collected == ids(old)
    assert names_in(filled.store.labs) == [new.lab_id]
    assert names_in(filled.store.tmp) == []
    resolver = Resolver(old, filled.store)
    outcomes = [resolver.outcome(job) for job in old.jobs()]
    assert all(one is not None and one.is_collected for one in outcomes)
    assert filled.plan().is_empty


def test_what_two_labs_share_stays_for_the_one_that_is_kept(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    both, one = filled.lab(chain(1), chain(2)), filled.lab(chain(2))
    filled.keep(one)
    filled.collect()
    assert filled.done == ids(one)
    assert filled.collected == ids(both) - ids(one)


def test_the_five_labs_of_a_project_that_were_realized_last_are_kept(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    labs = [filled.lab(chain(number)) for number in range(7)]
    for lab in labs:
        filled.keep(lab)
        time.sleep(0.01)
    filled.collect()
    assert names_in(filled.store.labs) == sorted(lab.lab_id for lab in labs[2:])
    assert len([root for root in read_roots(filled.store) if root.kind == "lab"]) == 5


def test_a_result_link_keeps_its_lab_until_it_is_gone_or_leads_elsewhere(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    first, second = filled.lab(chain(1)), filled.lab(chain(2))
    link = tmp_path / "result"
    link.symlink_to(first.path)
    keep_link(filled.store, str(link), first.lab_id)
    filled.collect()
    assert names_in(filled.store.labs) == [first.lab_id]
    link.unlink()
    filled.collect()
    assert names_in(filled.store.labs) == []
    assert read_roots(filled.store) == []
    assert filled.collected == ids(first) | ids(second)


def test_a_link_on_another_machine_keeps_the_lab_that_it_was_made_for(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab, other = filled.lab(chain(1)), filled.lab(chain(2))
    keep_link(filled.store, str(tmp_path / "elsewhere" / "result"), lab.lab_id)
    (root,) = Path(filled.store.gcroots, "auto").iterdir()
    root.rename(root.with_name(root.name.rpartition("@")[0] + "@another"))
    filled.collect()
    assert filled.done == ids(lab)
    assert filled.collected == ids(other)


def test_a_lab_outside_of_the_store_that_was_run_keeps_its_results(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    outside = tmp_path / "outside"
    Path(lab.path).rename(outside)
    keep_link(filled.store, str(outside), lab.lab_id)
    filled.collect()
    assert filled.done == ids(lab)


def test_a_pin_keeps_a_lab_and_one_of_a_job_its_outputs(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    first, second = filled.lab(chain(1)), filled.lab(chain(2))
    (wanted,) = [job.id for job in second.jobs() if job.stage.name == "take"]
    pin(filled.store, "paper", lab=first.lab_id)
    pin(filled.store, "plot", job=wanted)
    filled.collect(Policy(pinned_only=True))
    assert filled.done == ids(first) | {wanted}
    with pytest.raises(UsageError, match="already, of something else"):
        pin(filled.store, "paper", job=wanted)
    with pytest.raises(UsageError, match="there is no pin"):
        unpin(filled.store, "poster")
    with pytest.raises(UsageError, match="several pins"):
        unpin(filled.store, "p")
    unpin(filled.store, "pa")
    filled.collect()
    assert filled.done == {wanted}


def test_however_a_store_is_reached_its_roots_lead_into_it(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    filled.keep(lab)
    pin(filled.store, "kept", lab=lab.lab_id)
    link = tmp_path / "result"
    link.symlink_to(lab.path)
    keep_link(filled.store, str(link), lab.lab_id)
    (tmp_path / "by-link").symlink_to(tmp_path / "store")
    again = Filled(tmp_path)
    again.store = type(filled.store)(str(tmp_path / "by-link"))
    for policy in (Policy(), NONE_BEFORE, Policy(pinned_only=True)):
        again.collect(policy)
        assert again.done == ids(lab)
        assert names_in(again.store.labs) == [lab.lab_id]


def test_an_adopted_result_keeps_the_one_that_it_was_adopted_from(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    old, new = filled.lab(chain(1)), filled.lab(chain(2))
    filled.keep(new)
    origin = next(job.id for job in old.jobs() if job.stage.name == "take")
    adopted = next(job.id for job in new.jobs() if job.stage.name == "take")
    out = filled.directory(adopted) / OUT
    out.rename(tmp_path / "aside")
    out.symlink_to(f"../{origin}/out")
    filled.collect()
    assert filled.done == ids(new) | {origin}
    out.unlink()
    (tmp_path / "aside").rename(out)
    filled.collect()
    assert filled.done == ids(new)


def test_what_a_link_leads_to_outside_of_the_store_is_never_touched(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    precious = tmp_path / "precious"
    (precious / "deep").mkdir(parents=True)
    (precious / "deep" / "file").write_text("precious")
    first, second = [filled.directory(one) for one in sorted(ids(lab))]
    (first / OUT / "link").symlink_to(precious)
    (second / OUT).rename(tmp_path / "moved")
    (second / OUT).symlink_to(precious)
    (Path(filled.store.labs) / lab.lab_id / "link").symlink_to(precious)
    Path(filled.store.objects, "0" * 32 + "-x").symlink_to(precious)
    Path(filled.store.outputs, "0" * 32 + "-job-1").symlink_to(precious)
    filled.collect(Policy(forget=True))
    assert (precious / "deep" / "file").read_text() == "precious"
    assert names_in(filled.store.labs) == []


def test_what_is_read_only_and_deep_goes_too(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    out = filled.directory(next(iter(ids(lab)))) / OUT
    deep = out
    for _ in range(60):
        deep /= "d"
    deep.mkdir(parents=True)
    make_read_only(str(out))
    filled.collect()
    assert filled.done == set()
    assert names_in(filled.store.tmp) == []


def test_files_that_repx_has_not_made_are_left_alone_and_named(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    strange = [Path(filled.store.outputs, "mine"), Path(filled.store.objects, "mine"), Path(filled.store.labs, "mine")]
    strange.append(filled.directory(next(iter(ids(lab)))) / "notes.txt")
    for path in strange:
        path.write_text("mine")
    plan = filled.plan(Policy(forget=True))
    assert set(plan.look.strangers) == set(map(str, strange))
    collect(filled.store, Policy(forget=True), plan)
    assert [path.read_text() for path in strange] == ["mine"] * 4


def test_where_a_lab_that_is_kept_cannot_be_read_no_outputs_go(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    dead, broken = filled.lab(chain(1)), filled.lab(chain(2))
    filled.keep(broken)
    everything = ids(dead) | ids(broken)
    (run,) = [path for path in Path(broken.path, "revision").iterdir() if path.name != "metadata.json"]
    run.chmod(0o644)
    run.write_text("{")
    plan = filled.plan()
    assert plan.look.unreadable == [broken.path]
    collect(filled.store, Policy(), plan)
    assert filled.done == everything


def test_of_a_job_only_what_is_valid_today_stays(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(Run("run", twice))
    filled.keep(lab)
    directory = filled.directory(next(iter(ids(lab))))
    (second,) = directory.glob("1-*")
    displaced = directory / "0-abcdefgh"
    earlier = directory / "1-abcdefgh"
    for path in (displaced, earlier):
        (path / OUT).mkdir(parents=True)
    filled.collect()
    assert (second / OUT).is_dir()
    assert (directory / OUT).is_dir()
    assert not (displaced / OUT).exists()
    assert not (earlier / OUT).exists()


def test_the_steps_of_a_scatter_gather_stay_with_it_and_go_with_it(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(Run("run", parts))
    filled.keep(lab)
    everything = filled.done
    assert len(everything) == len({"split", "work 1", "work 2", "finish 1", "finish 2", "parts"})
    filled.collect()
    assert filled.done == everything
    filled.collect(NONE_BEFORE)
    assert filled.collected == everything
    assert len(filled.having(ITEMS)) == 1
    again = filled.lab(Run("run", parts), done=False)
    resolver = Resolver(again, filled.store)
    assert all(resolver.outcome(job) is not None for job in again.jobs())


def test_steps_that_cannot_be_told_now_stay(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(Run("run", parts))
    filled.keep(lab)
    (scatter,) = [path for path in Path(filled.store.outputs).iterdir() if "-split-" in path.name]
    before = filled.done
    (scatter / OUT / "items.json").unlink()
    filled.collect()
    assert filled.done == before


def test_what_somebody_works_on_or_has_pending_stays(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    claimed, pending = sorted(ids(lab))
    (filled.directory(pending) / RECORD).rename(filled.directory(pending) / "pending")
    with temporary_claim(filled.store) as claim:
        claim.take(str(filled.directory(claimed)))
        filled.collect()
        assert (filled.directory(claimed) / OUT).is_dir()
        assert (filled.directory(pending) / OUT).is_dir()
        claim.release(str(filled.directory(claimed)))
    filled.collect()
    assert filled.collected == {claimed}


def test_a_job_that_is_taken_after_the_look_is_left(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    taken, free = sorted(ids(lab))
    plan = filled.plan()
    with temporary_claim(filled.store) as claim:
        claim.take(str(filled.directory(taken)))
        done = collect(filled.store, Policy(), plan)
        assert done.busy == 1
        assert filled.done == {taken}
        assert (filled.directory(taken) / CLAIM).exists()
        claim.release(str(filled.directory(taken)))
    assert filled.collected == {free}
    assert not (filled.directory(free) / CLAIM).exists()


def test_what_somebody_begins_to_use_after_the_look_stays(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab, other = filled.lab(chain(1)), filled.lab(chain(2))
    plan = filled.plan()
    assert len(plan.dead.outputs) == 4
    with using(filled.store, lab.path):
        collect(filled.store, Policy(), plan)
        assert filled.done == ids(lab)
        assert filled.collected == ids(other)
        assert names_in(filled.store.labs) == [lab.lab_id]


def test_what_is_pinned_after_the_look_stays(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    plan = filled.plan()
    pin(filled.store, "late", lab=lab.lab_id)
    collect(filled.store, Policy(), plan)
    assert filled.done == ids(lab)


def test_while_somebody_realizes_no_lab_and_no_object_goes(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    Path(filled.store.objects, "0" * 32 + "-x").write_text("x")
    with using(filled.store, REALIZES):
        filled.collect()
        assert names_in(filled.store.labs) == [lab.lab_id]
        assert names_in(filled.store.objects) == ["0" * 32 + "-x"]
    filled.collect()
    assert names_in(filled.store.labs) == []
    assert names_in(filled.store.objects) == []


def test_while_it_is_not_known_what_somebody_runs_no_outputs_go(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    with using(filled.store, "/gone/with/the/wind"):
        filled.collect()
        assert filled.done == ids(lab)


def test_only_what_is_older_than_an_age_goes(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    old, young = sorted(ids(lab))
    then = time.time() - 40 * 86400
    os.utime(filled.directory(old) / RECORD, (then, then))
    os.utime(lab.path, (then, then))
    filled.collect(Policy(older_than_s=30 * 86400))
    assert filled.done == {young}
    assert names_in(filled.store.labs) == []


def test_forgetting_removes_the_records_of_what_is_dead_and_of_nothing_else(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    old, new = filled.lab(chain(1)), filled.lab(chain(2))
    filled.keep(new)
    filled.collect()
    assert filled.collected == ids(old)
    filled.collect(Policy(forget=True))
    assert set(names_in(filled.store.outputs)) == ids(new)
    assert filled.done == ids(new)


def test_a_key_goes_with_the_result_that_it_leads_to(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    old, new = filled.lab(chain(1)), filled.lab(chain(2))
    filled.keep(new)
    for lab in (old, new):
        resolver = Resolver(lab, filled.store)
        for job in lab.jobs():
            outcome = resolver.outcome(job)
            assert outcome is not None
            os.link(filled.directory(job.id) / RECORD, filled.store.key(outcome.key))
    filled.collect()
    records = {(filled.directory(one) / RECORD).stat().st_ino for one in ids(new)}
    assert {path.stat().st_ino for path in Path(filled.store.keys).iterdir()} == records


def test_whatever_was_killed_within_a_collection_the_next_one_ends_it(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    first, second = [filled.directory(one) for one in sorted(ids(lab))]
    # Killed after the record, and in the middle of removing what was taken.
    (first / RECORD).rename(first / COLLECTED)
    (second / RECORD).rename(second / COLLECTED)
    (second / OUT).rename(Path(filled.store.tmp) / "trash,nobody")
    filled.collect()
    assert filled.collected == ids(lab)


def test_there_is_nothing_to_collect_from_where_there_is_no_store(tmp_path: Path) -> None:
    from repx.store.roots import refuse_missing_store

    with pytest.raises(StoreError, match="there is no store"):
        refuse_missing_store(Filled(tmp_path).store)


def test_a_key_leads_on_to_another_result_that_stands_under_it(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    old, new = filled.lab(chain(1)), filled.lab(chain(2))
    filled.keep(new)
    resolver = Resolver(new, filled.store)
    job = next(job for job in new.jobs() if job.stage.name == "take")
    outcome = resolver.outcome(job)
    assert outcome is not None
    # As where the job of the old Lab was the first to have this key, and the other one has adopted its result.
    origin = filled.directory(next(job.id for job in old.jobs() if job.stage.name == "take"))
    (origin / RECORD).write_bytes((filled.directory(job.id) / RECORD).read_bytes())
    os.link(origin / RECORD, filled.store.key(outcome.key))
    filled.collect()
    assert Path(filled.store.key(outcome.key)).samefile(filled.directory(job.id) / RECORD)


def test_what_was_found_damaged_and_put_aside_goes(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    filled.keep(lab)
    job = min(ids(lab))
    (filled.directory(job) / OUT / next((filled.directory(job) / OUT).iterdir()).name).write_text("changed")
    assert check_store(filled.store, lambda _: None).damages
    assert len(names_in(filled.store.root + "/quarantine")) > 0
    filled.collect()
    assert names_in(filled.store.root + "/quarantine") == []
    assert job not in filled.having(OUT)


def test_a_store_that_cannot_be_read_is_told_and_nothing_is_deleted(tmp_path: Path) -> None:
    filled = Filled(tmp_path)
    lab = filled.lab(chain(1))
    roots = Path(filled.store.gcroots, "auto")
    roots.rmdir()
    roots.write_text("a file")
    with pytest.raises(StoreError, match="cannot be read"):
        filled.collect()
    assert filled.done == ids(lab)

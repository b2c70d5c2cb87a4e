"""The verbs a notebook uses: instantiate, realize, realize_many, for real."""

from __future__ import annotations

from pathlib import Path

import pytest

import repx
from repx import Inputs, JobsFailedError, Lab, Output, Run, out, stage
from repx.errors import DefinitionError, RepxError, StoreError
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from repx.model.graph import DerivationGraph
from repx.store.links import check_link


@stage
def square(result: Output = out("square.txt"), *, number: int) -> None:
    if number < 0:
        raise SystemExit("numbers below zero are not for us")
    result.write_text(str(number**2))


@stage
def total(parts: Inputs, result: Output = out("total.txt")) -> None:
    result.write_text(str(sum(int(part.read_text()) for part in parts)))


def test_many_nodes_become_realizations_in_their_order(tmp_path: Path) -> None:
    made = repx.realize_many([square(number=n) for n in (3, 1, 2)], store=str(tmp_path), jobs=2)
    assert [one.params["number"] for one in made] == [3, 1, 2]
    assert [one.outputs["result"].read_text() for one in made] == ["9", "1", "4"]
    assert len({one.digest for one in made}) == 3
    assert all(one.job.endswith("-square-1") for one in made)
    html = made._repr_html_()
    assert html.count("<tr>") == 4
    assert "number=3" in html


def test_the_lab_of_what_a_notebook_has_made_is_kept(tmp_path: Path) -> None:
    repx.realize_many([square(number=3)], store=str(tmp_path))
    (lab,) = (tmp_path / "labs").iterdir()
    (root,) = (tmp_path / "gcroots" / "auto").iterdir()
    assert root.resolve() == lab.resolve()


def test_equal_nodes_are_one_job_and_every_target_gets_it(tmp_path: Path) -> None:
    made = repx.realize_many([square(number=5), square(number=5)], store=str(tmp_path))
    assert [one.job for one in made] == [made[0].job] * 2


def test_a_node_brings_what_it_takes_from(tmp_path: Path) -> None:
    done = repx.realize(total(parts=[square(number=n).result for n in range(4)]), store=str(tmp_path))
    assert not isinstance(done, LabDirectory)
    assert done.outputs["result"].read_text() == "14"


def test_done_work_is_found_not_repeated(tmp_path: Path) -> None:
    first = repx.realize_many([square(number=6)], store=str(tmp_path))[0]
    made_at = first.outputs["result"].stat().st_mtime_ns
    again = repx.realize_many([square(number=6), square(number=7)], store=str(tmp_path))[0]
    assert again.digest == first.digest
    assert again.outputs["result"].stat().st_mtime_ns == made_at


def test_failures_are_told_and_the_rest_is_done(tmp_path: Path) -> None:
    with pytest.raises(JobsFailedError) as caught:
        repx.realize_many([square(number=-1), square(number=2)], store=str(tmp_path))
    assert "1 job failed" in str(caught.value)
    assert "numbers below zero are not for us" in str(caught.value)
    assert repx.realize_many([square(number=2)], store=str(tmp_path))[0].outputs["result"].read_text() == "4"


def test_work_is_done_anew_where_that_is_asked_for(tmp_path: Path) -> None:
    first = repx.realize_many([square(number=8)], store=str(tmp_path))[0]
    made_at = first.outputs["result"].stat().st_mtime_ns
    again = repx.realize_many([square(number=8)], store=str(tmp_path), force=True, packages="host")[0]
    assert again.outputs["result"].stat().st_mtime_ns > made_at


def test_nothing_new_starts_after_a_failure_where_that_is_asked_for(tmp_path: Path) -> None:
    targets = [total(parts=[square(number=-1).result]), *(square(number=n) for n in range(40))]
    with pytest.raises(JobsFailedError):
        repx.realize_many(targets, store=str(tmp_path), jobs=1, continue_on_failure=False)
    assert len(list((tmp_path / "outputs").glob("*/out/*.txt"))) < 40


def test_a_realization_is_looked_at_with_what_it_has_inherited(tmp_path: Path) -> None:
    made = repx.realize_many([total(parts=[square(number=3).result]), square(number=4)], store=str(tmp_path))
    assert [one.params for one in made] == [{}, {"number": 4}]
    assert [one.effective_params for one in made] == [{"number": 3}, {"number": 4}]
    assert made[0].load_json("result") == 9
    assert made[1].log() == ""
    frame = made.to_dataframe()
    assert list(frame["number"]) == [3, 4]
    assert list(frame["stage"]) == ["total", "square"]
    assert [Path(path).read_text() for path in frame["output.result"]] == ["9", "16"]


def test_a_notebook_shows_the_message_of_an_error_alone() -> None:
    with pytest.raises(RepxError) as caught:
        repx.realize_many(["square"])  # type: ignore[list-item]
    shown = caught.value._render_traceback_()
    assert shown == caught.value.lines()


def test_a_run_gives_the_realizations_of_all_its_jobs(tmp_path: Path) -> None:
    run = Run("squares", square, params={"number": [1, 2, 3]})
    made = repx.realize_many(run, store=str(tmp_path))
    assert sorted(one.outputs["result"].read_text() for one in made) == ["1", "4", "9"]


def test_a_lab_becomes_a_directory(tmp_path: Path) -> None:
    directory = repx.realize(Lab([Run("squares", square, params={"number": [1, 2]})]), store=str(tmp_path))
    assert isinstance(directory, LabDirectory)
    verify(directory)
    assert directory.runs["squares"].count == 2


def test_instantiate_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPX_STORE", str(tmp_path / "store"))
    graph = repx.instantiate([square(number=1), square(number=2)])
    assert isinstance(graph, DerivationGraph)
    assert len(list(graph.jobs())) == 2
    assert not (tmp_path / "store").exists()


def test_what_cannot_be_realized_is_refused() -> None:
    with pytest.raises(DefinitionError, match="cannot be realized"):
        repx.realize_many(["square"])  # type: ignore[list-item]


def test_a_link_of_others_is_left_alone(tmp_path: Path) -> None:
    link = tmp_path / "result"
    link.symlink_to(tmp_path)
    with pytest.raises(StoreError, match="a link that repx has not made"):
        check_link(str(link))
    link.unlink()
    link.symlink_to(tmp_path / "labs" / ("0" * 32))
    check_link(str(link))


def test_a_selection_gives_what_it_chooses(tmp_path: Path) -> None:
    @repx.bash(realizations=4)  # type: ignore[untyped-decorator]  # with options it takes any function
    def draw(score: repx.Output = repx.out("score.txt"), *, index: int = 0) -> str:
        return 'echo "$(( (index * 3) % 4 ))" > "$score"'

    store = str(tmp_path / "store")
    drawn = draw()
    targets = [repx.best(drawn, largest="score"), repx.first(drawn, 2), drawn]
    found = repx.realize_many(targets, store=store, progress=False)
    assert [one.index for one in found] == [1, 0, 1, 0, 1, 2, 3]
    assert found[0].load_text("score") == "3\n"
    assert [one.index for one in repx.realize_many(repx.latest(drawn), store=store, progress=False)] == [3]
    assert set(found.to_dataframe()["index"]) == {0, 1, 2, 3}


def test_what_a_result_holds_may_be_a_param_of_what_is_realized_next(tmp_path: Path) -> None:
    [nine] = repx.realize_many(square(number=3), store=str(tmp_path), progress=False)
    [last] = repx.realize_many(square(number=int(nine.load_text("result"))), store=str(tmp_path), progress=False)
    assert last.params == {"number": 9}
    assert last.load_text("result") == "81"


def test_what_is_done_by_hand_does_not_displace_what_has_run_meanwhile(tmp_path: Path) -> None:
    with repx.debug(square(number=4), store=str(tmp_path)) as job:
        [meanwhile] = repx.realize_many(square(number=4), store=str(tmp_path), progress=False)
        job.outputs["result"].write_text("15")
        with pytest.raises(JobsFailedError, match="the job has a result"):
            job.keep()
    assert meanwhile.load_text("result") == "16"

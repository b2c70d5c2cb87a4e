"""A chain of thousands of jobs: nothing recurses, nothing is quadratic."""

from __future__ import annotations

from repx import Experiment
from repx.agent.lab.run_file import RunFile
from tests.analysis.conftest import CHAIN
from tests.cli.conftest import World

LAST = f"link[number={CHAIN - 1}]"


def test_params_are_inherited_to_the_end(chain: World) -> None:
    job = Experiment(chain.lab, chain.store).get_job(LAST)
    assert job.effective_params == {"seed": 7, "number": CHAIN - 1}
    assert job.status == "pending"


def test_all_jobs_are_listed_with_them(chain: World) -> None:
    rows = chain.see("list", "jobs", "-p", "seed", "-p", "number").rows
    assert len(rows) == CHAIN + 1
    assert {row[2] for row in rows} == {"7"}


def test_the_last_one_is_shown(chain: World) -> None:
    shown = chain.see("show", "job", LAST, "--json").answer
    assert shown["inherited"]["seed"]["from"].endswith("-first-1")


def test_its_tree_does_not_run_off_the_page(chain: World) -> None:
    lines = chain.see("list", "deps", LAST).stdout.splitlines()
    assert len(lines) == CHAIN + 1
    assert max(map(len, lines)) < 120
    assert lines[-1].strip().startswith(f"[{CHAIN}] ")


def test_it_is_counted(chain: World) -> None:
    assert chain.see("status", "--json").answer["total"]["pending"] == CHAIN + 1


def test_no_job_is_read_to_count_them(chain: World) -> None:
    jobs = Experiment(chain.lab, chain.store).jobs()
    read = RunFile.jobs
    try:
        RunFile.jobs = None  # type: ignore[method-assign, assignment]
        assert len(jobs) == CHAIN + 1
        assert jobs[17].id == jobs[:20][17].id
    finally:
        RunFile.jobs = read  # type: ignore[method-assign]

"""What `list`, `show`, `log` and `status` print of one real Lab, as golden texts and as JSON; and what they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import REPX, World
from tests.golden_texts import Golden


@pytest.mark.parametrize(
    ("place", "command"),
    [
        ("list_runs", "list"),
        ("list_groups", "list groups"),
        ("list_group", "list groups all"),
        ("list_jobs", "list jobs sweep -p seed -p factor"),
        ("list_jobs_by_stage", "list jobs @all -g -p seed"),
        ("list_jobs_outputs", "list jobs double --output-paths -w seed=1"),
        ("list_steps", "list jobs parts --steps -p power"),
        ("list_deps", "list deps after_fragile[seed=2]"),
        ("list_deps_of_results", "list dependencies report[title=strict]"),
        ("status", "status"),
        ("status_of_some", "status @one scatter"),
        ("show_job", "show job double[seed=1]"),
        ("show_failed_job", "show job fragile[seed=2]"),
        ("show_blocked_job", "show job after_fragile[seed=2]"),
        ("show_scatter_gather", "show job parts"),
        ("show_realizations", "show job noisy"),
        ("show_outputs", "show output double[seed=1]"),
        ("show_directory", "show output double[seed=1] extra"),
        ("show_other_realization", "show output noisy --index 1"),
        ("log", "log make[seed=3]"),
    ],
)
def test_prints(world: World, golden: Golden, place: str, command: str) -> None:
    shown = world.see(*command.split())
    assert (shown.status, shown.stderr) == (0, "")
    golden(f"see/{place}.txt", world.plain(shown.stdout))


@pytest.mark.parametrize(
    ("place", "command"),
    [
        ("unknown_run", "list runs swep"),
        ("unknown_group", "list jobs @al"),
        ("unknown_group_name", "list groups al"),
        ("unknown_job", "list jobs dubble"),
        ("unknown_param", "list jobs -p sed"),
        ("unknown_where", "list jobs -w sed=1"),
        ("where_without_value", "list jobs -w seed"),
        ("unknown_stage", "list jobs -s dubl"),
        ("several_jobs", "show job double"),
        ("a_run_is_no_job", "log sweep"),
        ("no_such_value", "show job double[seed=7]"),
        ("no_such_param", "show job double[sead=7]"),
        ("unknown_output", "show output double[seed=1] tabel"),
        ("outside", "show output double[seed=1] ../record.jsonl"),
        ("no_result", "show output fragile[seed=2]"),
        ("blocked", "show output after_fragile[seed=2]"),
        ("has_not_run", "log after_fragile[seed=2]"),
        ("no_such_attempt", "log make[seed=1] --attempt 2"),
        ("no_such_realization", "show output noisy --index 2"),
        ("status_of_a_stage", "status double"),
        ("follow_json", "log make[seed=1] -f --json"),
    ],
)
def test_refuses(world: World, golden: Golden, place: str, command: str) -> None:
    shown = world.see(*command.split())
    assert (shown.status, shown.stdout) == (2, "")
    golden(f"see/errors/{place}.txt", world.plain(shown.stderr))


def test_the_start_of_a_run_lists_its_jobs(world: World) -> None:
    assert world.see("list", "jobs", "len", "-q").stdout == world.see("list", "runs", "lenient", "-q").stdout != ""


def test_statuses_choose_jobs(world: World) -> None:
    rows = world.see("list", "jobs", "--status", "failed", "--status", "blocked").rows
    assert sorted(row[1] for row in rows) == ["blocked", "blocked", "failed"]
    assert world.see("list", "jobs", "--status", "running").stderr == "no jobs\n"


@pytest.mark.parametrize(
    ("typed", "count"), [("seed=1", 4), ("seed=1.0", 4), ("seed=01", 4), ("seed=x", 0), ("factor=2", 3)]
)
def test_where_compares_as_typed(world: World, typed: str, count: int) -> None:
    assert len(world.see("list", "jobs", "sweep", "-w", typed, "--json").answer) == count


def test_json_of_a_listing_has_effective_params_and_outputs(world: World) -> None:
    (job,) = world.see("list", "jobs", "double[seed=3]", "--json").answer
    assert job["params"] == {"seed": 3, "label": "a\nb", "factor": 2}
    assert Path(job["outputs"]["table"]).read_text() == "n,m\n3,6\n"
    assert (job["status"], job["run"], job["stage"]) == ("succeeded", "sweep", "double")


def test_json_of_a_listing_has_steps(world: World) -> None:
    jobs = world.see("list", "jobs", "scatter", "--steps", "--json").answer
    (steps,) = [job["steps"] for job in jobs if "steps" in job]
    assert [step["item"] for step in steps] == [None, 1, 2, {"deep": [3]}]


@pytest.mark.parametrize(
    "command",
    [
        *("list", "list runs sweep", "list deps double[seed=1]", "list groups", "list groups all", "status"),
        *("show job parts", "show output parts", "show output double[seed=1] table", "log make[seed=1]"),
    ],
)
def test_everything_prints_json(world: World, command: str) -> None:
    shown = world.see(*command.split(), "--json")
    assert shown.answer, shown.stderr


def test_a_step_is_shown_by_its_id(world: World) -> None:
    (job,) = world.see("list", "jobs", "parts", "--steps", "--json").answer
    step = job["steps"][1]["id"]
    assert world.see("log", step[:10]).stdout.startswith("working on 1")
    assert world.see("show", "output", step[:10], "one").stdout == "1\n"
    shown = world.see("show", "job", step, "--json").answer
    assert (shown["status"], shown["stage"], shown["stage_type"]) == ("succeeded", "work", "step")


def test_a_file_is_printed_byte_for_byte(world: World) -> None:
    assert world.see("show", "output", "double[seed=1]", "extra/raw.bin").raw == b"\0\1\2"
    assert world.see("show", "output", "double[seed=1]", "table").stdout == "n,m\n1,2\n"
    assert world.see("show", "output", "double[seed=1]", "sub/table.csv").stdout == "n,m\n1,2\n"
    assert world.see("show", "output", "double[seed=1]", "undeclared.txt").stdout == "more\n"


def test_a_terminal_gets_text_only(world: World) -> None:
    ours, theirs = os.openpty()
    try:
        args = [*REPX, "show", "output", "double[seed=1]", "extra/raw.bin", "--lab", world.lab, "--store", world.store]
        done = subprocess.run(args, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 2
    assert "extra/raw.bin is not text" in done.stderr


def test_logs_say_where_the_other_stream_is(world: World) -> None:
    shown = world.see("log", "fragile[seed=2]")
    assert shown.stdout == ""
    assert "--stderr" in shown.stderr
    assert "two is too much" in world.see("log", "fragile[seed=2]", "--stderr").stdout


def test_logs_are_cut_to_their_last_lines(world: World) -> None:
    shown = world.see("log", "make[seed=1]", "-n", "1")
    assert (shown.stdout, shown.stderr) == ("line 3 of 1\n", "(the last 1 line; all of it: -n 0)\n")
    assert world.see("log", "make[seed=1]", "-n", "0").stdout.count("\n") == 3


def test_a_finished_job_can_be_followed(world: World) -> None:
    assert world.see("log", "make[seed=1]", "-f").stdout == "line 1 of 1\nline 2 of 1\nline 3 of 1\n"


@pytest.mark.parametrize("command", ["list jobs", "list runs", "status", "show job parts", "show output parts all"])
def test_a_closed_pipe_is_no_failure(world: World, command: str) -> None:
    args = [*REPX, *command.split(), "--lab", world.lab, "--store", world.store]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_nothing_heavy_is_imported(world: World) -> None:
    script = (
        "import sys; from repx.cli.main import cli; cli(sys.argv[1:], standalone_mode=False); print([*sys.modules])"
    )
    for command in ("list runs", "list jobs -p seed", "status"):
        args = [sys.executable, "-c", script, *command.split(), "--lab", world.lab, "--store", world.store]
        modules = subprocess.run(args, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
        for heavy in (
            "pydantic",
            "rich",
            "networkx",
            "packaging",
            "tarfile",
            "email",
            "pandas",
            "paramiko",
            "repx.dsl",
            "repx.runtime",
        ):
            assert f"'{heavy}" not in modules, f"{command} imports {heavy}"


def test_another_store_knows_no_results(world: World, tmp_path: Path) -> None:
    done = world.run("status", "--lab", world.lab, "--store", str(tmp_path / "none"), "--json")
    assert json.loads(done.stdout)["total"]["pending"] == 16
    assert not (tmp_path / "none").exists()

"""Jobs that do not keep their contract, and what the user is told of it; and what `repx run` says besides."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_bad_experiments import shown
from tests.golden_texts import Golden, golden_fixture
from tests.runtime.world import World, a_world, tree

__all__ = ["a_world", "golden_fixture"]

JOBS: dict[str, str] = {
    "output_missing": "def one(table: Output = out('t.csv'), plot: Output = out('p.png')):\n"
    '    return """echo working; echo "almost done"; touch "$table" """\n',
    "output_in_another_folder": "def one(plot: Output = out('plots/p.png')):\n"
    "    return 'mkdir -p plots; touch p.png'\n",
    "output_a_link_out": "def one(table: Output = out('t.csv')):\n    return 'ln -s /etc/hostname \"$table\"'\n",
    "output_a_link_above": "def one(table: Output = out('t.csv')):\n    return 'ln -s ../../x \"$table\"'\n",
    "output_a_pipe": "def one(table: Output = out('t.csv')):\n    return 'mkfifo \"$table\"'\n",
    "exit_status": "def one(table: Output = out('t.csv')):\n    return 'echo nearly >&2; exit 3'\n",
    "killed": "def one(table: Output = out('t.csv')):\n    return 'kill -9 $$'\n",
    "long_log": "def one(table: Output = out('t.csv')):\n"
    "    return 'for i in {1..40}; do echo \"line $i\" >&2; done; false'\n",
}


@pytest.mark.parametrize("case", JOBS)
def test_a_job_that_fails_is_told_with_its_log_and_keeps_nothing(case: str, world: World, golden: Golden) -> None:
    world.realize(f"@bash\n{JOBS[case]}\nlab = Lab(runs=[Run('work', one)])\n")
    done = world.repx("run")
    assert done.status == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    golden(f"errors/jobs/{case}.txt", _steady(done.stderr + done.stdout, world))
    answer = world.run().answer
    assert (answer["found"], answer["failed"]) == (0, 1)
    logged = world.repx("log", "one")
    assert logged.status == 0, logged.stderr
    if case == "long_log":
        command = re.search(r"more: repx (.*)", done.stderr)
        assert command is not None
        assert world.repx(*command[1].split(), "-n", "0").stdout.startswith("line 1\nline 2\n")


PYTHON = """
import json

def parsed(text):
    return json.loads(text)

@stage(packages=["python3"])
def one(table: Output = out("t.csv")):
    print("reading")
    table.write_text(parsed("{"))

lab = Lab(runs=[Run("work", one)])
"""


def test_a_python_body_that_fails_ends_with_its_own_lines(world: World) -> None:
    world.realize(PYTHON)
    done = world.repx("run")
    assert done.status == 1
    assert "  | json.decoder.JSONDecodeError: " in done.stderr
    assert "return json.loads(text)" in done.stderr
    assert re.search(r"failed: one [0-9a-z]{12}: exit status 1", done.stdout)


RESULTS = """
@bash
def make(data: Output = out("data.txt"), *, n: int = 1):
    return 'echo "$n" > "$data"'

@stage(packages=["python3"])
def look(work: Results, mean: Output = out("mean.txt")):
    mean.write_text("".join(str(job.WHAT) for job in work.jobs()))

work = Run("work", make)
lab = Lab(runs=[work, Run("look", look, after=[work])])
"""


@pytest.mark.parametrize(("what", "said"), [("params['m']", "'m' is not here; there is n"), ("outputs['n']", "'n' is")])
def test_results_say_which_names_there_are(world: World, what: str, said: str) -> None:
    world.realize(RESULTS.replace("WHAT", what))
    done = world.repx("run")
    assert done.status == 1
    assert f'KeyError: "{said}' in done.stderr


EXPERIMENT = """
@bash
def make(data: Output = out("data.txt"), *, n: int = 1):
    return 'echo "make $n" >> DIARY; echo "$n" > "$data"'

@stage(packages=["python3"])
def look(work: Results, mean: Output = out("mean.txt")):
    mean.write_text(str(len(work.jobs())))

work = Run("work", make, params={"n": [1, 2, 3]})
lab = Lab(runs=[work, Run("look", look, after=[work])])
"""


def test_an_edited_experiment_is_told_with_the_command_to_use(world: World) -> None:
    world.realize(EXPERIMENT)
    file = world.root / "experiment.py"
    assert "has changed" not in world.repx("run").stderr
    file.write_text(file.read_text().replace('echo "$n"', 'echo "new $n"'))
    done = world.repx("run")
    assert done.status == 0
    assert done.stderr == (
        "warning: experiment.py has changed since result was made, and this runs what it was\n"
        "hint: to run what it is now: repx run experiment.py\n"
    )
    assert done.stdout.startswith("all 4 jobs are done")
    (world.root / "elsewhere").mkdir()
    (world.root / "elsewhere/result").symlink_to((world.root / "result").readlink())
    assert "has changed" in world.repx("run", "--lab", "elsewhere/result").stderr
    (world.root / "elsewhere/experiment.py").write_text(file.read_text().replace("new ", ""))
    assert "has changed" not in world.repx("run", "--lab", "elsewhere/result").stderr
    assert "has changed" not in world.repx("run", "experiment.py").stderr


HELPED = """
import repx
from settings import COUNT

@stage
def make(data: Output = out("data.txt"), *, n: int = 1):
    from helper import text
    data.write_text(text(n))

@bash(script="scripts/total.sh")
def total(parts: Inputs, result: Output = out("total.txt")): ...

@bash
def count(table: Input, result: Output = out("count.txt")):
    return 'wc -l < "$table" > "$result"'

def work():
    total(parts=[make(n=n) for n in range(COUNT)])
    for table in repx.files("../tables", match=r".*\\.csv"):
        count(table=table)

lab = Lab(runs=[Run("work", work)])
"""


def test_whatever_else_the_lab_was_made_from_is_told_too(world: World) -> None:
    folder = world.root / "own"
    files = {
        "own/settings.py": "COUNT = 2\n",
        "own/helper.py": "def text(n):\n    return str(n)\n",
        "own/scripts/total.sh": 'cat "${parts[@]}" > "$result"\n',
        "tables/a.csv": "1\n",
        "tables/notes.txt": "not taken\n",
    }
    for name, text in files.items():
        (world.root / name).parent.mkdir(exist_ok=True)
        (world.root / name).write_text(text)
    world.write(HELPED)
    (world.root / "experiment.py").rename(folder / "experiment.py")
    assert world.repx("realize", "own/experiment.py", "-o", "own/result").status == 0
    assert world.repx("run", "--lab", "own/result").stderr == ""

    def told() -> str:
        return world.repx("run", "--lab", "own/result").stderr.partition(" changed since own/result was made")[0]

    (world.root / "tables" / "more.txt").touch()
    (world.root / "tables" / ".hidden.csv").touch()
    (folder / "unused.py").touch()
    assert told() == ""
    for name in files:
        if name.startswith("own/"):
            text = (world.root / name).read_text()
            (world.root / name).write_text(text + "# more\n")
            assert told() == f"warning: {name} has"
            (world.root / name).unlink()
            assert told() == f"warning: {name} has"
            (world.root / name).write_text(text)
    (world.root / "tables" / "b.csv").write_text("2\n")
    assert told() == "warning: tables has"
    for name in files:
        (world.root / name).write_text("# other\n")
    assert told() == "warning: own/helper.py, own/scripts/total.sh and 2 more have"
    assert "hint: to run what it is now: repx run own/experiment.py\n" in world.repx("run", "-l", "own/result").stderr
    assert "has changed" not in world.repx("run").stderr


def test_a_comment_and_a_docstring_run_nothing(world: World) -> None:
    world.realize(EXPERIMENT)
    world.run()
    file = world.root / "experiment.py"
    file.write_text(file.read_text().replace("    mean.write", '    "How many."\n    # all of them\n    mean.write'))
    done = world.repx("run", "experiment.py")
    assert done.stdout.splitlines()[-1] == "all 4 jobs are done; nothing to run"


def test_a_dry_run_says_what_each_stage_would_do_and_why(world: World) -> None:
    world.realize(EXPERIMENT)
    world.run("make[n=2]")
    before = tree(world.store)
    done = world.repx("run", "--dry-run")
    lines = done.stdout.splitlines()
    assert lines[:5] == [
        "at most 3 jobs would run; 1 done",
        "  stage  would run  done  because",
        "  make           2     1  never ran",
        "  look           1     0  after others",
        "",
    ]
    named = [re.sub(r"[0-9a-z]{12} +", "", line.strip()) for line in lines[5:]]
    assert sorted(named[:2]) == ["make[n=1] never ran", "make[n=3] never ran"]
    assert named[2:6] == ["look after others", "", "the bill:", "jobs  1 reused, at most 3 to run"]
    assert named[6].startswith("time  about ")
    assert named[6].endswith("by 1 earlier attempt (too few to say how sure that is); not known for 1 of look")
    answer = world.run("--dry-run").answer
    bill = answer.pop("bill")
    assert (bill["reused"], bill["adopted"], bill["run"], bill["unknown"]) == (1, 0, 3, {"look": 1})
    assert answer.pop("changes") == []
    because = {"make": {"never ran": 2}, "look": {"after others": 1}}
    assert answer == {"run": {"make": 2, "look": 1}, "reuse": {"make": 1}, "because": because, "at_most": True}
    assert tree(world.store) == before
    world.run()
    assert world.repx("run", "--dry-run").stdout == "all 4 jobs are done; nothing to run\n"


def test_realize_and_run_say_how_much_there_is(world: World) -> None:
    world.write(EXPERIMENT)
    said = world.repx("realize", "experiment.py", "-o", "my lab").stdout.splitlines()
    path = (world.root / "my lab").readlink()
    assert said == ["my lab: 2 runs, 4 jobs", f"  {path}", "run it: repx run --lab 'my lab'"]
    assert world.repx("run", "experiment.py").stdout.splitlines() == ["result: 2 runs, 4 jobs, unchanged", "4 jobs ran"]
    world.write(EXPERIMENT.replace("@bash", "@bash(realizations=2)"))
    twice = world.repx("realize", "experiment.py").stdout.splitlines()[0]
    assert twice == "result: 2 runs, 4 jobs with 7 realizations in all"


def test_without_a_terminal_only_the_answer_is_printed(world: World) -> None:
    world.realize(EXPERIMENT)
    done = world.repx("run")
    assert (done.stdout, done.stderr) == ("4 jobs ran\n", "")


def test_at_a_terminal_one_line_lives_and_is_taken_away(world: World) -> None:
    world.realize(EXPERIMENT.replace('echo "$n"', 'sleep 0.3; echo "$n"'))
    text = _at_a_terminal(world, "run", "-j", "1")
    assert re.search(r"\r\d/4 done, running 1: make\[n=\d\] [0-9a-z]{12}", text)
    assert text.rstrip().endswith("4 jobs ran")


def _at_a_terminal(world: World, *argv: str) -> str:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from repx.cli.main import main; main()", *argv]
    environment = {**os.environ, "REPX_STORE": str(world.store)}
    with subprocess.Popen(command, cwd=world.root, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        text = b""
        while chunk := _read(ours):
            text += chunk
        assert process.wait() == 0
    os.close(ours)
    return text.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that nobody writes to a terminal any more
        return b""


def test_an_interrupted_run_says_what_is_kept(world: World) -> None:
    world.realize(EXPERIMENT.replace('echo "$n"', 'test "$n" = 1 || sleep 60; echo "$n"'))
    command = world.start("run", "-j", "3", group=True)
    world.wait_for_entry("make 2")
    world.wait_until(lambda: list(world.store.glob("outputs/*/record.jsonl")))
    command.send(signal.SIGINT)
    done = command.end()
    assert done.status == 130
    assert done.stderr.splitlines()[-2:] == [
        "error: interrupted",
        "hint: everything that had finished is kept; the same command goes on from there",
    ]
    assert "Traceback" not in done.stderr
    assert world.run("make[n=1]").answer["found"] == 1


SAME_NAME = """
def one():
    @bash(name="make")
    def first(data: Output = out("a.txt")):
        return 'echo first > "$data"'
    first()

@bash
def make(data: Output = out("a.txt")):
    return 'echo second > "$data"'

def work():
    one()
    make()

lab = Lab(runs=[Run("work", work)])
"""


def test_two_stages_of_one_name_are_two_jobs(world: World) -> None:
    """A name is for people; what tells jobs apart is what they do. Both run, and both are listed."""
    world.realize(SAME_NAME)
    assert world.run().answer["succeeded"] == 2
    directories = world.job_directories("make")
    assert sorted((directory / "out/a.txt").read_text() for directory in directories) == ["first\n", "second\n"]
    listed = world.repx("list", "jobs", "make").stdout
    assert all(directory.name in listed for directory in directories)
    several = world.repx("log", "make")
    assert several.status == 2
    assert "'make' has 2 jobs, and one is needed" in several.stderr


def _steady(text: str, world: World) -> str:
    """Without digests, scratch directories and process ids."""
    text = re.sub(r"store/tmp/[^/]+/slot-\d+", "<slot>", shown(text, world))
    text = re.sub(r"store/labs/[0-9a-z]{32}/store/[0-9a-z]{32}", "<stage>", text)
    text = re.sub(r"\b[0-9a-z]{12}\b(?=:|$| --stderr| --trace)", "<digest>", text, flags=re.MULTILINE)
    return re.sub(r"kill -9 \d+", "kill -9 …", text)


def test_the_tests_look_at_files_that_exist() -> None:
    golden = Path(__file__).parent.parent / "golden/errors/jobs"
    assert {file.stem for file in golden.glob("*.txt")} == set(JOBS)


def test_a_dry_run_names_the_jobs_of_a_stage_by_their_params(world: World) -> None:
    body = '@bash\ndef one(r: Output = out("r.txt"), *, n: int):\n    return f"echo {n} > $r"\n'
    world.realize(body + 'lab = Lab(runs=[Run("a", one, params={"n": [11, 2, 1, 10, 3]})])\n')
    done = world.repx("run", "--dry-run")
    titles = [line.split()[0] for line in done.stdout.split("\n") if "[n=" in line]
    assert titles == [f"one[n={n}]" for n in (1, 2, 3, 10, 11)]

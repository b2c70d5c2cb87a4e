"""Labs that want out of themselves, or to speak for others: no file of the machine is shown, no result is forged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repx.agent.base.digest import short_digest
from repx.agent.base.layout import Store
from repx.errors import LabError
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from tests.cli.forged_labs import copied, forge_script, seal, sha256_of
from tests.runtime.world import World

EXPERIMENT = """
import repx

@bash
def make(data: Output = out("data.txt"), *, n: int = 1):
    return 'echo "make $n" >> DIARY; echo "genuine $n" > "$data"'

@bash
def use(data: Input, table: Input, result: Output = out("result.txt")):
    return 'cat "$data" "$table" > "$result"'

def work():
    use(data=make(), table=repx.path("table.csv"))

lab = Lab(runs=[Run("work", work)])
"""


@pytest.fixture(name="world")
def a_world_with_a_lab(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    (world.root / "table.csv").write_text("x,1\n")
    world.realize(EXPERIMENT)
    yield world
    world.tidy()


def output_of(world: World, job: str, *argv: str) -> str:
    """What `show output` prints of a job's first output."""
    done = world.repx("show", "output", job, *argv)
    return done.stdout if done.status == 0 else f"none: {done.stderr}"


def forged(world: World) -> Path:
    lab = copied(world, "forged")
    forge_script(lab, "make", "genuine", "false")
    verify(LabDirectory(lab))
    assert {job.id for job in LabDirectory(lab).jobs()} == {
        job.id for job in LabDirectory(world.root / "result").jobs()
    }
    return lab


def test_a_lab_with_an_honest_ones_ids_cannot_speak_for_it(world: World) -> None:
    forged(world)
    done = world.run("--lab", "forged")
    assert done.answer["succeeded"] == 2, done
    assert world.repx("status").stdout.split("\n")[0] != ""
    assert "none" in output_of(world, "make")
    ran = world.run().answer
    assert (ran["succeeded"], ran["found"]) == (2, 0)
    assert "genuine 1" in (world.job_directories("make")[0] / "out/data.txt").read_text()


def test_an_honest_result_outlives_a_lab_that_has_its_ids(world: World) -> None:
    world.run()
    forged(world)
    assert world.run("--lab", "forged").answer["found"] == 0
    assert world.run().answer["found"] == 2
    assert world.run("--force").answer["succeeded"] == 2
    assert world.entries() == {"make 1": 3}


def test_a_complete_forged_run_does_not_make_the_honest_one_complete(world: World) -> None:
    forged(world)
    for _ in range(2):
        world.run("--lab", "forged")
    assert "nothing to run" not in world.repx("run", "--dry-run").stdout


def test_equal_labs_from_elsewhere_share_what_they_have_done(world: World) -> None:
    for name in ("one", "two"):
        shutil.copytree(world.root / "result", world.root / name, symlinks=True)
    elsewhere = world.root / "other-store"
    assert json.loads(world.repx("run", "--json", "--lab", "one", store=elsewhere).stdout)["succeeded"] == 2
    assert json.loads(world.repx("run", "--json", "--lab", "two", store=elsewhere).stdout)["found"] == 2


def no_longer_named_so(lab: Path) -> None:
    """The file of a run, under the name of the honest one, with another count of realizations."""
    run = next(path for path in lab.glob("revision/*.json") if path.name != "metadata.json")
    run.write_text(run.read_text().replace('"realizations":1', '"realizations":2'))
    seal(lab)


def other_software(lab: Path) -> None:
    (software, *_) = lab.glob("store/*-software.json")
    content = json.loads(software.read_text())
    content["commands"]["bash"] = "0" * 64
    software.write_text(json.dumps(content))
    seal(lab)


def module_beside_a_script(lab: Path) -> None:
    (lab.glob("store/*/bin/make").__next__().parent / "json.py").write_text("print('mine')\n")


def listed_module_beside_a_script(lab: Path) -> None:
    module_beside_a_script(lab)
    seal(lab)


def input_a_link(lab: Path) -> None:
    (table,) = lab.glob("store/*-table.csv")
    table.unlink()
    table.symlink_to("/etc/shadow")


def input_of_other_content(lab: Path) -> None:
    (table,) = lab.glob("store/*-table.csv")
    table.write_text("x,2\n")
    seal(lab)


def store_a_link(lab: Path) -> None:
    (lab / "store").rename(lab.parent / "moved")
    (lab / "store").symlink_to("/")


def script_may_not_run(lab: Path) -> None:
    next(lab.glob("store/*/bin/make")).chmod(0o444)


def data_may_run(lab: Path) -> None:
    next(lab.glob("store/*-table.csv")).chmod(0o755)


def script_setuid(lab: Path) -> None:
    next(lab.glob("store/*/bin/make")).chmod(0o4555)


def extra_job_link(lab: Path) -> None:
    (lab / "jobs" / ("0" * 32 + "-more-1")).symlink_to("../store")


def file_at_the_top(lab: Path) -> None:
    (lab / "sitecustomize.py").write_text("")


def empty_folder(lab: Path) -> None:
    (lab / "store/more").mkdir()


def unused_file(lab: Path) -> None:
    (lab / "store" / ("0" * 32 + "-unused")).write_text("")
    seal(lab)


def pipe_in_the_tree(lab: Path) -> None:
    os.mkfifo(lab / "readme/pipe")


def replaced(old: str, new: str) -> Callable[[Path], None]:
    """A text in the run file replaced, and every name made to fit."""

    def change(lab: Path) -> None:
        run = next(path for path in lab.glob("revision/*.json") if path.name != "metadata.json")
        text = run.read_text()
        assert old in text
        run.write_text(text.replace(old, new, 1))
        name = f"revision/{short_digest(bytes.fromhex(sha256_of(run)))}.json"
        root = lab / "revision/metadata.json"
        root.write_text(root.read_text().replace(f"revision/{run.name}", name))
        run.rename(lab / name)
        seal(lab)

    return change


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "the file of a run under another's name": (no_longer_named_so, "not what its name says"),
    "a software manifest under another's name": (other_software, "not what its name says"),
    "a module beside a script": (module_beside_a_script, "the manifest does not name it"),
    "a listed module beside a script": (listed_module_beside_a_script, "not what its name says"),
    "an input that is a link": (input_a_link, "leaves the tree"),
    "an input of other content": (input_of_other_content, "not what its name says"),
    "a store that is the whole machine": (store_a_link, "it is a link"),
    "a script that may not be executed": (script_may_not_run, "cannot be executed"),
    "data that may be executed": (data_may_run, "not what its name says"),
    "a setuid script": (script_setuid, "setuid"),
    "a job of no run": (extra_job_link, "no run has such a job"),
    "a file at the top": (file_at_the_top, "the manifest does not name it"),
    "an empty folder": (empty_folder, "the manifest does not name it"),
    "a file that nothing uses": (unused_file, "nothing in the Lab uses it"),
    "a pipe": (pipe_in_the_tree, "neither a file nor a directory"),
    "another param under the same id": (replaced('"n":1', '"n":2'), "its recipe is not the digest"),
    "another input under the same id": (replaced('"source_output":"data"', '"source_output":"date"'), "its id is not"),
    "another output of a stage": (replaced('"data":"data.txt"', '"data":"date.txt"'), "says otherwise: output.data"),
    "another number of jobs": (replaced('"digest":"', '"digest":"0'), "its digest is not that of the ids"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_lab_that_is_not_what_it_says_is_refused(case: str, world: World) -> None:
    change, reason = REFUSED[case]
    lab = copied(world)
    change(lab)
    with pytest.raises(LabError) as refused:
        verify(LabDirectory(lab))
    assert reason in str(refused.value)
    done = world.repx("run", "--lab", "tampered")
    assert (done.status, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert not world.entries()


@pytest.mark.parametrize("case", ["pipe", "endless", "directory", "loop"])
@pytest.mark.parametrize("file", ["lab/lab-metadata.json", "revision/metadata.json", "a run"])
def test_a_file_without_an_end_keeps_nobody_waiting(case: str, file: str, world: World) -> None:
    lab = copied(world)
    runs = [path for path in lab.glob("revision/*.json") if path.name != "metadata.json"]
    path = runs[0] if file == "a run" else lab / file
    path.unlink()
    if case == "pipe":
        os.mkfifo(path)
    elif case == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if case == "endless" else path.name)
    for command in (["list"], ["status"], ["run"]):
        done = world.repx(*command, "--lab", "tampered")
        assert (done.status, done.stdout) == (2, ""), done.stderr
        assert "Traceback" not in done.stderr


def test_a_job_id_that_leads_out_of_the_store_is_refused(world: World) -> None:
    lab = copied(world)
    run = next(path for path in lab.glob("revision/*.json") if path.name != "metadata.json")
    identity = next(job.id for job in LabDirectory(lab).jobs())
    run.write_text(run.read_text().replace(f'"{identity}":', '"../../etc-make-1":'))
    seal(lab)
    for command in (["log", "../../etc"], ["list", "jobs"], ["status"], ["run"], ["show", "job", "../../etc"]):
        done = world.repx(*command, "--lab", "tampered")
        assert done.status == 2, done.stdout
        assert "Traceback" not in done.stderr


def test_a_job_that_takes_from_itself_keeps_nobody_waiting(world: World) -> None:
    lab = copied(world)
    make, use = sorted((job.id for job in LabDirectory(lab).jobs()), key=lambda one: "-use-" in one)
    replaced(f'"job_id":"{make}","source_output":"data"', f'"job_id":"{use}","source_output":"result"')(lab)
    for command in (["status"], ["list", "jobs", "use", "--param", "n"], ["show", "job", "use"], ["run"]):
        done = world.repx(*command, "--lab", "tampered")
        assert done.status == 2, done.stdout
        assert "Traceback" not in done.stderr


def test_a_store_has_nothing_for_what_is_not_a_job_id() -> None:
    for text in ("../x", "x", "", "0" * 32 + "-a/b-1", "0" * 32 + "-a-1/..", "0" * 32 + "-" + "a" * 300 + "-1"):
        with pytest.raises(ValueError, match="not a job id"):
            Store("/store").job(text)


def test_a_lab_from_elsewhere_has_no_pattern_of_its_own_tried_on_our_names(world: World) -> None:
    """A regular expression can take longer than anybody waits, and it is not the user's own."""
    (world.root / "data").mkdir()
    (world.root / "data" / ("a" * 40 + "!")).touch()
    lab = copied(world)
    metadata = lab / "revision/metadata.json"
    content = json.loads(metadata.read_text())
    content["sources"]["data"] = 'names 0 any ["(a+)+",[]]'
    metadata.write_text(json.dumps(content))
    seal(lab)
    done = world.repx("run", "--lab", str(lab))
    assert done.status == 0, done.stderr
    assert "data has changed" not in done.stderr


def test_a_lab_from_elsewhere_lends_no_program_that_jobs_are_shut_in_with(world: World) -> None:
    lab = copied(world)
    program = lab / "host-tools" / "x" / "bin" / "bwrap"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    seal(lab)
    opened = LabDirectory(lab)
    assert opened.host_tool("bwrap") is None
    assert opened.owned(is_own=True).host_tool("bwrap") == str(program)

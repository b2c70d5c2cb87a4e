"""Results made again by real commands: what reproduces, what differs and why, what cannot run; nothing is touched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from repx.agent.base.files import remove_tree
from tests.runtime.world import World, a_world, tree

__all__ = ["a_world"]

KINDS = """
@bash
def steady(result: Output = out("r.txt")):
    return 'echo the same > "$result"; echo steady >> DIARY'

@bash
def chance(before: Input, result: Output = out("r.txt")):
    return 'cat "$before" > "$result"; echo "$RANDOM$RANDOM" >> "$result"'

@bash
def follows(before: Input, result: Output = out("d")):
    return 'mkdir "$result"; cp "$before" "$result/copy"; echo "$RANDOM$RANDOM" > "$result/own"'

@bash
def dated(result: Output = out("r.txt")):
    return 'echo "made on $(date)" > "$result"; date +%s.%N >> "$result"'

@bash
def placed(result: Output = out("r.txt")):
    return 'echo "in $PWD" > "$result"'

@bash(resources=Resources(cpus=2))
def threads(result: Output = out("r.txt")):
    return '[ "$OMP_NUM_THREADS" = 1 ] && echo alone > "$result" || echo "$RANDOM$RANDOM" > "$result"'

def work():
    dated(); placed(); threads()
    follows(before=chance(before=steady()))

lab = Lab(runs=[Run("work", work)])
"""


def verdicts(answer: Any) -> dict[str, str]:
    return {job["stage"]: job["verdict"] for job in answer["jobs"]}


def of_stage(answer: Any, stage: str) -> Any:
    (found,) = [job for job in answer["jobs"] if job["stage"] == stage]
    return found


def test_each_result_is_made_again_and_judged_by_itself(world: World) -> None:
    world.realize(KINDS)
    assert world.run().status == 0
    before = tree(world.store / "outputs")
    done = world.repx("verify", "--json")
    answer = done.answer
    assert done.status == 1, done.stderr
    assert verdicts(answer) == {
        "steady": "reproduced",
        **dict.fromkeys(("chance", "follows", "dated", "placed", "threads"), "differs"),
    }
    assert (answer["reproduced"], answer["differs"], answer["cannot_run"]) == (1, 5, 0)
    # Only what trying has shown is said.
    causes = {job["stage"]: job["cause"]["name"] for job in answer["jobs"] if job["cause"]}
    assert causes == {
        "chance": "randomness or time",
        "follows": "randomness or time",
        "dated": "time",
        "placed": "path",
        "threads": "thread order",
    }
    # The first of a chain is named, and what was made from it as what it is.
    chance = of_stage(answer, "chance")
    assert chance["job"] in answer["first"]
    assert of_stage(answer, "follows")["job"] not in answer["first"]
    assert of_stage(answer, "follows")["behind"] == chance["title"]
    # The copy of the stored input is the same: the input was the recorded one.
    difference = of_stage(answer, "follows")["outputs"]["result"]
    assert (difference["file"], difference["more"], difference["line"]) == ("own", 0, 1)
    assert chance["outputs"]["result"]["line"] == 2
    assert len(chance["outputs"]["result"]["before"]) == 1
    assert tree(world.store / "outputs") == before
    assert list((world.store / "tmp").iterdir()) == []


def test_all_reproduced_is_status_0_and_a_sample_is_a_part(world: World) -> None:
    world.realize(KINDS)
    assert world.run().status == 0
    done = world.repx("verify", "steady")
    assert (done.status, done.stdout) == (0, "1 result made again: 1 reproduced\n")
    assert world.entries()["steady"] == 2
    done = world.repx("verify", "--sample", "2", "--no-cause", "--json")
    assert len(done.answer["jobs"]) == 2


def test_what_has_no_result_cannot_be_verified(world: World) -> None:
    world.realize(KINDS)
    assert (done := world.repx("verify")).status == 2
    assert "there is nothing to verify" in done.stderr
    assert world.run("steady").status == 0
    assert world.repx("verify").status == 0
    done = world.repx("verify", "steady", "placed")
    assert done.status == 1
    assert "1 without a result: placed" in done.stdout
    assert world.repx("verify", "nothing").status == 2


FAILS = """
@bash
def source(result: Output = out("r.txt")):
    return 'cat CHANCE > "$result"'

@bash
def end(before: Input, result: Output = out("r.txt")):
    return 'cat "$before" > "$result"'

lab = Lab(runs=[Run("work", lambda: end(before=source()))])
"""


def test_what_fails_now_differs_and_says_how(world: World) -> None:
    chance = world.root / "chance"
    chance.write_text("one\n")
    world.realize(FAILS.replace("CHANCE", str(chance)))
    assert world.run().status == 0
    chance.write_text("two\n")
    done = world.repx("verify", "--json")
    assert verdicts(done.answer) == {"source": "differs", "end": "reproduced"}
    cause = of_stage(done.answer, "source")["cause"]
    assert cause["name"] == "the machine, or what has changed on it"
    chance.unlink()
    done = world.repx("verify", "--json")
    assert "it had succeeded, and fails now: exit status 1" in of_stage(done.answer, "source")["why"]


def test_a_damaged_input_is_no_reason_to_blame_a_job(world: World) -> None:
    (world.root / "chance").write_text("one\n")
    world.realize(FAILS.replace("CHANCE", str(world.root / "chance")))
    assert world.run().status == 0
    (directory,) = world.job_directories("source")
    file = directory / "out" / "r.txt"
    file.chmod(0o644)
    file.write_text("ten\n")
    answer = world.repx("verify", "--json").answer
    assert verdicts(answer) == {"source": "reproduced", "end": "cannot run"}
    assert "its input before is not what its record says" in of_stage(answer, "end")["why"]


PARTS = """
@bash
def split(items: Output = out("items.json")):
    return 'echo "[1, 2]" > "$items"'

@bash
def work(item: WorkItem, one: Output = out("one.txt")):
    return 'if [ "$(< "$item")" = 2 ]; then echo $RANDOM$RANDOM; else echo 1; fi > "$one"'

@bash
def collect(ones: Inputs, all: Output = out("all.txt")):
    return 'cat "${ones[@]}" > "$all"'

@scatter_gather(scatter=split, gather=collect)
def parts(item: WorkItem):
    return work(item=item)

@bash
def count(sweep: Results, summary: Output = out("summary.txt")):
    return 'grep -c succeeded "$sweep" > "$summary"'

@bash(realizations=2)
def noisy(result: Output = out("r.txt"), *, index: int = 0):
    return 'echo "$index" > "$result"'

sweep = Run("sweep", lambda: (parts(), noisy()))
lab = Lab(runs=[sweep, Run("report", count, after=[sweep])])
"""


def test_parts_realizations_and_results_of_runs_are_made_again_as_well(world: World) -> None:
    world.realize(PARTS)
    assert world.run().status == 0
    answer = world.repx("verify", "--json", "--no-cause").answer
    told = sorted((job["stage"], job["index"], job["verdict"]) for job in answer["jobs"])
    assert told == [
        ("collect", 0, "reproduced"),
        ("count", 0, "reproduced"),
        ("noisy", 0, "reproduced"),
        ("noisy", 1, "reproduced"),
        ("split", 0, "reproduced"),
        ("work", 0, "differs"),
        ("work", 0, "reproduced"),
    ]
    (step,) = [job["job"] for job in answer["jobs"] if job["verdict"] == "differs"]
    assert world.repx("verify", step[:12], "--no-cause").status == 1
    (other,) = [job["job"] for job in answer["jobs"] if job["stage"] == "work" and job["verdict"] == "reproduced"]
    assert world.repx("verify", other[:12]).stdout == "1 result made again: 1 reproduced\n"


def damaged(world: World) -> tuple[str, str]:
    """Change a byte of the source's result, without a new look: the size and the times are as they were."""
    (world.root / "chance").write_text("one\n")
    world.write(FAILS.replace("CHANCE", str(world.root / "chance")))
    assert world.repx("run", "experiment.py").status == 0
    (directory,) = world.job_directories("source")
    file = directory / "out" / "r.txt"
    before = file.stat()
    file.chmod(0o644)
    file.write_text("ten\n")
    file.chmod(before.st_mode & 0o777)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    return directory.name, str(file)


def test_a_whole_store_is_whole(world: World) -> None:
    world.realize(PARTS)
    assert world.run().status == 0
    before = tree(world.store / "outputs")
    done = world.repx("verify", "--store")
    assert (done.status, done.stdout) == (0, f"{world.store}: 7 results, 1 Lab: nothing damaged\n")
    assert tree(world.store / "outputs") == before
    assert world.repx("verify", "--lab").stdout == "result: it is what its manifest says\n"


def test_a_damaged_result_is_put_aside_and_made_again(world: World) -> None:
    job, _ = damaged(world)
    assert world.run().answer["found"] == 2
    done = world.repx("verify", "--store", "--json")
    assert done.status == 1
    (damage,) = done.answer["damages"]
    assert (damage["kind"], damage["name"]) == ("result", job)
    assert (Path(damage["moved"]) / "out" / "r.txt").read_text() == "ten\n"
    assert world.run().answer["found"] == 1
    assert world.output("source", "r.txt") == "one\n"
    assert world.repx("verify", "--store").status == 0


def test_a_damaged_key_and_stage_are_put_aside_and_a_damaged_lab_heals(world: World) -> None:
    damaged(world)
    world.repx("verify", "--store")
    for folder in ("keys", "stages"):
        next(iter((world.store / folder).iterdir())).unlink()
        file = world.store / folder / ("0" * 32)
        file.write_text("nonsense\n")
    (lab,) = (world.store / "labs").iterdir()
    script = next(path for path in lab.glob("store/*/bin/*") if path.is_file())
    script.parent.chmod(0o755)
    script.chmod(0o755)
    script.write_bytes(script.read_bytes() + b"\n")
    done = world.repx("verify", "--store", "--json")
    assert sorted(one["kind"] for one in done.answer["damages"]) == ["key", "lab", "stage"]
    assert world.repx("verify", "--lab").status == 2
    assert world.repx("run").status == 2
    assert world.repx("run", "experiment.py").status == 0
    assert world.repx("verify", "--store").status == 0


ALIKE = """
@bash
def made(result: Output = out("r.txt"), *, name: str):
    return 'echo "${#name}" > "$result"'

@bash
def taken(before: Input, result: Output = out("r.txt")):
    return 'echo taken >> DIARY; cat "$before" CHANCE > "$result"'

lab = Lab(runs=[Run("work", lambda: [taken(before=made(name=name)) for name in ("ab", "cd")])])
"""


def test_what_was_adopted_is_made_by_its_own_job_and_of_what_was_collected_digests_are_compared(world: World) -> None:
    chance = world.root / "chance"
    chance.write_text("one\n")
    world.realize(ALIKE.replace("CHANCE", str(chance)))
    for name in ("ab", "cd"):
        assert world.run(f"taken[name={name}]").status == 0
    assert world.entries() == {"taken": 1}
    answer = world.repx("verify", "taken", "--json").answer
    assert [job["verdict"] for job in answer["jobs"]] == ["reproduced", "reproduced"]
    (adopted,) = [job["adopted_from"] for job in answer["jobs"] if job["adopted_from"]]
    assert world.entries() == {"taken": 3}
    # As a collection leaves it: the record without its outputs.
    directory = world.store / "outputs" / adopted
    (directory / "record.jsonl").rename(directory / "collected.jsonl")
    remove_tree(str(directory / "out"))
    assert world.repx("verify", adopted).status == 0
    chance.write_text("two\n")
    done = world.repx("verify", adopted, "--no-cause")
    assert done.status == 1
    assert "result: its digest differs; its bytes are not there to be compared, they were collected" in done.stdout
    # What takes from something that was collected has nothing to be run with.
    for upstream in world.job_directories("made"):
        (upstream / "record.jsonl").rename(upstream / "collected.jsonl")
        remove_tree(str(upstream / "out"))
    answer = world.repx("verify", adopted, "--json").answer
    assert [(job["verdict"], job["why"].partition(" was")[0]) for job in answer["jobs"]] == [
        ("cannot run", "its input before")
    ]


def test_what_somebody_works_on_is_left_for_the_next_look(world: World) -> None:
    world.realize(
        """
@bash
def slow(result: Output = out("r.txt")):
    return 'echo slow >> DIARY; until [ -e GATE ]; do sleep 0.05; done; echo 1 > "$result"'

lab = Lab(runs=[Run("work", slow)])
""".replace("GATE", str(world.root / "gate"))
    )
    (world.root / "gate").touch()
    assert world.run().status == 0
    (world.root / "gate").unlink()
    (directory,) = world.job_directories("slow")
    (directory / "out" / "r.txt").chmod(0o644)
    (directory / "out" / "r.txt").write_text("2\n")
    world.diary.write_text("")
    running = world.start("run", "--force", "slow")
    world.wait_for_entry("slow")
    done = world.repx("verify", "--store", "--json")
    assert (done.status, done.answer["busy"], done.answer["damages"]) == (1, 1, [])
    (world.root / "gate").touch()
    assert running.end().status == 0
    assert world.repx("verify", "--store").status == 0
    assert world.output("slow", "r.txt") == "1\n"


def test_commonest_mistakes(world: World) -> None:
    world.realize(FAILS.replace("CHANCE", str(world.diary)))
    assert world.run().status == 0
    for argv, said in (
        (("--store", "nowhere"), "there is no store at nowhere"),
        (("--lab", "--sample", "2"), "checks files, and runs no job"),
        (("--sample", "0"), "invalid value for '--sample'"),
        (("source[n=1]",), "there is no param 'n'"),
        (("--isolation", "bwrap"), "shuts jobs in with the closure of their Lab"),
    ):
        done = world.repx("verify", *argv)
        assert done.status == 2, argv
        assert said in done.stderr, done.stderr
    assert not (world.root / "nowhere").exists()
    assert world.repx("verify", "--isolation", "native").status == 0

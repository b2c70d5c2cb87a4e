"""Jobs done by hand: what is in place there, what goes, what is kept and says so; by the command and from Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from repx.agent.base.record import decode_attempts, decode_outcome
from tests.runtime.world import World, a_world, tree

__all__ = ["a_world"]

CHAIN = """
@bash
def source(result: Output = out("r.txt"), *, text: str = "one"):
    return 'echo "$text" > "$result"; echo source >> DIARY'

@bash(env={"LEVEL": "7"})
def broken(before: Input, result: Output = out("sub/r.txt"), other: Output = out("o.txt"), *, factor: int = 3):
    return 'echo broken >> DIARY; exit 5'

@stage(packages=["python3"])
def end(before: Input, result: Output = out("r.txt"), *, wide: bool = True):
    result.write_text(before.read_text() + str(wide))

def work():
    end(before=broken(before=source()).result)

lab = Lab(runs=[Run("work", work)])
"""


def test_a_command_finds_what_the_job_would_find_and_all_goes_at_the_end(world: World) -> None:
    world.realize(CHAIN)
    assert world.run().status == 1
    before = tree(world.store / "outputs")
    text = """cat "$before"; echo "$factor $LEVEL $TZ ${HOME##*/} ${outputs[other]##*/}"; ls; touch o.txt"""
    done = world.repx("debug-run", "broken", "-c", text)
    assert (done.status, done.stdout) == (0, "one\n3 7 UTC home o.txt\nsub\n"), done.stderr
    assert world.repx("debug-run", "broken", "-c", "run_job").status == 5
    assert world.entries()["broken"] == 2
    assert tree(world.store / "outputs") == before
    assert list((world.store / "tmp").iterdir()) == []


def test_what_is_kept_says_that_it_was_made_by_hand_and_is_taken_by_those_who_follow(world: World) -> None:
    world.realize(CHAIN)
    world.run()
    done = world.repx("debug-run", "broken", "--keep", "-c", 'echo mine > "$result"')
    assert done.status == 1
    assert "did not make: other" in done.stderr
    make = 'echo mine > "$result"; echo more > "$other"'
    assert world.repx("debug-run", "broken", "--keep", "-c", make + "; exit 3").status == 1
    assert world.repx("debug-run", "broken", "--keep", "-c", make).status == 0
    (directory,) = world.job_directories("broken")
    data = (directory / "record.jsonl").read_bytes()
    assert decode_outcome(data).is_private
    assert decode_attempts(data)[-1].detail == "made by hand: " + make
    assert "made by hand" in world.repx("show", "job", "broken").stdout
    assert world.run().status == 0
    assert world.output("end", "r.txt") == "mine\nTrue"
    # A result is not replaced by chance.
    again = 'echo other > "$result"; echo more > "$other"'
    done = world.repx("debug-run", "broken", "--keep", "-c", again)
    assert (done.status, done.stderr.splitlines()[0]) == (1, "error: nothing is kept: the job has a result")
    assert world.repx("debug-run", "broken", "--keep", "--replace", "-c", again).status == 0
    assert world.run().status == 0
    assert world.output("end", "r.txt") == "other\nTrue"
    done = world.repx("verify", "broken")
    assert "made by hand" in done.stdout


def test_commonest_mistakes(world: World) -> None:
    world.realize(CHAIN)
    for argv, said in (
        (("source",), "a shell needs a terminal"),
        (("broken", "-c", "true"), "what broken takes has no result yet"),
        (("source", "-c", "true", "--index", "2"), "has 1 realization; there is no index 2"),
        (("nothing", "-c", "true"), "there is no run, group, stage or job 'nothing'"),
        (("source", "-c", "true", "--replace"), "--replace goes with --keep"),
    ):
        done = world.repx("debug-run", *argv)
        assert done.status == 2, argv
        assert said in done.stderr, argv


SCRIPT = """
import json, os, sys
import repx
from experiment import broken, source

here = os.getcwd()
with repx.debug(broken(before=source(text="two"))) as job:
    told = {"before": job.inputs["before"].read_text(), "params": job.params, "here": os.getcwd() == here}
    told["status"] = job.run("echo by a command > o.txt")
    job.outputs["result"].write_text("from Python")
    told["kept"] = (job.keep() / "sub" / "r.txt").read_text()
print(json.dumps({**told, "gone": not job.out.exists()}))
"""


def test_from_python(world: World) -> None:
    world.write(CHAIN)
    (world.root / "by_hand.py").write_text(SCRIPT)
    env = {**os.environ, "REPX_STORE": str(world.store)}
    done = subprocess.run(
        [sys.executable, "by_hand.py"], cwd=world.root, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "before": "two\n",
        "params": {"factor": 3},
        "here": True,
        "status": 0,
        "kept": "from Python",
        "gone": True,
    }

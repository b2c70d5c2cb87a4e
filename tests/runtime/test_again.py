"""What runs again and what does not: forced, removed, changed upstream, further realizations, dry runs."""

from __future__ import annotations

import pytest

from repx.agent.base.record import decode_attempts
from tests.runtime.world import World, a_world, tree

__all__ = ["a_world"]

CHAIN = """
@bash
def source(result: Output = out("r.txt")):
    return 'echo source >> DIARY; cat CHANCE > "$result"'

@bash
def middle(before: Input, result: Output = out("r.txt")):
    return 'echo middle >> DIARY; echo "<$(cat "$before")>" > "$result"'

@bash
def end(before: Input, result: Output = out("r.txt")):
    return 'echo end >> DIARY; echo "[$(cat "$before")]" > "$result"'

def work():
    end(before=middle(before=source()))

lab = Lab(runs=[Run("work", work)])
"""


def chain(world: World) -> None:
    """A chain whose first stage is not deterministic: it says what stands in a file outside."""
    chance(world, "one")
    world.realize(CHAIN.replace("CHANCE", str(world.root / "chance")))


def chance(world: World, text: str) -> None:
    (world.root / "chance").write_text(text + "\n")


def test_a_second_run_runs_nothing(world: World) -> None:
    chain(world)
    first = world.run()
    assert (first.answer["jobs"], first.answer["found"], first.answer["succeeded"]) == (3, 0, 3)
    before = tree(world.store / "outputs")
    second = world.run()
    assert (second.status, second.answer["found"]) == (0, 3)
    assert world.repx("run").stdout.startswith("all 3 jobs are done; nothing to run")
    assert world.entries() == {"source": 1, "middle": 1, "end": 1}
    assert tree(world.store / "outputs") == before
    for argv in ((), ("--dry-run",), ("experiment.py",), ("experiment.py", "--dry-run")):
        done = world.repx("run", *argv, "--target", "nope")
        assert (done.status, done.stderr.splitlines()[0]) == (2, "error: there is no target 'nope'"), argv


def test_a_configuration_that_is_not_valid_is_told_although_all_is_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(world)
    world.run()
    (world.root / "config.toml").write_text("[targets.local]\nisolation = 3\n")
    monkeypatch.setenv("REPX_CONFIG", str(world.root / "config.toml"))
    done = world.repx("run")
    assert done.status == 2
    assert "config.toml is not valid" in done.stderr


def test_forced_with_other_bytes_runs_what_follows_under_the_same_ids(world: World) -> None:
    chain(world)
    world.run()
    ids = world.job_directories()
    chance(world, "two")
    assert world.run("--force", "source").answer["found"] == 0
    assert world.run().status == 0
    assert world.entries() == {"source": 2, "middle": 2, "end": 2}
    assert world.output("end", "r.txt") == "[<two>]\n"
    assert world.job_directories() == ids
    # Switching back costs nothing: what was displaced becomes current again.
    chance(world, "one")
    assert world.run("--force", "source").status == 0
    assert world.run().answer["found"] == 3
    assert world.entries() == {"source": 3, "middle": 2, "end": 2}
    assert world.output("end", "r.txt") == "[<one>]\n"


def test_forced_with_equal_bytes_runs_only_itself(world: World) -> None:
    chain(world)
    world.run()
    assert world.run("--force", "source").status == 0
    assert world.run().answer["found"] == 3
    assert world.entries() == {"source": 2, "middle": 1, "end": 1}


def test_a_forced_failure_keeps_the_result(world: World) -> None:
    chain(world)
    world.run()
    (world.root / "chance").unlink()
    assert world.run("--force", "source").status == 1
    assert world.output("source", "r.txt") == "one\n"
    assert world.run().answer["found"] == 3


def test_removed_outputs_run_again(world: World) -> None:
    chain(world)
    world.run()
    (directory,) = world.job_directories("middle")
    (directory / "out").chmod(0o755)
    (directory / "out" / "r.txt").unlink()
    assert world.run().answer["found"] == 2
    assert world.entries() == {"source": 1, "middle": 2, "end": 1}
    assert world.output("middle", "r.txt") == "<one>\n"


def test_an_output_directory_removed_and_made_with_other_bytes(world: World) -> None:
    chain(world)
    world.run()
    (directory,) = world.job_directories("source")
    old = world.outcome("source")
    (directory / "out").rename(world.root / "taken")
    chance(world, "two")
    assert world.run().status == 0
    assert world.entries() == {"source": 2, "middle": 2, "end": 2}
    # The record speaks of what is there now.
    assert world.outcome("source").key == old.key
    assert world.outcome("source").outputs != old.outputs
    assert world.run().answer["found"] == 3


def test_all_results_removed(world: World) -> None:
    chain(world)
    world.run()
    entries = world.entries()
    world.forget()
    assert world.run().answer["found"] == 0
    assert world.entries() == entries


def test_a_dry_run_says_at_most_and_writes_nothing(world: World) -> None:
    chain(world)
    before = tree(world.root / "store")
    said = world.repx("run", "--dry-run", "--json")
    because = {"source": {"never ran": 1}, "middle": {"after others": 1}, "end": {"after others": 1}}
    would_run = {"source": 1, "middle": 1, "end": 1}
    plan = {name: said.answer[name] for name in ("run", "reuse", "because", "at_most")}
    assert plan == {"run": would_run, "reuse": {}, "because": because, "at_most": True}
    assert "at most" in world.repx("run", "--dry-run").stdout
    assert tree(world.store) == before
    world.run("source")
    before = tree(world.store)
    said = world.repx("run", "--dry-run", "--json")
    assert said.answer["reuse"] == {"source": 1}
    assert said.answer["run"] == {"middle": 1, "end": 1}
    assert world.repx("run", "--dry-run", "--json", "--force", "source").answer["run"] == {"source": 1}
    assert tree(world.store) == before
    assert world.entries() == {"source": 1}


def test_a_dry_run_of_an_experiment_makes_no_lab(world: World) -> None:
    chance(world, "one")
    world.write(CHAIN.replace("CHANCE", str(world.root / "chance")))
    said = world.repx("run", "experiment.py", "--dry-run", "--json")
    assert said.status == 0, said.stderr
    assert said.answer["run"] == {"source": 1, "middle": 1, "end": 1}
    assert not world.store.exists()
    assert not (world.root / "result").is_symlink()


MANY = """
import repx

@stage(packages=["python3"], realizations=COUNT)
def draw(result: Output = out("r.txt"), *, index: int = 0):
    with open("DIARY", "a") as diary:
        diary.write(f"draw {index}\\n")
    result.write_text(f"drawn {index}")

@bash(realizations=COUNT)
def plain(result: Output = out("r.txt")):
    return 'sleep 0.3; echo plain >> DIARY; date +%N > "$result"'

@bash
def use(before: Input, result: Output = out("r.txt")):
    return 'echo use >> DIARY; cat "$before" > "$result"'

def work():
    use(before=repx.first(draw()))
    plain()

lab = Lab(runs=[Run("work", work)])
"""


def test_realizations(world: World) -> None:
    world.realize(MANY.replace("COUNT", "3"))
    done = world.run("-j", "3")
    assert done.status == 0, done.stderr
    assert world.entries() == {"draw 0": 1, "draw 1": 1, "draw 2": 1, "plain": 3, "use": 1}
    (directory,) = world.job_directories("draw")
    assert (directory / "out" / "r.txt").read_text() == "drawn 0"
    for index in (1, 2):
        (further,) = directory.glob(f"{index}-*")
        assert (further / "out" / "r.txt").read_text() == f"drawn {index}"
        assert (further / "record.jsonl").is_file()
    assert world.output("use", "r.txt") == "drawn 0"
    assert world.run().answer["found"] == 7
    # More of them later makes only the missing ones, under the same id.
    world.realize(MANY.replace("COUNT", "5"))
    assert world.run("-j", "3").answer["found"] == 7
    assert world.entries() == {**{f"draw {index}": 1 for index in range(5)}, "plain": 5, "use": 1}
    assert world.job_directories("draw") == [directory]


def test_realizations_of_one_job_run_at_once(world: World) -> None:
    world.realize(MANY.replace("COUNT", "3"))
    assert world.run("-j", "3", "plain").status == 0
    (directory,) = world.job_directories("plain")
    records = [directory / "record.jsonl", *directory.glob("[12]-*/record.jsonl")]
    attempts = [decode_attempts(record.read_bytes())[0] for record in records]
    assert len(attempts) == 3
    assert max(attempt.start for attempt in attempts) < min(attempt.end for attempt in attempts)

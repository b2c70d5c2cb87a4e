"""Two users with a store each, an experiment with everything that a result can have, and real commands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.digest import tree_digest
from repx.agent.base.files import walk
from tests.runtime.world import Done, World

EXPERIMENT = """
import repx
@bash
def make(data: Output = out("data.txt"), *, seed: int):
    return '''
        echo make >> DIARY
        echo "$seed" > "$data"; echo extra > more.txt; mkdir empty
        [ "$seed" != 1 ] || head -c 70000 /dev/zero | tr '\\\\0' x >&2
    '''

@bash
def double(data: Input, table: Output = out("sub/table.csv"), extra: Output = out("extra"), *, factor: int = 2):
    return '''
        echo double >> DIARY
        read n < "$data"; echo "$((n * factor))" > "$table"
        mkdir "$extra"; echo one > "$extra/one.txt"; ln -s one.txt "$extra/link"; chmod +x "$extra/one.txt"
    '''

@bash
def split(data: Input, items: Output = out("items.json")):
    return '''echo split >> DIARY; echo '[1, 2, 2]' > "$items" '''

@bash
def work(item: WorkItem, one: Output = out("one.txt")):
    return '''echo work >> DIARY; cat "$item" > "$one" '''

@bash
def collect(ones: Inputs, all: Output = out("all.txt")):
    return '''echo collect >> DIARY; cat "${ones[@]}" > "$all" '''

@scatter_gather(scatter=split, gather=collect)
def parts(item: WorkItem):
    return work(item=item)

@bash
def report(sweep: Results, raw: Input, summary: Output = out("summary.txt")):
    return '''echo report >> DIARY; grep -c succeeded "$sweep" > "$summary"; cat "$raw" >> "$summary" '''

@bash(realizations=2)
def noisy(noise: Output = out("noise.txt"), *, index: int = 0):
    return '''echo noisy >> DIARY; echo "$index" > "$noise" '''

@bash
def pick(noises: Inputs, best: Input, sum: Output = out("sum.txt")):
    return '''echo pick >> DIARY; cat "${noises[@]}" "$best" > "$sum" '''

def choose():
    noise = noisy()
    pick(noises=repx.every(noise), best=repx.best(noise, largest="noise"))

def simulate():
    double(data=make().data)

sweep = Run("sweep", simulate, params={"seed": [1, 2]})
scatter = Run("scatter", lambda: parts(data=make(seed=1).data))
strict = Run("strict", report, after=[sweep], params={"raw": repx.files("raw")})
lab = Lab(runs=[sweep, scatter, strict, Run("repeat", noisy), Run("choose", choose)])
"""

RESULTS = 12
"""Two of make and double each, split, two of work, collect, report, two of noisy, pick."""


class Neighbours:
    """`here` is a copy of a world that has realized and run the experiment, `there` is empty.

    The diary is that of the first world, where the experiment was written.
    """

    def __init__(self, root: Path, first: World) -> None:
        for name in ("here", "there"):
            (root / name).mkdir()
        self.root = root
        self.diary = first.diary
        self.here = World(root / "here")
        self.there = World(root / "there")
        for name in ("store", "raw", "experiment.py"):
            source, target = first.root / name, self.here.root / name
            shutil.copytree(source, target, symlinks=True) if source.is_dir() else shutil.copy(source, target)
        (lab,) = (self.here.store / "labs").iterdir()
        (self.here.root / "result").symlink_to(lab)

    def realize_there(self, text: str = EXPERIMENT) -> None:
        """Realize the same experiment, or another."""
        shutil.copytree(self.here.root / "raw", self.there.root / "raw")
        self.there.realize(text.replace("DIARY", str(self.diary)))

    def nothing_runs(self, world: World) -> bool:
        """Whether all is done there, so that a run runs nothing."""
        done = world.run()
        assert done.status == 0, done.stderr
        return bool(done.answer["found"] == done.answer["jobs"])


@pytest.fixture(name="first", scope="module")
def the_first_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Where the experiment was realized and run."""
    made = World(tmp_path_factory.mktemp("first"))
    (made.root / "raw").mkdir()
    (made.root / "raw" / "notes.txt").write_text("some notes\n")
    made.realize(EXPERIMENT)
    assert made.run().status == 0
    yield made
    made.tidy()


@pytest.fixture(name="neighbours")
def a_pair_of_neighbours(first: World, tmp_path: Path) -> Iterator[Neighbours]:
    """Two of them; `here` is ready."""
    made = Neighbours(tmp_path, first)
    yield made
    made.here.tidy()
    made.there.tidy()


def ok(done: Done) -> Done:
    """A command that must have ended well."""
    assert done.status == 0, done.stderr + done.stdout
    return done


def contents(store: Path, *, is_settled: bool = True) -> dict[str, str]:
    """Every result of a store by its place: the digest of all that its `out` holds.

    Nothing half-written is there, unless somebody was killed and it is not settled yet.
    """
    found = {}
    for record in sorted((store / "outputs").rglob("record.jsonl")):
        if "out" not in record.relative_to(store / "outputs").parts:
            found[str(record.parent.relative_to(store / "outputs"))] = tree_digest(str(record.parent / "out"))
    if not (store / "outputs").is_dir():
        return {}
    left = [path for path in walk(str(store / "outputs")) if Path(path).name in ("pending", "claim")]
    assert not (left and is_settled), left
    return found


def is_tidy(store: Path) -> bool:
    """Whether nothing is left of what was being made."""
    return not list((store / "tmp").iterdir())

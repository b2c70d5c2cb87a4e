"""Results have the same modes whoever made them; what a job leaves that is somebody else's harms no other job."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from tests.machine import needs
from tests.ordinary import NOBODY, OrdinaryUser
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

MODES = """
@bash
def work(result: Output = out("d")):
    return '''
        umask 077; mkdir "$result" "$result/shut"; echo > "$result/shut/private"; echo > "$result/program"
        chmod 700 "$result/program"; umask 000; echo > "$result/open"; chmod 1777 "$result"; ln -s open "$result/link"
    '''

lab = Lab(runs=[Run("run", work)])
"""


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_modes_of_a_result_depend_neither_on_its_maker_nor_on_a_umask(world: World, umask: int) -> None:
    before = os.umask(umask)
    try:
        world.realize(MODES)
        assert world.run().status == 0
    finally:
        os.umask(before)
    (job,) = world.job_directories("work")
    found = {
        str(path.relative_to(job)): path.lstat().st_mode & 0o7777 for path in [job / "out", *job.rglob("out/**/*")]
    }
    assert found.pop("out/d/link") == 0o777
    assert found == {
        "out": 0o555, "out/d": 0o555, "out/d/shut": 0o555, "out/d/shut/private": 0o444, "out/d/program": 0o555,
        "out/d/open": 0o444,
    }  # fmt: skip


SHARED = """
@bash
def spoiled(result: Output = out("r.txt")):
    return '''
        if [[ -e DIARY.done ]]; then echo > "$result"; exit; fi
        mkdir -p "$out" "$TMPDIR/t"; echo > "$result"; echo "$PWD $TMPDIR" > DIARY.new; mv DIARY.new DIARY.place
        for _ in $(seq 300); do [[ -e DIARY.go ]] && break; sleep 0.1; done
    '''

@bash
def after(result: Output = out("r.txt"), *, n: int):
    return 'ls -A "$TMPDIR" > "$result"'

lab = Lab(runs=[Run("run", spoiled), Run("others", after, params={"n": [1, 2]})])
"""


@pytest.fixture(name="owned")
def a_world_of_nobody() -> Iterator[World]:
    """One that belongs to an ordinary user."""
    needs(os.geteuid() == 0, "only root can become somebody else")
    root = Path(tempfile.mkdtemp(prefix="repx-owned-", dir="/tmp"))
    try:
        world = World(root)
        for path in (root, *root.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        yield world
        world.tidy()
    finally:
        remove_tree(str(root))


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_is_somebody_elses_fails_its_job_and_no_other(owned: World, ordinary: OrdinaryUser, kind: str) -> None:
    owned.write(SHARED)
    command = ordinary.command("run", "experiment.py", "-k", "-j", "1", folder=owned.root)
    place, go, done = (Path(f"{owned.diary}.{name}") for name in ("place", "go", "done"))
    first = owned.start_program(*command, env={"HOME": str(owned.root)})
    owned.wait_until(lambda: place.exists() or first.poll() is not None)
    with contextlib.suppress(FileNotFoundError):
        for folder in map(Path, place.read_text().split()):
            if kind == "file":
                (folder / "theirs").write_text("x")
            (folder / "kept").mkdir(mode=0o755)
            (folder / "kept" / "x").write_text("x")
    go.touch()
    ended = first.end()
    assert ended.status == 1, ended.stderr
    assert "what the script left cannot be kept: $out/" in ended.stdout
    assert "Operation not permitted" in ended.stdout
    assert "Traceback" not in ended.stderr
    assert [path.read_text() for path in sorted(owned.store.glob("outputs/*-after-1/out/r.txt"))] == ["", ""]
    (attempt,) = owned.attempts("spoiled", "failure.jsonl")
    assert (attempt.cause, attempt.exit) == ("output", 0)

    done.touch()
    again = owned.start_program(*command, env={"HOME": str(owned.root)}).end()
    assert (again.status, again.stdout.splitlines()[-1]) == (0, "1 job ran, 2 were done"), again.stderr

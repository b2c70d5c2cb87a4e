"""bubblewrap for who is not root, and where the kernel forbids it: it works, or one sentence says why it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from repx.agent.base.record import decode_attempts
from tests.machine import needs, needs_programs
from tests.ordinary import AS_NOBODY, NOBODY
from tests.real.worlds import World, world

pytestmark = pytest.mark.real

EXPERIMENT = """
@bash
def first(made: Output = out("made.txt"), folder: Output = out("folder")):
    return 'id -u > "$made"; mkdir "$folder"; echo deep > "$folder/deep.txt"; umask 077; echo mine > "$folder/private"'

@stage(packages=["python3"], resources=Resources(mem="200M", cpus=1))
def second(made: Input, folder: Input, told: Output = out("told.txt")):
    import os
    told.write_text(f"{made.read_text()}{(folder / 'deep.txt').read_text()}{os.getuid()}")

def work():
    one = first()
    second(made=one.made, folder=one.folder)

lab = Lab([Run("work", work)], packages=packages)
"""

WITHOUT_RIGHTS = (*AS_NOBODY, "--inh-caps=-all")

# In a user namespace its maker says how many more there may be; without its rights there, bubblewrap needs one.
FORBIDDEN = (
    "unshare", "-Ur", "sh", "-euc",
    'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --inh-caps=-all --bounding-set=-all "$@"', "sh",
)  # fmt: skip


@dataclass(frozen=True)
class Realized:
    """A Lab that everybody may read, and its own `repx`."""

    world: World
    lab: Path
    place: Path

    def start(self, *words: str, by: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
        (runner,) = (self.lab / "host-tools").glob("*/bin/repx")
        command = [*by, str(runner), *words, "--lab", str(self.lab), "--store", str(self.place / "store")]
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.place), "LANG": "C.UTF-8", **environment}
        return subprocess.run(command, cwd=self.place, env=clean, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def lab(common_store: Path) -> Iterator[tuple[World, Path]]:
    needs_programs("bwrap", "setpriv", "unshare")
    with world(common_store) as made:
        path = made.realize(EXPERIMENT)
        for directory in (made.folder, common_store.parent, common_store, path.parent, path):
            directory.chmod(0o755)
        yield made, path


@pytest.fixture
def realized(lab: tuple[World, Path], request: pytest.FixtureRequest) -> Realized:
    made, path = lab
    place = made.folder / request.node.name
    place.mkdir()
    place.chmod(0o777)
    return Realized(made, path, place)


def test_an_ordinary_user_shuts_jobs_in_as_well(realized: Realized) -> None:
    needs(os.geteuid() == 0, "only root can become somebody else")
    done = realized.start("run", "--bwrap", by=WITHOUT_RIGHTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert realized.start("show", "output", "second", "told", by=WITHOUT_RIGHTS).stdout == "1000\ndeep\n1000"
    results = [path for path in (realized.place / "store" / "outputs").rglob("*") if path.is_file()]
    assert len(results) > 4
    assert {path.stat().st_uid for path in results} == {NOBODY}
    assert list((realized.place / "store" / "tmp").iterdir()) == []
    again = realized.start("run", "--bwrap", by=WITHOUT_RIGHTS)
    assert again.returncode == 0
    assert "2 jobs" in again.stdout
    assert "ran" not in again.stdout


def test_what_is_asked_for_and_forbidden_is_one_clear_error(realized: Realized) -> None:
    refused = realized.start("run", "--bwrap", by=FORBIDDEN)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert refused.stdout == ""
    first, second = refused.stderr.splitlines()
    assert first.startswith("error: --bwrap does not work on this machine: ")
    assert first.endswith("(user.max_user_namespaces = 0 forbids user namespaces)")
    assert second == "hint: see what does: repx doctor"
    assert not (realized.place / "store" / "outputs").exists()


def test_without_a_flag_the_next_that_works_is_taken_and_it_is_said(realized: Realized) -> None:
    """A Lab's own repx reads no configuration, so this is the one that is installed."""
    config = realized.place / "config.toml"
    config.write_text('[targets.local]\nisolation = ["bwrap", "native"]\n')
    command = [sys.executable, "-c", "from repx.cli.main import main; main()", "run", "--lab", str(realized.lab)]
    done = subprocess.run(
        [*FORBIDDEN, *command, "--store", str(realized.place / "store")],
        cwd=realized.place,
        env={**realized.world.environment, "REPX_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (notice,) = [line for line in done.stderr.splitlines() if "no sandbox" in line]
    assert "bwrap: " in notice
    assert "user.max_user_namespaces = 0 forbids user namespaces" in notice
    for record in (realized.place / "store" / "outputs").glob("*/record.jsonl"):
        assert decode_attempts(record.read_bytes())[-1].isolation == ""

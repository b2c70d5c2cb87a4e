"""Results made again, and jobs done by hand, in a bubblewrap sandbox: nothing of where they run is seen there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import needs_programs
from tests.real.worlds import World, world

pytestmark = pytest.mark.real

EXPERIMENT = """
@bash
def source(made: Output = out("made.txt"), *, n: int = 3):
    return 'echo "$n" > "$made"'

@bash
def placed(before: Input, said: Output = out("said.txt")):
    return 'echo "$PWD $before $TMPDIR $HOME" > "$said"; cat "$before" >> "$said"'

@bash
def drawn(said: Output = out("said.txt")):
    return 'echo "$RANDOM$RANDOM" > "$said"'

def work():
    placed(before=source())
    drawn()

lab = Lab(runs=[Run("work", work)], packages=packages)
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The Lab of EXPERIMENT after a run in bubblewrap."""
    needs_programs("nix", "bwrap")
    with world(tmp_path_factory.mktemp("store")) as found:
        found.realize(EXPERIMENT)
        found.repx("run", "--bwrap")
        yield found


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {job["stage"]: job["verdict"] for job in json.loads(done.stdout)["jobs"]}


def test_what_a_sandbox_hides_reproduces_in_it(done: World) -> None:
    shown = done.start("verify", "--json", "--bwrap")
    assert answer(shown) == {"source": "reproduced", "placed": "reproduced", "drawn": "differs"}, shown.stderr


def test_a_command_by_hand_is_shut_in_as_the_job_is(done: World, tmp_path: Path) -> None:
    text = f'pwd; cat "$before"; ls -d {tmp_path} 2> /dev/null; touch /x 2> /dev/null || echo read-only; run_job'
    shown = done.start("debug-run", "placed", "--bwrap", "-c", text + '; cat "$said"')
    assert shown.stdout == "/repx/out\n3\nread-only\n/repx/out /repx/in/before/made.txt /tmp /tmp\n3\n", shown.stderr

"""Whoever reads, or does not: the exit status tells of jobs, and nothing of a job's log moves a terminal's cursor."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from tests.cli.conftest import PATIENCE_S, REPX

EXPERIMENT = """
from repx import Lab, Output, Run, bash, out

@bash
def bad(o: Output = out("o.txt"), *, word: str = "\\u2192"):
    return r'''printf '\\033]0;title\\007\\033[31mold\\rnew\\n' >&2; exit 3'''

@bash
def good(o: Output = out("o.txt"), *, word: str = "\\u2192"):
    return r'''printf 'a\\033[31mb' | tee "$o" '''

lab = Lab(runs=[Run("both", pipelines=[bad, good]), Run("well", good)])
"""


class Place:
    """A folder with an experiment, and its store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "experiment.py").write_text(EXPERIMENT)
        self.env = {**os.environ, "REPX_STORE": str(root / "store"), "PYTHONIOENCODING": "utf-8"}

    def shell(self, text: str, **env: str) -> int:
        """Run a command line with `repx` in it; its status."""
        function = 'repx() { "$PYTHON" -c "from repx.cli.main import main; main()" "$@"; }\n'
        done = subprocess.run(
            ["bash", "-c", function + text],
            cwd=self.root,
            env={**self.env, "PYTHON": REPX[0], **env},
            timeout=PATIENCE_S,
            check=False,
        )
        return done.returncode

    def terminal(self, *args: str, **env: str) -> str:
        """What a terminal is sent."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [*REPX, *args], cwd=self.root, env={**self.env, **env}, stdin=theirs, stdout=theirs, stderr=theirs
        ):
            os.close(theirs)
            told = b""
            while True:
                try:
                    told += (data := os.read(ours, 4096))
                except OSError:
                    # Nobody holds the other end any more.
                    break
                if not data:
                    break
        os.close(ours)
        return told.decode()

    def read(self, file: str) -> str:
        """What a command line has redirected to a file."""
        return (self.root / file).read_text(encoding="utf-8")


@pytest.fixture(name="place", scope="module")
def a_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("streams"))
    assert place.shell("repx realize experiment.py > /dev/null") == 0
    yield place
    remove_tree(str(place.root))


STREAMS = ["2>&-", ">&-", "<&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>&1"]


@pytest.mark.parametrize("streams", STREAMS)
def test_streams_change_no_status_of_a_run(place: Place, streams: str) -> None:
    assert place.shell(f"repx run --force well {streams}") == 0
    assert place.shell(f"repx run -k both {streams}") == 1
    assert place.shell(f"repx run --json -k both {streams}") == 1


@pytest.mark.parametrize("streams", STREAMS)
def test_streams_change_no_status_of_realize(place: Place, streams: str) -> None:
    assert place.shell(f"repx realize experiment.py {streams}") == 0


def test_a_reader_that_leaves_changes_no_status(place: Place) -> None:
    assert place.shell("repx run -k both 2>&1 | true; exit ${PIPESTATUS[0]}") == 1
    assert place.shell("repx run --force well | true; exit ${PIPESTATUS[0]}") == 0


def test_half_an_answer_is_an_error_without_traceback(place: Place) -> None:
    place.shell("repx run -k > /dev/null 2>&1")
    for command in ("list jobs", "list jobs --json", "status", "show output good o", "log good", "run --dry-run"):
        assert place.shell(f"repx {command} > /dev/full 2> said") == 2, command
        assert place.read("said").startswith("error: the answer cannot be written: No space left on device"), command


def test_letters_that_an_encoding_lacks_are_escaped(place: Place) -> None:
    assert place.shell("repx run -k > said 2>&1", PYTHONIOENCODING="latin-1") == 1
    assert "bad[word=\\u2192]" in place.read("said")
    assert place.shell("repx list jobs --json > said", PYTHONIOENCODING="ascii") == 0
    assert '"word": "\\u2192"' in place.read("said")


def test_a_directory_that_is_gone_is_said(place: Place) -> None:
    gone = 'mkdir -p gone; cd gone; rmdir "$OLDPWD/gone"; '
    assert place.shell(f'{gone} repx list --lab "{place.root}/result" > "$OLDPWD/said"') == 0
    assert place.shell(f'{gone} repx list 2> "$OLDPWD/said"') == 2
    assert place.read("said").startswith("error: the working directory is gone")


def test_escapes_of_a_log_reach_neither_file_nor_terminal(place: Place) -> None:
    place.shell("repx run -k > said 2>&1")
    told = place.read("said") + place.terminal("run", "-k", NO_COLOR="1").replace("\r\n", "\n")
    told += place.terminal("log", "good") + place.terminal("show", "output", "good", "o")
    assert told.count("| new") == 2
    assert "\x1b]" not in told
    assert "\x07" not in told
    assert "\x1b[31mb" not in told
    assert "| old" not in told


def test_raw_gives_what_was_written(place: Place) -> None:
    place.shell("repx run -k > /dev/null 2>&1")
    assert "a\x1b[31mb" in place.terminal("log", "good", "--raw")
    assert place.terminal("show", "output", "good", "o", "--raw") == "a\x1b[31mb"
    assert place.shell("repx show output good o > said") == 0
    assert place.read("said") == "a\x1b[31mb"


def test_no_color_is_heard(place: Place) -> None:
    for command in ("run -k", "list jobs", "run nothing", "doctor"):
        assert "\x1b[3" not in place.terminal(*command.split(), NO_COLOR="1"), command
    assert "\x1b[3" in place.terminal("run", "nothing")

"""Scripts that were checked before start no program; what cannot be remembered rightly is asked again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from repx.errors import SourceLocation
from repx.model.software import SoftwareRequest
from repx.process import Completed, run
from repx.realizer.checks.bash import script_of
from repx.realizer.checks.memory import LARGEST, ScriptMemory


class Counting:
    """The real door to programs, and which were started."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def __call__(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Completed:
        self.started.append(Path(argv[0]).name)
        return run(argv, stdin=stdin, cwd=cwd, env=env, timeout_s=timeout_s)


def request(script: str, variables: tuple[str, ...] = ()) -> SoftwareRequest:
    return SoftwareRequest("stage", "bash", (), script, SourceLocation("experiment.py", 1), variables=variables)


def started(path: Path | None, *requests: SoftwareRequest) -> list[str]:
    """The programs that a new memory starts for some scripts."""
    counting = Counting()
    memory = ScriptMemory(None if path is None else str(path), counting)
    memory.look_at(requests)
    for one in requests:
        assert [use.name for use in memory.uses[one.script]] == ["sort"]
        (complaints,) = memory.lint([script_of(one)])
        assert [complaint.code for complaint in complaints] == (
            [2154] if "$x" in one.script and not one.variables else []
        )
    return sorted(counting.started)


PLAIN, WITH_X = request("sort < /dev/null"), request('sort <<< "$x"')


def test_a_script_is_checked_once(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "scripts"
    assert started(path, PLAIN, WITH_X) == sorted(["shellcheck"] * min(2, len(os.sched_getaffinity(0))) + ["shfmt"] * 2)
    assert started(path, PLAIN, WITH_X) == []
    assert started(path, WITH_X) == []


def test_other_names_before_it_are_another_question_for_shellcheck_alone(tmp_path: Path) -> None:
    path = tmp_path / "scripts"
    started(path, WITH_X)
    assert started(path, request(WITH_X.script, ("x",))) == ["shellcheck"]


def test_within_one_realization_it_is_checked_once_without_a_file(tmp_path: Path) -> None:
    counting = Counting()
    memory = ScriptMemory(None, counting)
    for _ in range(2):
        memory.look_at([PLAIN])
    assert sorted(counting.started) == ["shellcheck", "shfmt"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "no JSON", "something else", "too long", "gone", "directory"])
def test_what_cannot_be_read_is_asked_again(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "scripts"
    started(path, PLAIN)
    text = path.read_text()
    match damage:
        case "cut":
            path.write_text(text[:-5])
        case "no JSON":
            path.write_text(text.replace("[", "{"))
        case "something else":
            path.write_text("".join(f"{line.split(' ')[0]} [[1]]\n" for line in text.split("\n") if line))
        case "too long":
            path.write_text("x" * (LARGEST + 1))
        case "gone":
            path.unlink()
        case _:
            path.unlink()
            path.mkdir()
    assert started(path, PLAIN) != []
    assert started(path, PLAIN) == ([] if damage != "directory" else ["shellcheck", "shfmt"])

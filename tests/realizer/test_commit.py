"""The commit of an experiment: asked of git while others work, and nothing where there is none."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

import repx
from repx.realizer.commit import Commit, commit_of

DATE = "2020-02-03T12:00:00Z"


def git(folder: Path, *argv: str) -> str:
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_COMMITTER_DATE": DATE, "GIT_AUTHOR_DATE": DATE}
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder), *argv]
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()


def asked(folder: Path) -> Commit:
    with commit_of(str(folder)) as commit:
        return commit()


def test_a_commit_its_date_and_whether_something_has_changed_since(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "experiment.py").write_text("1\n")
    git(tmp_path, "init", "-q", ".")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    name = git(tmp_path, "rev-parse", "HEAD")
    assert asked(tmp_path / "own") == Commit(name, "2020-02-03")
    (tmp_path / "elsewhere.txt").touch()
    assert asked(tmp_path / "own") == Commit(name, "2020-02-03")
    (tmp_path / "own" / "more.txt").touch()
    assert asked(tmp_path / "own") == Commit(f"{name}-dirty", "2020-02-03")


def test_without_a_commit_or_without_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(tmp_path) == Commit()
    git(tmp_path, "init", "-q", ".")
    assert asked(tmp_path) == Commit()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert asked(tmp_path) == Commit()


def test_what_is_not_waited_for_is_ended(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", ".")

    def give_up() -> None:
        with commit_of(str(tmp_path)):
            raise KeyError

    with pytest.raises(KeyError):
        give_up()


def test_the_version_is_that_of_the_installation() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert repx.__version__ == project["version"]

"""The lines of stages in a store: there once, and right or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from repx.agent.base.fingerprint import stage_digest
from repx.agent.base.layout import Store
from repx.agent.stage_lines import keep_stage_lines, read_stage_lines

LINES = (("env.A", 'a "b"\nc'), ("script", "ü \ud800"), ("stage.name", "work"))


@pytest.fixture(name="store")
def a_store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path))
    store.create()
    return store


def test_lines_are_read_as_they_were_kept(store: Store) -> None:
    keep_stage_lines(store, LINES)
    assert read_stage_lines(store, stage_digest(LINES)) == LINES
    assert read_stage_lines(store, "0" * 32) is None
    assert not list(Path(store.tmp).iterdir())


@pytest.mark.parametrize("left", ["", "[", "{}", '[["a", "b"]]', "[" * 100_000])
def test_what_is_not_those_lines_is_not_there_and_is_written_again(store: Store, left: str) -> None:
    file = Path(store.stage(stage_digest(LINES)))
    file.write_text(left)
    assert read_stage_lines(store, file.name) is None
    keep_stage_lines(store, LINES)
    assert read_stage_lines(store, file.name) == LINES

"""Who uses a store: whoever has said so and lives, and runners of whom it is not known what for."""

from __future__ import annotations

import os
import time
from pathlib import Path

from repx.agent.base.layout import Store
from repx.agent.in_use import FORGOTTEN_S, Use, uses_of, using
from repx.agent.makers import maker_name
from repx.agent.runner import make_runner_directory


def a_store(root: Path) -> Store:
    store = Store(str(root / "store"))
    store.create()
    return store


def named(name: str, field: int, value: str) -> str:
    """A maker's name with another host (1) or process (4)."""
    fields = name.split(",")
    fields[field] = value
    return ",".join(fields)


def test_a_use_is_there_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    with using(store, "/a/lab"):
        assert [use.lab for use in uses_of(store)] == ["/a/lab"]
    assert uses_of(store) == []
    assert os.listdir(store.tmp) == []  # noqa: PTH208  # paths of a store are texts


def test_what_a_dead_process_has_said_is_void(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    Path(store.tmp, named(maker_name("use"), 4, str(pid))).write_text('{"lab": "/a/lab"}')
    assert uses_of(store) == []


def test_what_another_machine_has_said_holds_for_a_day(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    path = Path(store.tmp, named(maker_name("use"), 1, "another"))
    path.write_text('{"lab": "/a/lab"}')
    assert uses_of(store) == [Use(path.name, "/a/lab")]
    then = time.time() - FORGOTTEN_S - 1
    os.utime(path, (then, then))
    assert uses_of(store) == []


def test_of_what_cannot_be_read_it_is_not_known_what_it_is_for(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    path = Path(store.tmp, maker_name("use"))
    for text in ("", "{", "[]", '{"lab": 1}'):
        path.write_text(text)
        assert uses_of(store) == [Use(path.name, None)]


def test_a_runner_that_lives_and_has_said_nothing_is_somebody(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    runner = maker_name("run")
    make_runner_directory(store, runner)
    assert uses_of(store) == [Use(runner, None)]
    with using(store, "/a/lab"):
        assert [use.lab for use in uses_of(store)] == ["/a/lab"]

"""Nothing finished gets a name before it is on the disk, and nothing broken keeps one."""

from __future__ import annotations

from pathlib import Path

import pytest

from repx.agent.base.modes import make_read_only
from repx.agent.base.publisher import Publisher, Waiting


class Disk:
    """What happens to a file system, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def flush(self, path: str) -> None:
        self.events.append("flush")

    def rename(self, source: str, target: str) -> None:
        self.events.append(f"rename {Path(target).name}")
        Path(source).rename(target)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("spare", "names"):
        (tmp_path / name).mkdir()
    return tmp_path


def tree(place: Path, text: str = "text") -> str:
    place.mkdir()
    (place / "file").write_text(text)
    make_read_only(str(place))
    return str(place)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_all_is_flushed_once_before_the_first_name(root: Path) -> None:
    disk = Disk()
    publisher = Publisher(str(root / "spare"), disk.flush, disk.rename)
    publisher.publish({str(root / "names" / name): tree(root / "spare" / name) for name in ("a", "b", "c")})
    assert disk.events == ["flush", "rename a", "rename b", "rename c"]
    assert names(root / "names") == ["a", "b", "c"]
    assert (root / "names" / "a").stat().st_mode & 0o777 == 0o555
    publisher.publish({})
    assert len(disk.events) == 4


def test_what_replaces_is_flushed_before_the_old_loses_its_name(root: Path) -> None:
    disk = Disk()
    place = root / "names" / "a"
    tree(place, "wrong")
    Publisher(str(root / "spare"), disk.flush, disk.rename).replace(str(place), tree(root / "spare" / "new", "right"))
    assert [event.partition("-")[0] for event in disk.events] == ["flush", "rename doomed", "rename a"]
    assert (place / "file").read_text() == "right"
    assert names(root / "spare") == []


@pytest.mark.parametrize("kind", ["directory", "file", "link"])
def test_what_is_wrong_goes_whatever_it_is(root: Path, kind: str) -> None:
    place = root / "names" / "a"
    if kind == "directory":
        tree(place)
    elif kind == "file":
        place.touch(0o444)
    else:
        place.symlink_to("/nowhere")
    publisher = Publisher(str(root / "spare"))
    publisher.discard(str(place))
    publisher.discard(str(place))
    assert names(root / "names") == names(root / "spare") == []


def test_who_comes_second_leaves_the_first_alone(root: Path) -> None:
    publisher = Publisher(str(root / "spare"))
    place = str(root / "names" / "a")
    with Waiting(publisher) as first, Waiting(publisher) as second:
        first.add(place, tree(root / "spare" / "one", "one"), 3)
        second.add(place, tree(root / "spare" / "two", "two"), 3)
    assert (root / "names" / "a" / "file").read_text() == "two"
    assert names(root / "spare") == []


def test_what_waits_gets_its_name_even_when_something_else_fails(root: Path) -> None:
    def interrupted() -> None:
        with Waiting(Publisher(str(root / "spare"))) as waiting:
            waiting.add(str(root / "names" / "a"), tree(root / "spare" / "one"), 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(root / "names") == ["a"]


def test_what_is_large_does_not_wait(root: Path) -> None:
    with Waiting(Publisher(str(root / "spare"))) as waiting:
        waiting.add(str(root / "names" / "a"), tree(root / "spare" / "one"), 1 << 30)
        assert names(root / "names") == ["a"]

"""Oddly shaped Labs: wrong types at every key, numbers and nests without end; one error each, no traceback."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from repx.agent.lab.format import LINE_LIMIT, METADATA_LIMIT, REALIZATIONS_LIMIT
from repx.errors import LabError
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from tests.cli.forged_labs import copied
from tests.runtime.world import World

EXPERIMENT = """
@bash
def split(data: Output = out("items.json")):
    return 'echo "[1, 2]" > "$data"'

@bash
def make(data: Output = out("data.txt"), *, n: int = 1):
    return 'echo "$n" > "$data"'

@bash
def use(data: Input, result: Output = out("result.txt"), *, word: str = "w"):
    return 'cat "$data" > "$result"'

lab = Lab(runs=[Run("work", lambda: use(data=make()))], version="1")
"""

DEEP = "[" * 100_000 + "]" * 100_000
VALUES: dict[str, str] = {
    "null": "null",
    "true": "true",
    "a number": "3",
    "a negative number": "-1",
    "a huge number": "9" * 5000,
    "beyond all numbers": "1e999",
    "not a number": "NaN",
    "a text": '"x"',
    "an empty text": '""',
    "half a character": '"\\ud800"',
    "a NUL": '"a\\u0000b"',
    "a line's end": '"a\\nb"',
    "a terminal's escape": '"\\u001b[31m"',
    "a long text": json.dumps("x" * 100_000),
    "a list": "[]",
    "a list of lists": "[[[]]]",
    "a deep list": DEEP,
    "an object": "{}",
    "an object of objects": '{"a": {"b": {}}}',
    "a key twice": '{"a": 1, "a": 2}',
    "the root": '"/"',
    "above": '"../.."',
}
"""What a key may have in place of what it should; as JSON."""


@pytest.fixture(scope="module", name="world")
def a_world_with_a_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("odd"))
    world.realize(EXPERIMENT)
    yield world
    world.tidy()


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is something in a JSON value; of a list its first entry."""
    if path:
        yield path
    entries = (
        value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield from paths_in(inner, (*path, key))


def with_value(value: Any, path: tuple[Any, ...], text: str) -> str:
    """JSON with something else at one place, which need not be JSON."""
    mark = "\ue000here\ue000"
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = mark
    return json.dumps(copy, ensure_ascii=False).replace(f'"{mark}"', text, 1)


def look_at(lab: Path) -> None:
    """Read everything of a Lab, and verify it: only an error of ours may come of it."""
    with contextlib.suppress(LabError):
        directory = LabDirectory(lab)
        for job in directory.jobs():
            job.upstream_ids()
            job.runs_taken()
        for run in directory.runs.values():
            directory.dependencies(run)
        verify(directory)


@pytest.mark.parametrize("file", ["lab/lab-metadata.json", "revision/metadata.json"])
@pytest.mark.parametrize("what", VALUES)
def test_whatever_stands_at_a_key_of_the_metadata_is_one_error(file: str, what: str, world: World) -> None:
    lab = copied(world)
    original = json.loads((lab / file).read_text())
    for path in paths_in(original):
        (lab / file).write_text(with_value(original, path, VALUES[what]), errors="surrogatepass")
        look_at(lab)


@pytest.mark.parametrize("what", VALUES)
def test_whatever_stands_at_a_key_of_a_run_is_one_error(what: str, world: World) -> None:
    lab = copied(world)
    run = next(path for path in lab.glob("revision/*.json") if path.name != "metadata.json")
    head, _, lines = run.read_text().partition('"jobs":{\n')
    header = json.loads(head.rstrip(",") + "}")
    for path in paths_in(header):
        run.write_text(f'{with_value(header, path, VALUES[what])[:-1]},"jobs":{{\n{lines}', errors="surrogatepass")
        look_at(lab)
    first, *others = lines.split("\n")
    identity, _, body = first.removesuffix(",").partition(":")
    job = json.loads(body)
    for path in paths_in(job):
        line = f"{identity}:{with_value(job, path, VALUES[what])},"
        run.write_text("\n".join([f'{head}"jobs":{{', line, *others]), errors="surrogatepass")
        look_at(lab)


def cut(lab: Path) -> None:
    path = lab / "lab/lab-metadata.json"
    path.write_bytes(path.read_bytes()[:100])


def deep_manifest(lab: Path) -> None:
    (lab / "lab/lab-metadata.json").write_text('{"format": 1, "labId": ' + DEEP + "}")


def escape_in_a_name(lab: Path) -> None:
    path = lab / "lab/lab-metadata.json"
    path.write_text(path.read_text().replace('"files":[', '"files":[{"path": "\\u001b[31mred\\ud800", "sha256": "x"},'))


def same_key_twice(lab: Path) -> None:
    path = lab / "lab/lab-metadata.json"
    path.write_text(path.read_text().replace("{", '{"format": 1,', 1))


def run_twice(lab: Path) -> None:
    path = lab / "revision/metadata.json"
    root = json.loads(path.read_text())
    path.write_text(json.dumps({**root, "runs": root["runs"] * 2}))


def a_folder_for_the_manifest(lab: Path) -> None:
    (lab / "lab/lab-metadata.json").unlink()
    (lab / "lab/lab-metadata.json").mkdir()


def jobs_a_file(lab: Path) -> None:
    for link in (lab / "jobs").iterdir():
        link.unlink()
    (lab / "jobs").rmdir()
    (lab / "jobs").write_text("")


def emptied(lab: Path) -> None:
    for path in lab.rglob("*.json"):
        path.write_text("")


ODD: dict[str, Callable[[Path], None]] = {
    "cut": cut,
    "deep": deep_manifest,
    "an escape in a name": escape_in_a_name,
    "a key twice": same_key_twice,
    "a run twice": run_twice,
    "a folder for the manifest": a_folder_for_the_manifest,
    "a file for jobs": jobs_a_file,
    "emptied": emptied,
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_lab_is_refused_by_every_command_in_one_error(case: str, world: World) -> None:
    lab = copied(world)
    ODD[case](lab)
    done = world.repx("run", "--lab", "tampered")
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the Lab tampered ")
    assert "\x1b" not in done.stderr
    for command in (["list"], ["list", "jobs"], ["status"], ["log", "make"], ["show", "job", "make"], ["run"]):
        done = world.repx(*command, "--lab", "tampered")
        assert "Traceback" not in done.stderr, done.stderr
        assert done.status in (0, 2)


def run_file(lab: Path) -> Path:
    """The file of the one run."""
    return next(path for path in lab.glob("revision/*.json") if path.name != "metadata.json")


def complaint(look: Callable[[], object]) -> str:
    """What is said of a Lab that cannot be read."""
    with pytest.raises(LabError) as told:
        look()
    return "\n".join(told.value.lines())


def test_what_is_read_whole_has_a_limit(world: World) -> None:
    lab = copied(world)
    software = next(lab.glob("store/*-software.json"))
    os.truncate(software, METADATA_LIMIT + 1)
    opened = LabDirectory(lab)
    assert "it has more than 16 MiB" in complaint(lambda: opened.software(str(software.relative_to(lab)), dict))
    os.truncate(lab / "revision/metadata.json", METADATA_LIMIT + 1)
    assert "it has more than 16 MiB" in complaint(lambda: LabDirectory(lab))


def test_a_line_of_a_run_has_a_limit(world: World) -> None:
    lab = copied(world)
    head, mark, lines = run_file(lab).read_text().partition('"jobs":{\n')
    longer = lines.replace('":{', '":{' + " " * LINE_LIMIT, 1)
    run_file(lab).write_text(head + mark + longer)
    assert "its line has more than 64 MiB" in complaint(lambda: list(LabDirectory(lab).jobs()))


def test_a_lab_has_no_more_realizations_of_a_job_than_a_run_can_hold(world: World) -> None:
    lab = copied(world)
    text = run_file(lab).read_text()
    run_file(lab).write_text(text.replace('"realizations":1', f'"realizations":{REALIZATIONS_LIMIT + 1}'))
    assert str(REALIZATIONS_LIMIT + 1) in complaint(lambda: list(LabDirectory(lab).jobs()))

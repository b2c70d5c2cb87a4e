"""Labs that are cut short, changed or malicious: refused with file and reason; no job runs, no result is lost."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from repx.agent.base.digest import canonical_json, digest_of_text
from repx.errors import LabError
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from tests.cli.test_bad_experiments import shown
from tests.golden_texts import Golden, golden_fixture
from tests.runtime.world import World, tree

__all__ = ["golden_fixture"]

EXPERIMENT = '''
@bash
def make(data: Output = out("data.txt"), *, n: int = 1):
    return """echo "make $n" >> DIARY; echo "$n" > "$data" """

@bash
def use(data: Input, table: Input, result: Output = out("result.txt")):
    return """echo use >> DIARY; cat "$data" "$table" > "$result" """

def work():
    use(data=make(), table=repx.path("table.csv"))

lab = Lab(runs=[Run("work", work)], version="1")
'''


class Tampered:
    """A copy of a Lab that may be changed; `seal` makes manifest and digests fit again, as an attacker would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = path / "lab/lab-metadata.json"
        self.root = path / "revision/metadata.json"
        self.run = path / json.loads(self.root.read_text())["runs"][0]
        self.script = next(path.glob("store/*/bin/make"))
        self.place = str(self.script.relative_to(path))
        self.job = next((path / "jobs").glob("*-make-1"))

    def replace(self, file: Path, old: str, new: str) -> None:
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    def set(self, file: Path, **values: Any) -> None:
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    def cut(self, file: Path) -> None:
        os.truncate(file, file.stat().st_size // 2)

    def relink(self, link: Path, target: str) -> None:
        link.unlink()
        link.symlink_to(target)

    def seal(self) -> None:
        manifest = json.loads(self.manifest.read_text())
        for entry in manifest["files"]:
            file = self.path / entry["path"]
            if file.is_file():
                entry["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        del manifest["labId"]
        manifest["labId"] = digest_of_text(canonical_json(manifest))
        self.manifest.write_text(json.dumps(manifest))


def sealed(change: Callable[[Tampered], object]) -> Callable[[Tampered], None]:
    """The change, and a manifest that agrees with it."""

    def apply(lab: Tampered) -> None:
        change(lab)
        lab.seal()

    return apply


def link_out(lab: Tampered, file: Path) -> None:
    """A file of the Lab becomes a link to the same bytes elsewhere."""
    elsewhere = lab.path.parent / "elsewhere"
    shutil.copyfile(file, elsewhere)
    lab.relink(file, str(elsewhere))


def list_outside(lab: Tampered, path: str) -> None:
    manifest = json.loads(lab.manifest.read_text())
    lab.set(lab.manifest, files=[*manifest["files"], {"path": path, "sha256": "0" * 64}])


def move_scripts_out(lab: Tampered) -> None:
    """The directory of a script becomes a link to the same scripts elsewhere."""
    elsewhere = lab.path.parent / "bin"
    shutil.copytree(lab.script.parent, elsewhere)
    shutil.rmtree(lab.script.parent)
    lab.script.parent.symlink_to(elsewhere)


def several(lab: Tampered) -> None:
    lab.script.unlink()
    lab.job.unlink()
    lab.cut(lab.run)


CHANGES: dict[str, Callable[[Tampered], object]] = {
    "manifest_cut": lambda lab: lab.cut(lab.manifest),
    "manifest_empty": lambda lab: lab.manifest.write_text(""),
    "manifest_missing": lambda lab: lab.manifest.unlink(),
    "manifest_no_object": lambda lab: lab.manifest.write_text("[]"),
    "manifest_binary": lambda lab: lab.manifest.write_bytes(b"\xff\xfe{}"),
    "manifest_keys_missing": lambda lab: lab.manifest.write_text('{"format": 1}'),
    "manifest_files_wrong": lambda lab: lab.set(lab.manifest, files=[3, {"path": "a"}, {"path": "b", "sha256": 1}]),
    "manifest_format": lambda lab: lab.set(lab.manifest, format=99),
    "manifest_version_changed": lambda lab: lab.set(lab.manifest, lab_version="2"),
    "manifest_metadata_absolute": sealed(lambda lab: lab.set(lab.manifest, metadata="/etc/passwd")),
    "manifest_metadata_above": sealed(lambda lab: lab.set(lab.manifest, metadata="../x.json")),
    "manifest_file_absolute": sealed(lambda lab: list_outside(lab, "/etc/passwd")),
    "manifest_file_above": sealed(lambda lab: list_outside(lab, "../../etc/passwd")),
    "manifest_file_nul": sealed(lambda lab: list_outside(lab, "a\0b")),
    "root_cut": lambda lab: lab.cut(lab.root),
    "root_missing": lambda lab: lab.root.unlink(),
    "root_a_link_out": sealed(lambda lab: link_out(lab, lab.root)),
    "root_run_above": sealed(lambda lab: lab.set(lab.root, runs=["../run.json"])),
    "root_run_absolute": sealed(lambda lab: lab.set(lab.root, runs=["/etc/passwd"])),
    "root_run_missing": sealed(lambda lab: lab.set(lab.root, runs=["revision/gone.json"])),
    "root_runs_no_list": sealed(lambda lab: lab.set(lab.root, runs="work")),
    "root_groups_no_lists": sealed(lambda lab: lab.set(lab.root, groups={"all": "work"})),
    "root_group_of_no_run": sealed(lambda lab: lab.set(lab.root, groups={"all": ["gone"]})),
    "root_sources_no_texts": sealed(lambda lab: lab.set(lab.root, sources=["experiment.py"])),
    "root_format": sealed(lambda lab: lab.set(lab.root, format=99)),
    "run_cut": lambda lab: lab.cut(lab.run),
    "run_cut_and_sealed": sealed(lambda lab: lab.cut(lab.run)),
    "run_empty": lambda lab: lab.run.write_text(""),
    "run_missing": lambda lab: lab.run.unlink(),
    "run_a_link_out": sealed(lambda lab: link_out(lab, lab.run)),
    "run_format": sealed(lambda lab: lab.replace(lab.run, '"format":', '"format":9')),
    "run_line_edited": lambda lab: lab.replace(lab.run, '"n":1', '"n":2'),
    "run_line_cut": sealed(lambda lab: lab.replace(lab.run, '"make-1","stage_type":', '"make-1","stage_ty')),
    "run_output_above": sealed(lambda lab: lab.replace(lab.run, '{"data":"data.txt"}', '{"data":"../data.txt"}')),
    "run_output_absolute": sealed(lambda lab: lab.replace(lab.run, '"result.txt"}', '"/tmp/r"}')),
    "run_input_absolute": sealed(lambda lab: lab.replace(lab.run, '"source_value":"', '"source_value":"/')),
    "run_input_above": sealed(lambda lab: lab.replace(lab.run, '"source_value":"', '"source_value":"../')),
    "run_executable_above": sealed(lambda lab: lab.replace(lab.run, lab.place, "../" + lab.place)),
    "run_software_above": sealed(lambda lab: lab.replace(lab.run, '"software":"', '"software":"../')),
    "run_count_wrong": sealed(lambda lab: lab.replace(lab.run, '"count":2', '"count":3')),
    "script_changed": lambda lab: lab.replace(lab.script, "make", "fake"),
    "script_missing": lambda lab: lab.script.unlink(),
    "script_a_link_out": lambda lab: link_out(lab, lab.script),
    "scripts_a_link_out": move_scripts_out,
    "input_changed": lambda lab: next(lab.path.glob("store/*-table.csv")).write_text("x,9\n"),
    "job_link_redirected": lambda lab: lab.relink(lab.job, "../host-tools/"),
    "job_link_out": lambda lab: lab.relink(lab.job, "/etc"),
    "job_link_missing": lambda lab: lab.job.unlink(),
    "several_at_once": several,
}


@pytest.fixture(scope="module", name="world")
def a_world_where_all_is_done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One Lab, realized and run once; each test makes a copy of it."""
    world = World(tmp_path_factory.mktemp("labs"))
    (world.root / "table.csv").write_text("x,1\n")
    world.realize("import repx\n" + EXPERIMENT)
    assert world.run().status == 0
    yield world
    world.tidy()


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_lab_is_refused_and_what_was_done_stays(case: str, world: World, golden: Golden) -> None:
    lab = Tampered(copied(world))
    CHANGES[case](lab)
    before, diary = tree(world.store / "outputs"), world.entries()
    done = world.repx("run", "--lab", "tampered", "--force")
    assert done.status == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    golden(f"errors/labs/{case}.txt", _steady(shown(done.stderr, world)))
    assert world.entries() == diary
    assert tree(world.store / "outputs") == before
    for command in (["list", "jobs"], ["status"]):
        read = world.repx(*command, "--lab", "tampered")
        assert read.status in (0, 2), read.stderr
        assert "Traceback" not in read.stderr
    assert world.run().answer["found"] == 2


@pytest.mark.parametrize("seed", range(3))
def test_no_change_of_a_run_file_is_more_than_a_lab_error(seed: int, world: World) -> None:
    lab = Tampered(copied(world))
    original = lab.run.read_bytes()
    chance = random.Random(seed)
    for _ in range(40):
        lab.run.write_bytes(mutated(original, chance))
        lab.seal()
        with contextlib.suppress(LabError):
            directory = LabDirectory(lab.path)
            verify(directory)
            for job in directory.jobs():
                job.upstream_ids()


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A value replaced by another, a key renamed, or bytes changed."""
    kind = chance.randrange(3)
    if kind == 0:
        values = list(re.finditer(rb':("[^"]*"|\d+|\{\}|\[\]|false|true)', content))
        place = chance.choice(values)
        new = chance.choice([b"null", b"3", b'"../x"', b"[]", b"{}", b'[["a"]]', b'"\\ud800"'])
        return content[: place.start(1)] + new + content[place.end(1) :]
    if kind == 1:
        place = chance.choice(list(re.finditer(rb'"(\w+)":', content)))
        return content[: place.start(1)] + b"other" + content[place.end(1) :]
    at = chance.randrange(len(content))
    return content[:at] + bytes([chance.randrange(256)]) + content[at + chance.randrange(3) :]


def test_an_untouched_copy_runs(world: World) -> None:
    lab = Tampered(copied(world))
    lab.seal()
    assert LabDirectory(lab.path).lab_id == LabDirectory(world.root / "result").lab_id
    world.forget()
    assert world.repx("run", "--lab", "tampered").status == 0
    assert set(world.entries()) == {"make 1", "use"}


def _steady(text: str) -> str:
    """Without digests, which change with every release, and places within a file."""
    text = re.sub(r"[0-9a-z]{32,64}", "<digest>", text)
    text = re.sub(r"SHA-256 [0-9a-f]{16}… instead of [0-9a-f]{16}…", "SHA-256 … instead of …", text)
    return re.sub(r"line \d+ column \d+ \(char \d+\)|at byte \d+", "…", text)


def copied(world: World) -> Path:
    """A copy of ./result that may be written to."""
    copy = world.root / "tampered"
    for old in (copy, world.root / "bin"):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(world.root / "result", copy, symlinks=True)
    for path in copy.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o200)
    return copy

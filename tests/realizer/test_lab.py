"""Labs as they are written: the same bytes anywhere, nothing of this machine in them, readable by RepX's rules."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from repx.agent.base.layout import Store
from repx.api import load, realize_lab
from repx.errors import LabError
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from tests.experiments import Experiments, experiments_fixture

__all__ = ["experiments_fixture"]

EXPERIMENT = """
from helpers import double

@stage
def make(data: Output = out("tables/data.csv"), *, slope: float = 1.0):
    data.write_text(str(double(slope)))

@bash
def add(series: Inputs, config: Input, total: Output = out("total.txt"), *, note: str | None = None):
    return 'cat "${series[@]}" "$config" > "$total"'

@stage
def split(config: Input, items: Output = out("items.json")):
    items.write_text("[1, 2]")

@stage
def square(item: WorkItem, result: Output = out("square.txt")):
    result.write_text(str(item**2))

@stage
def collect(parts: Inputs, result: Output = out("sum.txt")):
    result.write_text(str(sum(int(part.read_text()) for part in parts)))

@scatter_gather(scatter=split, gather=collect)
def squares(item: WorkItem):
    return square(item=item)

def pipeline():
    one = make()
    add(series=[one.data, make(slope=7).data], config=repx.path("config.json"))
    squares(config=repx.path("config.json"))

@stage
def report(sim: Results, text: Output = out("report.txt")):
    text.write_text(str(len(sim.jobs())))

sim = Run("sim", pipeline, params={"slope": [1, 2]})
rep = Run("rep", report, after=[soft(sim)])
lab = Lab([sim, rep], groups={"all": [sim, rep]}, version="2.0")
"""

FILES = {"helpers.py": "def double(x):\n    return 2 * x\n", "config.json": "{}\n"}


def written(experiments: Experiments, store: Path) -> Path:
    experiments.write({"experiment.py": _PRELUDE + EXPERIMENT, **FILES})
    return Path(realize_lab(load(str(experiments.folder / "experiment.py")), store=Store(str(store))).path)


_PRELUDE = (
    "import repx\n"
    "from repx import Input, Inputs, Lab, Output, Results, Run, WorkItem, bash, out, scatter_gather, soft, stage\n"
)


def tree(root: Path) -> dict[str, str]:
    """Every entry below a directory: what kind it is, and its content."""
    entries = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            entries[name] = f"link {path.readlink()}"
        elif path.is_file():
            mode = "x" if path.stat().st_mode & 0o100 else "f"
            entries[name] = f"{mode} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        else:
            entries[name] = "directory"
    return entries


def test_the_same_experiment_in_two_places_and_stores_is_the_same_lab(tmp_path: Path) -> None:
    one = written(Experiments(tmp_path / "one"), tmp_path / "store-one")
    sys.modules.pop("helpers", None)
    other = written(Experiments(tmp_path / "quite" / "another place"), tmp_path / "store-other")
    assert one.name == other.name
    assert tree(one) == tree(other)


def test_another_process_with_another_hash_seed_writes_the_same_lab(experiments: Experiments, tmp_path: Path) -> None:
    here = written(experiments, tmp_path / "here")
    program = (
        "import sys; from repx.api import load, realize_lab;"
        "print(realize_lab(load(sys.argv[1]), store=sys.argv[2]).path, end='')"
    )
    for seed in ("1", "2"):
        argv = [sys.executable, "-c", program, str(experiments.folder / "experiment.py"), str(tmp_path / seed)]
        env = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "LANG": "C"}
        there = Path(subprocess.run(argv, env=env, check=True, capture_output=True, text=True).stdout)
        assert tree(there) == tree(here)


def test_a_second_time_nothing_is_written(experiments: Experiments, tmp_path: Path) -> None:
    lab = written(experiments, tmp_path / "store")
    before = {path: path.lstat().st_ino for path in lab.rglob("*")}
    assert written(experiments, tmp_path / "store") == lab
    assert {path: path.lstat().st_ino for path in lab.rglob("*")} == before
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_a_changed_experiment_stores_an_unchanged_input_once(experiments: Experiments, tmp_path: Path) -> None:
    first = written(experiments, tmp_path / "store")
    text = experiments.folder / "experiment.py"
    text.write_text(text.read_text().replace('version="2.0"', 'version="3.0"'))
    second = Path(realize_lab(load(str(text)), store=Store(str(tmp_path / "store"))).path)
    assert first != second
    (one,) = first.glob("store/*-config.json")
    (other,) = second.glob("store/*-config.json")
    assert one.stat().st_ino == other.stat().st_ino


def test_nothing_in_a_lab_names_this_machine(experiments: Experiments, tmp_path: Path) -> None:
    lab = written(experiments, tmp_path / "store")
    for path in lab.rglob("*"):
        if path.is_file() and "host-tools" not in path.parts and not path.is_symlink():
            content = path.read_bytes()
            for told in (str(tmp_path), str(Path(sys.executable).parent), os.uname().nodename + " "):
                assert told.encode() not in content, f"{path} says {told}"


def test_a_lab_is_readable_by_the_rules_of_repx(experiments: Experiments, tmp_path: Path) -> None:
    """The order of checks of RepX 0.5's loader, as its reference notes give them (directory form)."""
    lab = written(experiments, tmp_path / "store")
    (manifest_file,) = [path for path in (lab / "lab").iterdir() if path.name.endswith("lab-metadata.json")]
    manifest = json.loads(manifest_file.read_text())
    assert {"labId", "lab_version", "metadata", "files"} <= set(manifest)
    for entry in manifest["files"]:
        assert not entry["path"].startswith("/")
        assert ".." not in entry["path"].split("/")
        assert hashlib.sha256((lab / entry["path"]).read_bytes()).hexdigest() == entry["sha256"]
    root = json.loads((lab / manifest["metadata"]).read_text())
    assert {"runs", "gitHash", "repx_version"} <= set(root)
    assert any((lab / "host-tools").iterdir())
    for place in root["runs"]:
        run = json.loads((lab / place).read_text())
        assert {"name", "jobs"} <= set(run)
        assert run["jobs"], "a run with jobs"
        for identity, job in run["jobs"].items():
            check_repx_job(lab, identity, job)


def check_repx_job(lab: Path, identity: str, job: dict[str, Any]) -> None:
    assert isinstance(job["params"], dict)
    assert job["stage_type"] in ("simple", "scatter-gather")
    expected = {"main"} if job["stage_type"] == "simple" else {"scatter", "step-square", "gather"}
    assert set(job["executables"]) == expected
    assert (lab / "jobs" / identity).is_dir()
    assert (lab / "jobs" / identity).resolve().is_relative_to(lab)
    for executable in job["executables"].values():
        assert os.access(lab / executable["path"], os.X_OK)
        for mapping in executable["inputs"]:
            assert mapping["target_input"]
            assert mapping.get("type") in ("intra-pipeline", "inter-run", "global", None)
        assert all(path.startswith("$out/") for path in executable["outputs"].values())
    assert None not in job.values()


def test_a_lab_says_which_file_has_been_changed(experiments: Experiments, tmp_path: Path) -> None:
    lab = written(experiments, tmp_path / "store")
    verify(LabDirectory(lab))
    script = next(path for path in lab.glob("store/*/bin/add"))
    script.chmod(0o755)
    script.write_text(script.read_text() + "echo more\n")
    with pytest.raises(LabError, match="bin/add"):
        verify(LabDirectory(lab))


def test_jobs_are_found_by_every_prefix(experiments: Experiments, tmp_path: Path) -> None:
    lab = LabDirectory(written(experiments, tmp_path / "store"))
    for run in lab.runs.values():
        ids = list(run.ids())
        assert ids == sorted(ids)
        for identity in ids:
            found = run.job(identity)
            assert found is not None
            assert found.id == identity
            for length in range(1, 6):
                wanted = [one for one in ids if one.startswith(identity[:length])]
                assert [job.id for job in run.with_prefix(identity[:length])] == wanted[:20]
        assert run.with_prefix("zzzz") == []
        assert run.job(ids[0][:-1]) is None


def test_only_one_run_and_what_it_comes_after(experiments: Experiments, tmp_path: Path) -> None:
    experiments.write({"experiment.py": _PRELUDE + EXPERIMENT, **FILES})
    lab = load(str(experiments.folder / "experiment.py"))
    sliced = LabDirectory(realize_lab(lab, store=Store(str(tmp_path / "store")), run="sim").path)
    assert list(sliced.runs) == ["sim"]
    assert sliced.groups == {"all": ("sim",)}
    whole = LabDirectory(realize_lab(lab, store=Store(str(tmp_path / "store")), run="rep").path)
    assert list(whole.runs) == ["sim", "rep"]

"""The images of a Lab and its slices: which runs share one, what is in each, and what of it is written again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.worlds import World, world

pytestmark = pytest.mark.real

EXPERIMENT = """
@bash(packages=["jq"])
def small(data: Output = out("data.json"), *, tool: Path):
    return '"$tool/bin/seq" 3 | jq -s . > "$data"'

@stage(packages=["python3", "diffutils"])
def large(sim: Results, table: Output = out("table.txt")):
    table.write_text(str(len(sim.jobs())))

sim = Run("sim", small, params={"tool": [package("coreutils")]}, container=SIM)
analysis = Run("analysis", large, after=[sim])
lab = Lab([sim, analysis], packages=packages, container=LAB, run_container=SLICE)
"""


@pytest.fixture(scope="module")
def images_world(common_store: Path) -> Iterator[World]:
    with world(common_store) as made:
        yield made


def realized(made: World, lab: str = "None", sim: str = "None", slices: str = "None", run: str = "") -> Path:
    settings = f"from pathlib import Path\nLAB, SIM, SLICE = {lab}, {sim}, {slices}\n"
    return made.realize(settings + EXPERIMENT, *(["--run", run] if run else []))


def images(lab: Path) -> dict[str, str]:
    """The image of each run, by name; empty for none."""
    root = json.loads((lab / "revision" / "metadata.json").read_text())
    headers = [json.loads((lab / place).read_text()) for place in root["runs"]]
    return {header["name"]: header.get("image", "") for header in headers}


def members(lab: Path, image: str) -> set[str]:
    """The store paths whose layers an image has: what its history says of them."""
    (manifest,) = json.loads((lab / image / "manifest.json").read_text())
    config = json.loads((lab / image / manifest["Config"]).read_text())
    return {entry["created_by"].removeprefix("repx: ") for entry in config["history"]}


def closure(lab: Path) -> set[str]:
    (file,) = (lab / "store").glob("*-closure.json")
    return {entry["path"].rpartition("/")[2] for entry in json.loads(file.read_text())["paths"]}


def test_by_default_all_runs_share_one_image_with_all_that_their_jobs_need(images_world: World) -> None:
    lab = realized(images_world)
    found = images(lab)
    assert found["sim"] == found["analysis"] != ""
    inside = members(lab, found["sim"]) - {"base"}
    assert inside < closure(lab)
    # What only the Lab's own tools need is in the Lab, and in no image.
    assert any("bubblewrap" in name for name in closure(lab) - inside)
    assert any("-jq-" in name for name in inside)
    assert any("python3" in name for name in inside)


def test_per_run_each_has_its_own_image_and_they_share_layers(images_world: World) -> None:
    lab = realized(images_world, lab='"per-run"')
    found = images(lab)
    assert len(set(found.values())) == 2
    sim, analysis = (members(lab, found[name]) for name in ("sim", "analysis"))
    assert any("python3" in name for name in analysis - sim)
    assert not any("python3" in name for name in sim)
    blobs = [{path.name for path in (lab / image / "blobs" / "sha256").iterdir()} for image in found.values()]
    assert len(blobs[0] & blobs[1]) == len(sim & analysis)


def test_none_means_none_and_a_run_may_have_it_otherwise(images_world: World) -> None:
    assert not (realized(images_world, lab='"none"') / "images").exists()
    mixed = images(realized(images_world, sim='"none"'))
    assert mixed["sim"] == ""
    assert mixed["analysis"] != ""


def test_a_slice_has_one_run_its_own_image_and_a_smaller_store(images_world: World) -> None:
    whole = realized(images_world)
    part = realized(images_world, run="sim")
    assert list(images(part)) == ["sim"]
    assert images(part)["sim"] not in ("", images(whole)["sim"])
    assert closure(part) < closure(whole)
    assert not (realized(images_world, slices='"none"', run="sim") / "images").exists()
    report = images_world.report("--lab", str(part), "--bwrap")
    assert report["succeeded"] == report["jobs"] == 1


def test_layers_are_written_once_for_all_labs_of_a_store(images_world: World) -> None:
    realized(images_world)
    layers = sorted(Path(images_world.environment["REPX_STORE"]).glob("objects/*-layer/layer.tar"))
    before = [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in layers]
    realized(images_world, lab='"per-run"', slices='"unified"')
    assert [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in layers] == before

"""Examples with Nix's software, by the commands of their READMEs, in sandboxes and containers that hide the machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import needs_programs
from tests.real.examples import IN_BASH, IN_PYTHON, Example
from tests.real.worlds import World, world
from tests.test_examples import is_picture

pytestmark = pytest.mark.real

WORDS = "Hello, world!\n"


HIDE_PARAM_SWEEP = (
    (r'return """awk', f'return """{IN_BASH}; awk'),
    (r"(?m)^    with data\.open", f"    {IN_PYTHON}\n    with data.open"),
    (r"(?m)^    import matplotlib$", f"    {IN_PYTHON}\n    import matplotlib"),
)
HIDE_REFERENCE_LAB = (
    (r'return """', f'return """{IN_BASH}\n'),
    (r"(?m)^    start = ", f"    {IN_PYTHON}\n    start = "),
    (r"(?m)^    count = ", f"    {IN_PYTHON}\n    count = "),
    (r"(?m)^    number\.write_text", f"    {IN_PYTHON}\n    number.write_text"),
    (r"(?m)^    lines = ", f"    {IN_PYTHON}\n    lines = "),
    (r"(?m)^    totals = ", f"    {IN_PYTHON}\n    totals = "),
)
"""Every stage looks whether it sees this machine's /usr, and fails if so."""

FEWER = (
    (r"for number in 1 2 3 4 5;", "for number in 1 2;"),
    (r"range\(start, start \+ 5\)", "range(start, start + 2)"),
    (r'repx\.dirs\("templates"\)', 'repx.dirs("templates", match="rich")'),
    (r'repx\.files\("configs"\)', 'repx.files("configs")[:1]'),
    (r'"offset": \[1, 2\]', '"offset": [1]'),
    (r"multiplier=\[2, 3\], scale=\[10, 100\]", "multiplier=[2], scale=[10]"),
    (r'"10 20 30", "5 15 25"', '"10 20 30"'),
)
"""The reference lab with every stage and every kind of param, but few values: 32 different jobs, steps included."""


@pytest.fixture
def podman_world(common_store: Path, podman_settings: dict[str, str]) -> Iterator[World]:
    with world(common_store, **podman_settings) as made:
        yield made


@pytest.fixture
def bwrap_world(nix_world: World) -> World:
    needs_programs("bwrap")
    return nix_world


def check_param_sweep(example: Example) -> None:
    sums = sorted(float(text) for text in example.outputs("total", "sum.txt"))
    assert sums == [2470, 4940, 12350]
    [plot] = example.outputs("plotter", "plot.png")
    assert plot.startswith(b"\x89PNG\r\n")
    assert len(plot) > 3000


def check_reference_lab(example: Example) -> None:
    summary = json.loads(example.outputs("analysis", "summary.json")[0])
    assert summary["totals"] == {"540": 8, "595": 8}
    assert sum(summary["stages"].values()) == 152


def test_param_sweep_in_bwrap(bwrap_world: World) -> None:
    example = Example("param-sweep", bwrap_world)
    example.section("In a closure")
    check_param_sweep(example)
    assert is_picture(example.folder / "plot.png")


def test_reference_lab_in_bwrap(bwrap_world: World) -> None:
    example = Example("reference-lab", bwrap_world)
    said = example.section("In a closure")
    check_reference_lab(example)
    assert '"540": 8' in said["repx show output analysis summary"]


def test_no_job_of_the_reference_lab_sees_this_machine_in_bwrap(bwrap_world: World) -> None:
    example = Example("reference-lab", bwrap_world)
    example.rewrite(*HIDE_REFERENCE_LAB)
    example.realize()
    report = example.report("--bwrap", "@all")
    assert report["jobs"] == report["succeeded"], report
    check_reference_lab(example)


def test_no_job_of_param_sweep_sees_this_machine_in_bwrap_and_all_do_without(bwrap_world: World) -> None:
    example = Example("param-sweep", bwrap_world)
    example.rewrite(*HIDE_PARAM_SWEEP)
    example.realize()
    report = example.report("--bwrap")
    assert report["succeeded"] == report["jobs"] == 7
    check_param_sweep(example)
    report = example.report("--native", "--continue-on-failure", "sweep")
    assert report["failed"] == report["jobs"] / 2 == 3


def test_no_job_of_param_sweep_sees_this_machine_in_podman(podman_world: World) -> None:
    example = Example("param-sweep", podman_world)
    example.rewrite(*HIDE_PARAM_SWEEP)
    example.realize()
    report = example.report("--podman")
    assert report["succeeded"] == report["jobs"] == 7
    check_param_sweep(example)


def test_a_small_reference_lab_in_podman_gives_what_it_gives_natively(podman_world: World) -> None:
    """A container takes a second, so that the whole would take minutes; see bwrap for that."""
    example = Example("reference-lab", podman_world)
    example.rewrite(*FEWER)
    example.realize()
    example.report("--native", "@all")
    natively = results(example)
    assert set(json.loads(natively["analysis"][0])["totals"].values()) == {2}
    example.rewrite(*HIDE_REFERENCE_LAB)
    example.realize()
    report = example.report("--podman", "@all")
    assert report["jobs"] == report["succeeded"], report
    assert report["jobs"] - report["found"] == 32
    assert results(example) == natively


def results(example: Example) -> dict[str, list[bytes]]:
    """What the last stages of the reference lab made."""
    files = {"total": "total.sum.txt", "workload": "result.txt", "analysis": "summary.json"}
    return {stage: sorted(example.outputs(stage, file)) for stage, file in files.items()}


def test_hello_is_the_same_program_in_every_isolation(podman_world: World) -> None:
    needs_programs("bwrap", "dpkg-source")
    example = Example("hello", podman_world)
    said = example.section()
    assert said["repx show output say words"] == WORDS
    programs = set(example.outputs("make", "hello"))
    for isolation in ("--podman", "--native"):
        report = example.report(isolation)
        assert report["succeeded"] == report["jobs"] == 4, isolation
        assert example.outputs("say", "words.txt") == [WORDS.encode()]
        programs |= set(example.outputs("make", "hello"))
    assert len(programs) == 1


def test_hello_without_its_source_says_where_it_looked(nix_world: World) -> None:
    store = str(nix_world.folder / "empty-store")
    example = Example("hello", nix_world)
    said = nix_world.start("realize", "experiment.py", "--store", store, cwd=example.folder).stderr
    assert "'hello-2.10.tar.gz' cannot be fetched" in said
    assert f"file://{example.folder}/hello-2.10.tar.gz" in said
    assert not (example.folder / "result").exists()

"""Identity: what changes a job's id and what does not, the lines that are hashed, and the names ids are written as."""

# ruff: noqa: E501 - a case is a line

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import string
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from repx.agent.base.digest import NIX_ALPHABET, nix_base32, short_digest
from repx.agent.base.fingerprint import Line
from repx.agent.base.names import is_job_id
from repx.errors import DefinitionError, LabError
from repx.model.derivation import Derivation
from repx.model.fingerprint import job_fingerprint
from repx.model.graph import DerivationGraph, run_digest
from repx.model.names import check_name, check_version, job_id, parse_job_id
from repx.model.values import PackageRef, StoredPath, Value, identity
from tests.experiments import PRELUDE, Experiments, experiments_fixture, ids, jobs
from tests.fakes.software import FakeSoftware
from tests.golden_texts import Golden, golden_fixture
from tests.interpreters import NAMES, interpreters
from tests.machine import optional

__all__ = ["experiments_fixture", "golden_fixture"]

REPOSITORY = Path(__file__).parents[2]

# ------------------------------------------------------------------------------------- the scenarios of a chain A, B, C

CHAIN = """
@bash(packages=["tool-a"])
def a(data: Output = out("a.txt"), *, size: int = 1):
    return 'echo "$size" > "$data"'
@bash(packages=["tool-b"])
def b(data: Input, more: Output = out("b.txt")):
    return 'cp "$data" "$more"'
@stage(packages=["tool-c"])
def c(more: Input, end: Output = out("c.txt")):
    end.write_text(more.read_text())
def chain():
    c(b(a()))
lab = Lab([Run("run", chain, params={"size": [1]}, hash_mode="MODE")])
"""
SCATTER = """
@stage(packages=["tool-split"])
def split(items: Output = out("items.json"), *, size: int = 1):
    items.write_text(str(list(range(size))))
@stage(packages=["tool-step"])
def step(item: WorkItem, result: Output = out("result.txt")):
    result.write_text(str(item))
@bash(packages=["tool-gather"])
def gather(results: Inputs, total: Output = out("total.txt")):
    return 'cat "${results[@]}" > "$total"'
@scatter_gather(scatter=split, gather=gather)
def whole(item: WorkItem):
    return step(item=item)
lab = Lab([Run("run", whole, params={"size": [1]}, hash_mode="MODE")])
"""

Change = Callable[[str], str]


def replacing(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert text.count(old) == 1, old
        return text.replace(old, new)

    return change


def changed(experiments: Experiments, text: str, mode: str, change: Change) -> set[str]:
    """The stages of which no job has the id it had before the change."""
    before = experiments.graph(text.replace("MODE", mode))
    after = experiments.graph(change(text.replace("MODE", mode)))
    stages = {job.stage.name for job in (*before.jobs(), *after.jobs())}
    for stage in stages:
        same = ids(before, stage) & ids(after, stage)
        assert not same or ids(before, stage) == ids(after, stage)
    return {stage for stage in stages if not ids(before, stage) & ids(after, stage)}


def another_package(stage: str) -> Change:
    return replacing(f'"tool-{stage}"', f'"tool-{stage}", "added"')


@pytest.mark.parametrize(
    ("text", "mode", "change", "stages"),
    [
        pytest.param(CHAIN, "params-only", another_package("a"), "", id="2"),
        pytest.param(CHAIN, "params-only", another_package("b"), "", id="3"),
        pytest.param(CHAIN, "params-only", another_package("c"), "", id="4"),
        pytest.param(CHAIN, "params-only", replacing("[1]", "[2]"), "a b c", id="5"),
        pytest.param(CHAIN, "params-only", replacing('["tool-b"]', '["tool-b"], version="2"'), "b c", id="6"),
        pytest.param(CHAIN, "params-only", replacing('["tool-c"]', '["tool-c"], name="d"'), "c d", id="7"),
        pytest.param(CHAIN, "params-only", replacing('["tool-a"]', '["tool-a"], version="2"'), "a b c", id="8"),
        pytest.param(CHAIN, "params-only", lambda text: text, "", id="9"),
        pytest.param(CHAIN, "pure", another_package("a"), "a b c", id="10"),
        pytest.param(SCATTER, "params-only", another_package("step"), "", id="11"),
        pytest.param(SCATTER, "pure", another_package("step"), "whole", id="12 step"),
        pytest.param(SCATTER, "pure", another_package("split"), "whole", id="12 scatter"),
        pytest.param(SCATTER, "pure", another_package("gather"), "whole", id="12 gather"),
        pytest.param(SCATTER, "params-only", replacing("[1]", "[2]"), "whole", id="13"),
        # Beyond the seventeen: what a script says.
        pytest.param(CHAIN, "pure", replacing('echo "$size"', 'echo  "$size"'), "a b c", id="text of Bash"),
        pytest.param(CHAIN, "pure", replacing("more.read_text()", "more.read_text( )"), "", id="layout of Python"),
        pytest.param(CHAIN, "pure", replacing("    end.write", '    "Doc."\n    # why\n    end.write'), "", id="comments"),
        pytest.param(CHAIN, "pure", replacing("more.read_text()", "more.read_text().upper()"), "c", id="body of Python"),
        pytest.param(CHAIN, "params-only", replacing('echo "$size"', "echo 3"), "", id="script, params-only"),
        pytest.param(CHAIN, "pure", replacing('["tool-b"]', '["tool-b"], env={"A": "1"}'), "b c", id="env"),
        pytest.param(CHAIN, "params-only", replacing('["tool-b"]', '["tool-b"], env={"A": "1"}'), "", id="env, params-only"),
        pytest.param(CHAIN, "pure", replacing('["tool-b"]', '["tool-b"], impure=True'), "b c", id="impure"),
        pytest.param(CHAIN, "params-only", replacing('out("b.txt")', 'out("bb.txt")'), "b c", id="output"),
        pytest.param(CHAIN, "pure", replacing('["tool-c"]', '["tool-c"], realizations=10'), "", id="realizations"),
        pytest.param(CHAIN, "pure", replacing('Run("run"', 'Run("walk"'), "", id="name of the run"),
        pytest.param(CHAIN, "pure", replacing("lab = Lab([", 'lab = Lab(version="9", runs=['), "", id="version of the Lab"),
        pytest.param(CHAIN, "pure", replacing("size: int = 1", "size: int = 7"), "", id="a default that is not used"),
        pytest.param(CHAIN, "pure", replacing("size: int = 1", "size: int = 1, unused: int = 1"), "a b c", id="new param"),
    ],
)  # fmt: skip
def test_what_a_change_changes(experiments: Experiments, text: str, mode: str, change: Change, stages: str) -> None:
    assert changed(experiments, text, mode, change) == set(stages.split())


def test_pure_and_params_only_differ(experiments: Experiments) -> None:
    """Scenario 1."""
    for text in (CHAIN, SCATTER):
        pure, other = (experiments.graph(text.replace("MODE", mode)) for mode in ("pure", "params-only"))
        assert ids(pure).isdisjoint(ids(other))


@pytest.mark.parametrize("mode", ["pure", "params-only"])
@pytest.mark.parametrize("stage", ["tool-a", "tool-b", "tool-c"])
def test_resources_change_no_id(experiments: Experiments, mode: str, stage: str) -> None:
    """Scenario 17."""
    for resources in ('Resources(mem="64G", cpus=9, time="2d")', 'lambda p: Resources(partition="gpu")'):
        change = replacing(f'"{stage}"]', f'"{stage}"], resources={resources}')
        assert changed(experiments, CHAIN, mode, change) == set()


@pytest.mark.parametrize(("mode", "stages"), [("pure", "b c"), ("params-only", "")])
def test_other_software_under_the_same_name_is_other_software(experiments: Experiments, mode: str, stages: str) -> None:
    text = CHAIN.replace("MODE", mode)
    before = experiments.graph(text)
    after = experiments.graph(text, software=FakeSoftware(versions={"tool-b": "2"}))
    assert {job.stage.name for job in after.jobs() if job.id not in ids(before)} == set(stages.split())


def reference_lab(experiments: Experiments, *changes: Change) -> DerivationGraph:
    folder = REPOSITORY / "examples" / "reference-lab"
    files = {
        str(path.relative_to(folder)): path.read_text()
        for part in ("templates", "configs")
        for path in (folder / part).rglob("*")
        if path.is_file()
    }
    text = (folder / "experiment.py").read_text()
    for change in changes:
        text = change(text)
    return experiments.graph(text, files)


def other_stages(before: DerivationGraph, after: DerivationGraph) -> dict[str, int]:
    """How many jobs of each stage are others than before."""
    new: dict[str, int] = {}
    for job in after.jobs():
        if job.id not in ids(before):
            new[job.stage.name] = new.get(job.stage.name, 0) + 1
    return new


def test_editing_the_analysis_changes_only_the_analysis(experiments: Experiments) -> None:
    """Scenario 14."""
    before = reference_lab(experiments)
    assert len(before.runs[0].jobs) == 152
    after = reference_lab(experiments, replacing("indent=2", "indent=3"))
    assert other_stages(before, after) == {"analysis": 1}


def test_editing_d_changes_d_and_all_that_follows(experiments: Experiments) -> None:
    """Scenario 15."""
    after = reference_lab(experiments, replacing("$((n * n))", "$((n ** 2))"))
    assert other_stages(reference_lab(experiments), after) == {
        "partial_sums": 16,
        "total": 16,
        "scaled-fast": 16,
        "scaled-slow": 16,
        "workload": 64,
        "analysis": 1,
    }


def test_editing_one_of_two_swept_directories_changes_some(experiments: Experiments) -> None:
    """Scenario 16; the example's own test does it on disk."""
    before = reference_lab(experiments)
    experiments.write({"templates/rich/title.txt": "another\n"})
    text = (experiments.folder / "experiment.py").read_text().removeprefix(PRELUDE)
    after = other_stages(before, experiments.graph(text))
    assert (after["low_numbers"], after["joined"]) == (2, 8)
    assert "high_numbers" not in after


# -------------------------------------------------------------------------------------------- the lines that are hashed


def id_from_lines(job: Derivation) -> str:
    """A job's id, worked out from nothing but its lines."""
    own = job_fingerprint(job)
    stage = hashed("repx-stage 1", job.stage.lines)
    recipe = hashed("repx-recipe 2", [("stage", stage), *own.params])
    digest = hashed("repx-job 2", [("recipe", recipe), *own.inputs])
    return f"{digest}-{job.stage.name}-{job.stage.version}"


def hashed(tag: str, lines: Iterable[Line]) -> str:
    text = "".join(f"{json.dumps(label)} {json.dumps(value, ensure_ascii=False)}\n" for label, value in lines)
    return nix_base32(hashlib.sha256(f"{tag}\n{text}".encode("utf-8", "surrogatepass")).digest())[:32]


def test_the_lines_of_a_job_are_what_its_id_is_made_of(experiments: Experiments) -> None:
    graphs = [
        reference_lab(experiments),
        experiments.graph(CHAIN.replace("MODE", "pure")),
        experiments.graph(CHAIN.replace("MODE", "params-only")),
        experiments.graph(SCATTER.replace("MODE", "pure")),
        experiments.graph(EVERYTHING, FILES),
    ]
    for job in itertools.chain.from_iterable(graph.jobs() for graph in graphs):
        assert id_from_lines(job) == job.id


def test_lines_are_labelled_once_and_sorted(experiments: Experiments) -> None:
    for job in experiments.graph(EVERYTHING, FILES).jobs():
        labels = [label for label, _ in job.stage.lines]
        assert labels == sorted(set(labels))
        assert list(job.stage.params) == sorted(job.stage.params)
        assert [edge.name for edge in job.edges] == sorted(edge.name for edge in job.edges)


# ----------------------------------------------------------------------------------------------------------- one meaning

EVERYTHING = """
SCALE = 2.5
def helper(x):
    return x * SCALE
@bash(packages=["tool"], env={"B": "2", "A": "1"}, version="1.2")
def make(data: Output = out("data.txt"), log: Output = out("log/a.txt"), *, n: int = 1, ratio: float = 1, on: bool = True,
         text="a \\"b\\" ü\\n", nothing=None, tool: Path = package("tool"), config: Path = repx.path("config.json")):
    return 'echo "$n $ratio $on $text $nothing" > "$data"; "$tool/bin/tool" "$config" > "$log"'
@stage
def merge(parts: Inputs, extra: Input | None, table: Input, merged: Output = out("merged.json"), *, seed: int):
    "Documented."
    merged.write_text(str(helper(len(parts)) + seed))
@bash(name=lambda p: f"shape-{p.kind}", inputs=lambda p: ["merged"], outputs=lambda p: {f"out_{p.kind}": "x/y.bin"},
      realizations=3)
def shape(inputs: Inputs, outputs: Outputs, *, index, kind: str = "round"):
    return 'cp "${inputs[merged]}" "${outputs[out_round]:-x}"; echo "$index"'
@stage
def split(merged: Input, items: Output = out("items.json")):
    items.write_text("[1, 2]")
@stage
def step(item: WorkItem, merged: Input, result: Output = out("result.txt"), *, power: int = 2):
    result.write_text(str(item**power))
@bash
def gather(results: Inputs, total: Output = out("total.txt")):
    return 'cat "${results[@]}" > "$total"'
@scatter_gather(scatter=split, gather=gather)
def scattered(item: WorkItem, merged: Input):
    return step(item=item, merged=step(item=item, power=3).result)
@stage
def report(sweep: Results, page: Output = out("page.html")):
    page.write_text(str(len(sweep.jobs())))
def simulate(kind):
    merged = merge(parts=[make(n=n).data for n in (2, 1)])
    shape(merged=merged)
    scattered(merged)
sweep = Run("sweep", simulate, params={"kind": ["round", "flat"], "table": repx.files("tables"), "seed": [3, 4],
            "pair": repx.zip(ratio=[1, 2.5], on=[True, False])})
lab = Lab([sweep, Run("report", report, after=[soft(sweep)], hash_mode="params-only")], groups={"all": [sweep]})
"""
FILES = {"config.json": "{}\n", "tables/a.csv": "1,2\n", "tables/b.csv": "3,4\n"}

SHUFFLED = functools.reduce(
    lambda text, change: change(text),
    [
        replacing(
            "*, n: int = 1, ratio: float = 1, on: bool = True,", "*, on: bool = True, ratio: float = 1, n: int = 1,"
        ),
        replacing('{"B": "2", "A": "1"}', '{"A": "1", "B": "2"}'),
        replacing('"seed": [3, 4],\n', ""),
        replacing('params={"kind"', 'params={"seed": [4, 3], "kind"'),
        replacing('["round", "flat"]', '["flat", "round"]'),
        replacing("ratio=[1, 2.5], on=[True, False]", "on=[False, True], ratio=[2.5, 1]"),
        replacing("lab = Lab([sweep, Run(", "last = (Run("),
        replacing('"params-only")], groups={"all": [sweep]})', '"params-only"))\nlab = Lab([last, sweep])'),
    ],
    EVERYTHING,
)
"""The same experiment, said in another order."""

PROGRAM = """
import sys
from repx.dsl.instantiate.graph import instantiate
from repx.dsl.load import load_experiment
from tests.fakes.software import FakeSoftware
graph = instantiate(load_experiment(sys.argv[1]), FakeSoftware())
print("\\n".join(sorted(job.id for job in graph.jobs())))
"""


def ids_elsewhere(experiment: Path, python: str = sys.executable, **environment: str) -> list[str]:
    """The ids of an experiment's jobs as another process makes them."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    done = subprocess.run(
        [python, "-B", "-W", "ignore", "-c", PROGRAM, str(experiment)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *packages]), "PATH": "/usr/bin:/bin", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_every_process_and_every_order_makes_the_same_ids(experiments: Experiments, tmp_path: Path) -> None:
    expected = sorted(ids(experiments.graph(EVERYTHING, FILES)))
    assert len(expected) == len(set(expected)) > 30
    for seed in ("0", "1", "4711"):
        assert ids_elsewhere(experiments.folder / "experiment.py", PYTHONHASHSEED=seed) == expected
    elsewhere = Experiments(tmp_path / "another" / "place")
    assert sorted(ids(elsewhere.graph(SHUFFLED, FILES))) == expected
    assert (
        ids_elsewhere(elsewhere.folder / "experiment.py", PYTHONHASHSEED="2", TZ="Asia/Tokyo", LC_ALL="C") == expected
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_python_makes_the_same_ids(experiments: Experiments, name: str) -> None:
    python = interpreters().get(name)
    optional(python, f"no working {name} on this machine")
    assert python is not None
    expected = sorted(ids(experiments.graph(EVERYTHING, FILES)))
    assert ids_elsewhere(experiments.folder / "experiment.py", python) == expected


def test_ids_are_what_they_were(experiments: Experiments, golden: Golden) -> None:
    """A change here gives every job of every user a new id, and reruns the world: never by accident."""
    graph = experiments.graph(EVERYTHING, FILES)
    lines = [f"{run.name} {run.digest}" for run in graph.runs] + sorted(ids(graph))
    golden("identity/ids.txt", "\n".join(lines) + "\n")


def all_lines(job: Derivation) -> list[Line]:
    own = job_fingerprint(job)
    return [*job.stage.lines, *own.params, *own.inputs]


def test_the_lines_of_a_job_are_what_they_were(experiments: Experiments, golden: Golden) -> None:
    graph = experiments.graph(EVERYTHING, FILES)
    shown = {job.stage.name: job for job in sorted(graph.jobs(), key=lambda job: job.id)}
    text = "".join(
        f"{name}\n" + "".join(f"  {label} {value}\n" for label, value in all_lines(job)) + "\n"
        for name, job in sorted(shown.items())
    )
    golden("identity/lines.txt", text)


# ---------------------------------------------------------------------------------------------------------------- values

paths = st.builds(
    StoredPath, st.text(min_size=1), st.sampled_from(["0" * 64, "1" * 64]), st.just("/x"), st.just("file")
)
packages = st.builds(PackageRef, st.text(min_size=1), st.text("0123", min_size=1, max_size=3))
scalars: st.SearchStrategy[Value] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | paths
    | packages
)


@given(scalars, scalars)
def test_two_values_have_one_text_only_when_they_are_one(one: Value, other: Value) -> None:
    same = type(one) is type(other) and repr(one) == repr(other)
    assert (identity(one) == identity(other)) == same
    assert "\n" not in identity(one)


@given(st.text())
def test_a_text_cannot_imitate_another_kind(text: str) -> None:
    for other in (None, True, 1, 1.0, StoredPath(text, "0" * 64, "/x", "file"), PackageRef(text)):
        assert identity(text) != identity(other)


def test_a_value_in_another_place_is_another_job(experiments: Experiments) -> None:
    text = """
@bash
def work(data: Output = out("a"), *, x: str = "", y: str = ""):
    return 'echo "$x$y" > "$data"'
lab = Lab([Run("run", work, params={"x": ["", "a", "b\\nparam.y \\"c\\""], "y": ["", "a", "c"]})])
"""
    assert len(ids(experiments.graph(text))) == 9


def test_the_order_of_a_list_counts(experiments: Experiments) -> None:
    text = """
@bash
def make(data: Output = out("a"), *, n: int):
    return 'echo "$n" > "$data"'
@bash
def join(parts: Inputs, data: Output = out("a")):
    return 'cat "${parts[@]}" > "$data"'
def simulate():
    one, two = make(n=1), make(n=2)
    join(parts=[one, two])
    join(parts=[two, one])
    join(parts=[one, one])
    join(parts=[one])
    join(parts=[])
lab = Lab([Run("run", simulate)])
"""
    assert len(jobs(experiments.graph(text), "join")) == 5


# ----------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("data", "digits"),
    [
        (b"", "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"),
        (b"abc", "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s"),
    ],
)
def test_nix_base32_is_that_of_nix(data: bytes, digits: str) -> None:
    assert nix_base32(hashlib.sha256(data).digest()) == digits


@given(st.binary(min_size=32, max_size=32))
def test_the_short_digest_is_the_first_digits_of_the_long_one(digest: bytes) -> None:
    assert short_digest(digest) == nix_base32(digest)[:32]
    assert set(nix_base32(digest)) <= set(NIX_ALPHABET)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_digits_tell_digests_apart(one: bytes, other: bytes) -> None:
    assume(one != other)
    assert nix_base32(one) != nix_base32(other)


letters = string.ascii_letters + string.digits
stage_names = st.builds(str.__add__, st.sampled_from(letters), st.text(letters + "._+-", max_size=20))
versions = st.builds(str.__add__, st.sampled_from(letters), st.text(letters + "._+", max_size=8))


@given(st.text(NIX_ALPHABET, min_size=32, max_size=32), stage_names, versions)
def test_a_job_id_is_read_as_it_was_written(digest: str, name: str, version: str) -> None:
    identity = job_id(digest, check_name("stage", name), check_version(version))
    assert parse_job_id(identity) == (digest, name, version)
    assert job_id(*parse_job_id(identity)) == identity


@given(st.text() | st.text(NIX_ALPHABET + "-", min_size=34, max_size=40))
def test_what_is_read_as_an_id_is_written_the_same(text: str) -> None:
    if is_job_id(text):
        assert job_id(*parse_job_id(text)) == text
    else:
        with pytest.raises(LabError, match="is not a job id"):
            parse_job_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "0" * 32,
        "0" * 32 + "-",
        "0" * 32 + "-name",
        "0" * 31 + "-name-1",
        "0" * 33 + "-name-1",
        "e" + "0" * 31 + "-name-1",
        "0" * 32 + "-na/me-1",
        "0" * 32 + "-name-1\n",
        "0" * 32 + "-.name-1",
        "0" * 32 + "-na me-1",
        "../" + "0" * 29 + "-name-1",
    ],
)
def test_what_is_no_id(text: str) -> None:
    assert not is_job_id(text)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", ".a", "a b", "ü", "a\n", "a" * 151, None, 3])
def test_what_is_no_name(name: object) -> None:
    with pytest.raises(DefinitionError, match="cannot be part of a file name"):
        check_name("stage", name)


def test_a_run_is_its_jobs_in_any_order() -> None:
    assert run_digest(["a", "b"]) == run_digest(["b", "a"]) != run_digest(["a"])
    assert run_digest(["a", "b"]) != run_digest(["ab"])

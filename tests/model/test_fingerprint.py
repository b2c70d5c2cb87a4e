"""Fingerprints: what is hashed is what is shown, and a Lab says all of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.agent.base.fingerprint import (
    JobFingerprint,
    Line,
    encode,
    input_line,
    job_source,
    param_lines,
    parse_fingerprint,
    parse_lines,
    run_source,
    stage_digest,
)
from repx.agent.base.value import ParamValue, parse_stored
from repx.model.derivation import Derivation
from repx.model.fingerprint import job_fingerprint
from repx.model.lab import job_line, parts_json, stage_json
from repx.model.values import PackageRef, StoredPath, Value, param_value
from tests.experiments import Experiments, experiments_fixture
from tests.model.test_identity import EVERYTHING, FILES

__all__ = ["experiments_fixture"]

names = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0"), min_size=1)
values: st.SearchStrategy[Value] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"]))
    | st.builds(StoredPath, names, st.sampled_from(["0" * 64, "1" * 64]), st.just("/x"), st.just("file"))
    | st.builds(PackageRef, names, st.sampled_from(["0" * 32, "1" * 32]))
)
lines = st.lists(st.tuples(st.text(), st.text()), max_size=4)


@given(lines, lines)
def test_two_lists_of_lines_are_hashed_alike_only_when_they_are_one(one: list[Line], other: list[Line]) -> None:
    assert (encode(one) == encode(other)) == (one == other)
    assert encode(one).count("\n") == len(one)


@pytest.mark.parametrize("text", ['a"\n"b" "c', "\n", '" "', "\\", "\u2028", "ü"])
def test_no_label_and_no_text_imitates_another_line(text: str) -> None:
    for imitation in ([(text, "x")], [("a", text)], [(f"a{text}b", "c")]):
        assert encode(imitation).count("\n") == 1


@given(values)
def test_a_value_comes_back_from_a_lab_as_it_was(value: Value) -> None:
    written = param_value(value)
    read = ParamValue.from_lab(*json.loads(json.dumps([written.lab_json(), written.reference()])))
    assert (read.kind, type(read.value), read.digest) == (written.kind, type(written.value), written.digest)
    assert read.identity() == written.identity()


@given(values, values)
def test_two_values_are_equal_only_when_they_are_one(one: Value, other: Value) -> None:
    same = type(one) is type(other) and repr(one) == repr(other)
    assert (param_value(one) == param_value(other)) == same


def test_one_and_true_are_two_values() -> None:
    assert len({param_value(value) for value in (1, 1.0, True, "1", "true", None, "")}) == 7


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        (float("nan"), ""),
        ([(1,)], ""),
        ({"a": {1}}, ""),
        (None, "path"),
        (1, "path"),
        ("store/" + "0" * 32, "path"),
        ("store/" + "0" * 32 + "-a/b", "path"),
        ("store/" + "0" * 31 + "e-a", "path"),
        ("store/../" + "0" * 32 + "-a", "path"),
        ("lab/" + "0" * 32 + "-a", "path"),
        ("jq", "package"),
        ("jq", "package x"),
        ("jq", "program " + "0" * 32),
        ("jq", 3),
    ],
)
def test_what_a_lab_cannot_say_of_a_value(value: object, reference: object) -> None:
    with pytest.raises(ValueError, match=r"reference|value of a param|finite|outside the Lab"):
        ParamValue.from_lab(value, reference)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "None"),
        (True, "True"),
        (1.0, "1.0"),
        ("plain", "plain"),
        (" blank", '" blank"'),
        ("a\nb", '"a\\nb"'),
        ("", '""'),
        (StoredPath("a.csv", "0" * 64, "/x", "file"), "a.csv"),
        (PackageRef("jq"), "jq"),
    ],
)
def test_a_value_in_a_table(value: Value, shown: str) -> None:
    assert param_value(value).shown() == shown


# ------------------------------------------------------------------------------------------ ids, made again from a Lab


def fingerprint_in_lab(stage: dict[str, Any], job: dict[str, Any]) -> JobFingerprint:
    """The fingerprint of a job, from nothing but the JSON of a Lab."""
    references = job.get("references", {})
    params = {name: ParamValue.from_lab(value, references.get(name, "")) for name, value in job["params"].items()}
    mappings = job["inputs"] if "inputs" in job else job["executables"]["main"]["inputs"]
    return JobFingerprint(
        stage_digest(parse_lines(stage["fingerprint"])),
        param_lines(params, stage["params"]),
        tuple(input_line(one["target_input"], source(one)) for one in mappings),
    )


def source(mapping: dict[str, Any]) -> str:
    if "job_id" in mapping:
        return job_source(mapping["job_id"], mapping["source_output"])
    if "source_run" in mapping:
        return run_source(mapping["results"])
    return ParamValue.from_lab(mapping["source_value"], "path").identity()


def in_lab(job: Derivation) -> tuple[dict[str, Any], dict[str, Any]]:
    stage = json.loads(json.dumps(stage_json(job.stage, "", "", "")))
    return stage, json.loads("{" + job_line(job, "", {}) + "}")[job.id]


def test_a_lab_says_all_that_ids_are_made_of(experiments: Experiments) -> None:
    for job in experiments.graph(EVERYTHING, FILES).jobs():
        stage, line = in_lab(job)
        found = fingerprint_in_lab(stage, line)
        assert found == job_fingerprint(job)
        assert f"{found.digest}-{stage['name']}-{stage['version']}" == job.id
        assert found.recipe == line["recipe"] == job.recipe_digest


def test_a_lab_says_all_that_the_parts_of_a_scatter_gather_are_made_of(experiments: Experiments) -> None:
    graph = experiments.graph(EVERYTHING, FILES)
    whole = [job for job in graph.jobs() if job.stage.parts is not None]
    assert whole
    for job in whole:
        _, line = in_lab(job)
        parts = json.loads(json.dumps(parts_json(job.stage, lambda stage, _: stage_json(stage, "", "", ""))))
        taken = {name for name, _, _ in parts["scatter"]["inputs"]}
        inputs = [one for one in line["inputs"] if one["target_input"] in taken]
        scatter = fingerprint_in_lab(parts["scatter"], {**line, "inputs": inputs})
        assert scatter.recipe == line["parts"]["scatter"]
        assert f"{scatter.digest}-split-1" == line["parts"]["scatter_id"]
        for step in parts["steps"]:
            given = {"params": {**line["params"], **step["fixed"]}, "references": step.get("references", {})}
            own = fingerprint_in_lab(step["stage"], {**given, "inputs": []})
            assert own.recipe == line["parts"][f"step-{step['step']}"]


def test_a_fingerprint_comes_back_from_json_as_it_was(experiments: Experiments) -> None:
    for job in experiments.graph(EVERYTHING, FILES).jobs():
        own = job_fingerprint(job)
        assert parse_fingerprint(json.loads(json.dumps(own.json()))) == own


@pytest.mark.parametrize(
    "value", [None, {}, {"stage": 1}, {"stage": "a", "params": [["x"]], "inputs": []}, {"stage": "a", "params": []}]
)
def test_what_is_not_a_fingerprint(value: object) -> None:
    with pytest.raises(ValueError, match=r"it (has|is not)|is not a line"):
        parse_fingerprint(value)


def test_the_name_of_a_stored_path_is_read_as_it_was_written() -> None:
    path = StoredPath("a-b.csv", "1" * 64, "/x", "file")
    assert parse_stored(path.stored) == (path.stored[:32], "a-b.csv")
